"""slimnets' ONNX files beside tf2onnx's, and both behind onnxscript's optimizer.

    python -m tests.benchmarks.onnx_time [NETWORK...] [--turns=8] [--threads=1]

It needs tf2onnx and onnxscript, which nothing else here does. `tf2onnx` gets the graph
as TensorFlow froze it, `tf2onnx, folded` what slimnets' writer gets. All run in ONNX
Runtime, in turns, on the same image. A line says how many operations and transposes
there are, the size, the largest difference from TensorFlow by the largest logit, and
the median time by that of slimnets' own file: of the processor where there is one
thread, else of the clock.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import slimnets
from slimnets.benchmarking.prepare import as_trained
from slimnets.export import freeze
from slimnets.export.onnx_file import load_onnx
from slimnets.export.onnx_writer import OPSET, to_onnx

NETWORKS = {
    "resnet_v2_50": {},
    "resnext50_32x4d": {},
    "mobilenet_v2": {},
    "tf_efficientnet_b0": {},
    "densenet121": {},
    "inception_v3": {},
    "convnext_tiny": {},
    "xception65": {"output_stride": 16},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    row = "{:<20}{:<22}{:>10}{:>12}{:>9}{:>12}{:>8}"
    print(
        row.format("network", "by", "nodes", "transposes", "MB", "difference", "time")
    )
    for name in arguments.networks:
        for cells in compared(name, arguments.turns, arguments.threads):
            print(row.format(name, *cells), flush=True)


def compared(name: str, turns: int, threads: int):
    model = slimnets.Model(name, num_classes=1000, seed=0, **NETWORKS.get(name, {}))
    size = model.default_image_size
    model.build([None, size, size, 3])
    as_trained(model)
    frozen = freeze(model, [1, size, size, 3], levels=())
    folded = frozen.folded()
    image = np.random.default_rng(0).normal(size=[1, size, size, 3]).astype("float32")
    expected = frozen.function()(images=image)["logits"].numpy()
    writers = {
        "slimnets": lambda: to_onnx(folded),
        "slimnets, optimized": lambda: optimized(to_onnx(folded)),
        "tf2onnx": lambda: by_tf2onnx(frozen),
        "tf2onnx, optimized": lambda: optimized(by_tf2onnx(frozen)),
        "tf2onnx, folded": lambda: by_tf2onnx(folded),
    }
    rows, runs = {}, {}
    with tempfile.TemporaryDirectory() as directory:
        for by, write in writers.items():
            try:
                proto = write()
                path = os.path.join(directory, f"{len(rows)}.onnx")
                with open(path, "wb") as file:
                    file.write(proto.SerializeToString())
                run, (given,) = load_onnx(path, threads)
                values = run({given: image})
            except Exception as error:  # Whatever a writer or the runtime raises.
                text = str(error).strip() or type(error).__name__
                rows[by] = [by, text.splitlines()[-1][:60]] + [""] * 4
                continue
            logits = next(value for key, value in values.items() if "logits" in key)
            operations = [node.op_type for node in proto.graph.node]
            runs[by] = run, given
            rows[by] = [
                by,
                len(operations),
                operations.count("Transpose"),
                f"{os.path.getsize(path) / 1e6:.1f}",
                f"{np.abs(logits - expected).max() / np.abs(expected).max():.0e}",
            ]
        clock = time.process_time if threads == 1 else time.perf_counter
        times: dict[str, list[float]] = {by: [] for by in runs}
        for turn in range(turns + 1):
            for by, (run, given) in runs.items():
                started = clock()
                run({given: image})
                if turn:  # The first one allocates.
                    times[by].append(clock() - started)
    own = statistics.median(times["slimnets"])
    for by, measured in times.items():
        rows[by].append(f"{statistics.median(measured) / own:.2f}")
    return rows.values()


def by_tf2onnx(frozen):
    import tf2onnx

    proto, _ = tf2onnx.convert.from_graph_def(
        frozen.graph_def,
        input_names=[f"{name}:0" for name in frozen.inputs],
        output_names=[f"{name}:0" for name in frozen.outputs],
        opset=OPSET,
    )
    return proto


def optimized(proto):
    from onnxscript import optimizer

    return optimizer.optimize(proto)


if __name__ == "__main__":
    main()
