"""Packaging of slimnets; tool settings live in pyproject.toml."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "([^"]+)"$',
    (ROOT / "slimnets" / "version.py").read_text(encoding="utf-8"),
    re.MULTILINE,
).group(1)

setup(
    name="slimnets",
    version=VERSION,
    description="A functional network factory with arg scopes for TensorFlow",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords="tensorflow tf-slim arg-scope convolutional-networks checkpoints onnx",
    license="Apache-2.0",
    # The second states the licences of the data that the package carries.
    license_files=["LICENSE", "slimnets/data/embedded/README.md"],
    python_requires=">=3.10",
    # configs/ is the one source of the experiments; an installed slimnets carries
    # it as slimnets/configs, so that its commands run outside a checkout too.
    packages=[*find_packages(include=["slimnets", "slimnets.*"]), "slimnets.configs"],
    package_dir={"slimnets.configs": "configs"},
    package_data={
        "slimnets": ["py.typed"],
        "slimnets.configs": ["*.flags"],
        "slimnets.data": ["embedded/*"],
        "slimnets.cli": ["networks.json"],
        "slimnets.inspection": ["layers.xz"],
        "slimnets.nets": ["counts.json"],
        "slimnets.weights": ["table.csv"],
    },
    install_requires=[
        "tensorflow>=2.16,<2.22",
        "tf-slim==1.1.0",
        "numpy",
        "absl-py",
        "tensorboard",
        "tqdm",
    ],
    extras_require={
        "test": [
            "pytest",
            "pytest-xdist",
            "ruff",
            "build",
            "pycocotools",
            "pillow",
            "pillow-heif",
            "libcst",
            "hypothesis",
            "mypy==2.4.1",
        ],
        "docs": ["mkdocs-material"],
        "images": ["pillow", "pillow-heif"],
        "detection": ["pycocotools", "pillow"],
        "plot": ["matplotlib"],
        "weights": ["h5py"],
        "migrate": ["libcst"],
        "tfds": ["tensorflow-datasets"],
        "torch": ["torch"],
        "onnx": ["onnx>=1.16", "onnxruntime>=1.18"],
        "tflite": ["ai-edge-litert"],
        "ray": ["ray[data]>=2.9"],
        "openvino": ["openvino>=2024.2", "onnx>=1.16", "onnxruntime>=1.18"],
    },
    entry_points={"console_scripts": ["slimnets = slimnets.cli.main:entry_point"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
)
