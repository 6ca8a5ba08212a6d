"""Times StableHLO exports run by JAX beside torch.compile, made for a GPU.

    pip install jax[cuda12] torch timm
    python -m tests.benchmarks.gpu_stablehlo [NETWORK...] [--batch_size=128]
        [--image_size=224] [--precision=bfloat16] [--turns=10]

Forward, on the accelerator that JAX and torch find, or else the processor. A network
gets timm's weights, as it initializes them, is exported with them, and has to
give what torch gives in float32, as nearly as torch in the same precision does; then
both take turns. torch computes with channels last. By default five networks.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import multiprocessing
import os
import pathlib
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import numpy as np
import timm
import torch
from jaxlib.mlir.dialects import stablehlo

NETWORKS = (
    "resnet50",
    "densenet121",
    "efficientnet_b0",
    "convnext_tiny",
    "regnety_032",
)
NUM_CLASSES = 1000
# The largest error beside torch's own in that precision, and in float32.
_TIMES_TORCH, _FLOAT32_ERROR = 2.0, 1e-3
_NORM_IMAGES = 32
_SECONDS_PER_TURN = 0.5
_COLUMNS = ("JAX, images/s", "torch", "ratio", "quartiles", "error", "torch's")
_WIDTH = 16


def export(network: str, weights: str, path: str, shape: Sequence[int],
           precision: str) -> None:  # fmt: skip
    """Exports a network with weights from torch, in a process that sees no GPU."""
    os.environ.update(CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3")
    import slimnets
    from slimnets.export import export_model

    model = slimnets.Model(network, num_classes=NUM_CLASSES)
    model.build(shape)
    model.load(weights)
    export_model(
        model,
        path,
        format="stablehlo",
        input_shape=shape,
        precision=precision,
        levels=(),
        # It is compared below, with torch.
        tolerance=float("inf"),
    )


def by_jax(path: str, images: np.ndarray) -> Callable[[], jax.Array]:
    """What runs an exported classifier on JAX's device, and gives its logits."""

    def same_types(images):
        logits = images.mean([1, 2]) @ jax.numpy.ones([3, NUM_CLASSES])
        return logits, logits  # The second are probabilities.

    outside = jax.export.export(jax.jit(same_types))(images)
    text = pathlib.Path(path).read_text(encoding="utf-8")
    version = stablehlo.get_minimum_version()
    inside = stablehlo.serialize_portable_artifact_str(text, version)
    exported = dataclasses.replace(outside, mlir_module_serialized=inside)
    compute, held = jax.jit(exported.call), jax.device_put(images)
    return lambda: compute(held)[0].block_until_ready()


def by_torch(
    model: torch.nn.Module,
    images: np.ndarray,
    device: str,
    dtype: torch.dtype,
    compiled: bool,
) -> Callable[[], torch.Tensor]:
    """What runs a network of torch, from float32 to float32, with channels last."""
    model = model.to(device, dtype, memory_format=torch.channels_last)
    held = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)

    def forward(images: torch.Tensor) -> torch.Tensor:
        return model(images.to(dtype)).float()

    forward = torch.compile(forward) if compiled else forward

    def step() -> torch.Tensor:
        with torch.inference_mode():
            outputs = forward(held)
        if device == "cuda":
            torch.cuda.synchronize()
        return outputs

    return step


def trained(network: str, image_size: int) -> torch.nn.Module:
    """A network of timm whose norms have statistics of images."""
    torch.manual_seed(0)
    model = timm.create_model(network, num_classes=NUM_CLASSES)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # The mean of all batches, here of one.
    with torch.no_grad():
        model.train()(torch.randn(_NORM_IMAGES, 3, image_size, image_size))
    return model.eval()


@dataclasses.dataclass(frozen=True)
class Measured:
    """A network by JAX and by torch: errors beside float32, and seconds of a step."""

    network: str
    jax_error: float
    torch_error: float
    jax_seconds: Sequence[float]
    torch_seconds: Sequence[float]

    def cells(self, batch_size: int) -> tuple[str, ...]:
        """Its row of the table."""
        pairs = zip(self.torch_seconds, self.jax_seconds, strict=True)
        low, middle, high = np.percentile([a / b for a, b in pairs], [25, 50, 75])
        ours, theirs = (
            batch_size / statistics.median(seconds)
            for seconds in (self.jax_seconds, self.torch_seconds)
        )
        return (
            f"{ours:.1f}",
            f"{theirs:.1f}",
            f"{middle:.2f}",
            f"{low:.2f}-{high:.2f}",
            f"{self.jax_error:.1e}",
            f"{self.torch_error:.1e}",
        )


def measure(network: str, batch_size: int, image_size: int, precision: str,
            turns: int) -> Measured:  # fmt: skip
    """Compares and times a network. Raises ValueError where JAX's outputs are wrong."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = (batch_size, image_size, image_size, 3)
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    model = trained(network, image_size)
    with tempfile.TemporaryDirectory() as directory:
        weights = os.path.join(directory, "weights.pt")
        path = os.path.join(directory, f"{network}.mlir")
        torch.save(model.state_dict(), weights)
        # TensorFlow beside torch in one process would take the GPU too.
        with concurrent.futures.ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn")
        ) as processes:
            processes.submit(export, network, weights, path, shape, precision).result()
        ours = by_jax(path, images)
    expected = by_torch(model, images, device, torch.float32, compiled=False)().cpu()
    dtype = getattr(torch, precision)
    theirs = by_torch(model, images, device, dtype, compiled=True)
    errors = [
        float(np.abs(np.asarray(found) - expected.numpy()).max() / expected.std())
        for found in (ours(), theirs().cpu())
    ]
    if errors[0] > max(_TIMES_TORCH * errors[1], _FLOAT32_ERROR):
        raise ValueError(
            f"{network} by JAX is off by {errors[0]:.2e} of the logits' deviation, "
            f"torch in {precision} by {errors[1]:.2e}."
        )
    seconds = [_turn(step) for _ in range(turns) for step in (ours, theirs)]
    return Measured(network, *errors, seconds[::2], seconds[1::2])


def _turn(step: Callable[[], object]) -> float:
    """Seconds of a step, the median of about half a second of them."""
    seconds: list[float] = []
    while sum(seconds) < _SECONDS_PER_TURN:
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    for name, default in (("batch_size", 128), ("image_size", 224), ("turns", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--precision", default="bfloat16")
    given = vars(parser.parse_args())
    # Both compute float32 in float32, not in the shorter one of tensor cores.
    torch.backends.cudnn.allow_tf32 = False
    jax.config.update("jax_default_matmul_precision", "highest")
    kind = jax.devices()[0].device_kind
    print(f"JAX {jax.__version__} on {kind}, torch {torch.__version__} on "
          f"{_card()}, {platform.machine()}")  # fmt: skip
    print("".ljust(_WIDTH) + "".join(name.rjust(_WIDTH) for name in _COLUMNS))
    for network in given.pop("networks"):
        # As they come, so that what ends early has shown something.
        cells = measure(network, **given).cells(given["batch_size"])
        print(network.ljust(_WIDTH) + "".join(cell.rjust(_WIDTH) for cell in cells))


def _card() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "a processor"


if __name__ == "__main__":
    main()
