"""Where the time of a training step goes, operation by operation.

    python -m tests.benchmarks.operation_time [NETWORK...] [--batch_size=16]
        [--image_size=224] [--threads=1] [--precision=float32] [--steps=3]

Gradients of the cross entropy in all trainable variables, in a session that notes when
each kernel starts and ends. Convolutions are set against the rate of a product of two
matrices of 2048 x 2048 in the same session: each of a convolution's two gradients has
as many multiply-adds as itself. By default resnet_v2_50, mobilenet_v2 and
tf_efficientnet_b0.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import os
import re

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import slimnets
from slimnets.inspection import count_multiply_adds
from slimnets.listing import table

v1 = tf.compat.v1
NETWORKS = ("resnet_v2_50", "mobilenet_v2", "tf_efficientnet_b0")
MATRIX = 2048
_FULL_TRACE, _SHOWN = 3, 12


@dataclasses.dataclass
class Kind:
    """The operations of one type in a step: how many, and how long all together."""

    count: int = 0
    seconds: float = 0.0


def measure(network: str, batch_size: int, image_size: int, threads: int,
            precision: str, steps: int) -> list[list[str]]:  # fmt: skip
    """The rows of the table, longest first."""
    graph = tf.Graph()
    with graph.as_default():
        shape = [batch_size, image_size, image_size, 3]
        images = tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)
        labels = tf.range(batch_size)
        model = slimnets.Model(network, num_classes=1000, precision=precision)
        logits = tf.cast(model(images, training=True), tf.float32)
        multiply_adds = {
            kind: count_multiply_adds(
                [op for op in graph.get_operations() if op.type == kind]
            )
            for kind in ("Conv2D", "DepthwiseConv2dNative")
        }
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        variables = model.trainable_variables
        gradients = tf.gradients(tf.reduce_mean(losses), variables)
        # Not tf.group: that what is only waited for has to be computed, is forgotten.
        step = [gradient.op for gradient in gradients if gradient is not None]
        dtype = tf.as_dtype(precision)
        matrix = tf.cast(tf.random.stateless_normal([MATRIX, MATRIX], (0, 0)), dtype)
        product = tf.matmul(matrix, matrix, name="rate")
        start = v1.global_variables_initializer()
    options = v1.ConfigProto(
        intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1
    )
    kinds: dict[str, Kind] = collections.defaultdict(Kind)
    with v1.Session(graph=graph, config=options) as session:
        session.run(start)
        for fetched in (step, product.op) * 2:
            session.run(fetched)
        for _ in range(steps):
            for node in _traced(session, step):
                kind = kinds[_type_of(graph, node)]
                kind.count += 1
                kind.seconds += 1e-6 * node.op_end_rel_micros
        rate = MATRIX**3 / min(
            1e-6 * node.op_end_rel_micros
            for _ in range(steps)
            for node in _traced(session, product.op)
            if node.node_name == "rate"
        )
    whole = sum(kind.seconds for kind in kinds.values())
    rows = []
    for name, kind in sorted(kinds.items(), key=lambda item: -item[1].seconds)[:_SHOWN]:
        forward = name.partition("Backprop")[0]
        done = multiply_adds.get(forward, 0) * steps / rate
        cells = [f"{kind.count // steps}", f"{1e3 * kind.seconds / steps:.1f}"]
        cells += [
            f"{kind.seconds / whole:.1%}",
            f"{done / kind.seconds:.0%}" if done else "",
        ]
        rows.append([name, *cells])
    rows.append(["all", "", f"{1e3 * whole / steps:.1f}", "100 %", ""])
    return rows


def _traced(session, fetched) -> list:
    """What each kernel of a run did."""
    notes = v1.RunMetadata()
    options = v1.RunOptions(trace_level=_FULL_TRACE)
    session.run(fetched, options=options, run_metadata=notes)
    return [node for device in notes.step_stats.dev_stats for node in device.node_stats]


def _type_of(graph: tf.Graph, node) -> str:
    """The type of a kernel; convolutions with and without what is fused are one."""
    said = node.timeline_label.partition(" = ")[2].partition("(")[0]
    if said:
        said = re.sub("^_(Mkl)?(Native)?", "", said)
        return re.sub("^Fused(?=.*Conv)", "", said).removesuffix("WithBias")
    try:
        return graph.get_operation_by_name(node.node_name).type
    except (KeyError, ValueError):
        return "of TensorFlow's own"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    for name, default in (
        ("batch_size", 16),
        ("image_size", 224),
        ("threads", 1),
        ("steps", 3),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--precision", default="float32")
    arguments = vars(parser.parse_args())
    for network in arguments.pop("networks"):
        print(f"{network}, {arguments}")
        headings = ["operation", "count", "ms", "share", "of the matrix product's rate"]
        rows = measure(network, **arguments)
        print(table([headings, *rows], numbers=headings[1:], format="markdown"))


if __name__ == "__main__":
    main()
