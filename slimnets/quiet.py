"""TensorFlow without the lines that its C++ code prints when it starts.

    import slimnets
    slimnets.start_tensorflow()  # Before anything else imports it.

No setting silences all of them: TF_CPP_MIN_LOG_LEVEL does not reach what is printed
before TensorFlow's own log begins. slimnets silences nothing unless it is asked to, by
this or by being called as a command.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def quiet_tensorflow(debug: bool) -> Iterator[None]:
    """Keeps the lines that TensorFlow's C++ code prints at its start off the screen.

    They go to file descriptor 2 before any setting can reach them. What is printed in
    this context is thrown away, unless `debug` is set or an exception leaves it.
    """
    if debug:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with tempfile.TemporaryFile() as kept:
        try:
            with standard_error_in(kept):
                yield
        except Exception:
            kept.seek(0)
            # sys.stderr need not be the screen: a notebook has its own.
            with os.fdopen(os.dup(2), "wb") as shown:
                shutil.copyfileobj(kept, shown)
            raise


@contextlib.contextmanager
def standard_error_in(file: IO[bytes]) -> Iterator[None]:
    """Lets go into a file what is written to file descriptor 2, by C++ code too.

    It is the whole process's, so that a second thread waits until the first is done.
    """
    with _ONE_AT_A_TIME:
        sys.stderr.flush()
        screen = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(screen, 2)
            os.close(screen)


# Of one thread, contexts inside of another.
_ONE_AT_A_TIME = threading.RLock()


def start_tensorflow(debug: bool = False) -> None:
    """Imports TensorFlow and starts its devices, without what it prints of that.

    Other imports of it, such as that of a Model, leave this as TensorFlow has it.

    Args:
        debug: whether all is shown.
    """
    with quiet_tensorflow(debug):
        import tensorflow as tf

        tf.constant(0)
