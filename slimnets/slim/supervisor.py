"""A Supervisor whose background threads work while eager execution is on.

`learning.train` saves and summarizes in threads of `tf.compat.v1.train.Supervisor`. A
new thread has no default graph: with eager execution on, TensorFlow takes what it does
there for eager code, and fails. Here every thread works in the session's graph.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import tensorflow as tf

v1 = tf.compat.v1


class Supervisor(v1.train.Supervisor):
    """`tf.compat.v1.train.Supervisor`, whether eager execution is on or off."""

    def start_standard_services(
        self, sess: v1.Session
    ) -> list[v1.train.LooperThread] | None:
        """Starts the threads that summarize, count steps and save.

        Args:
            sess: the session they run in.

        Returns:
            The threads, or None without a log directory.

        Raises:
            RuntimeError: if this is not the chief's supervisor.
        """
        if not self.is_chief or not self.save_path:
            return super().start_standard_services(sess)
        writer, step = self.summary_writer, self.global_step
        if step is not None and writer:
            started = v1.SessionLog(status=v1.SessionLog.START)
            writer.add_session_log(started, v1.train.global_step(sess, step))
        services = []
        if self.save_summaries_secs and writer:
            if self.summary_op is not None:
                services.append((self.save_summaries_secs, self._summarize))
            if step is not None:
                services.append((self.save_summaries_secs, self._step_counter(sess)))
        if self.saver and self.save_model_secs:
            services.append((self.save_model_secs, self._save))
        return [
            v1.train.LooperThread.loop(self.coord, seconds, _in_graph, (target, sess))
            for seconds, target in services
        ]

    StartStandardServices = start_standard_services  # The name of TF 0.x.

    def _summarize(self, sess: v1.Session) -> None:
        fetches = {"summary": self.summary_op}
        if self.global_step is not None:
            fetches["step"] = self.global_step
        values = sess.run(fetches)
        self.summary_writer.add_summary(values["summary"], values.get("step"))

    def _step_counter(self, sess: v1.Session) -> Callable[[v1.Session], None]:
        """Returns what writes the steps per second since it was last called."""
        tag = f"{self.global_step.op.name}/sec"
        last = [time.time(), v1.train.global_step(sess, self.global_step)]

        def count(sess):
            step, now = v1.train.global_step(sess, self.global_step), time.time()
            seconds, steps = now - last[0], step - last[1]
            last[:] = now, step
            rate = steps / seconds if seconds > 0 else float("inf")
            value = v1.Summary.Value(tag=tag, simple_value=rate)
            self.summary_writer.add_summary(v1.Summary(value=[value]), step)

        return count

    def _save(self, sess: v1.Session) -> None:
        self.saver.save(sess, self.save_path, global_step=self.global_step)
        if self.summary_writer and self.global_step is not None:
            saved = v1.SessionLog(
                status=v1.SessionLog.CHECKPOINT, checkpoint_path=self.save_path
            )
            step = v1.train.global_step(sess, self.global_step)
            self.summary_writer.add_session_log(saved, step)


def _in_graph(target: Callable[[v1.Session], None], sess: v1.Session) -> None:
    with sess.graph.as_default():
        target(sess)
