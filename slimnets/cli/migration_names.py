"""Where modules of TF-Slim and research/slim are in slimnets.

Source: the module layout of tf_slim 1.1.0, tf.contrib and research/slim.
"""

from __future__ import annotations

FACADE = "slimnets.slim"
NETS = "slimnets.nets"
# Modules of networks, by the packages that have them elsewhere.
_NETWORKS = (
    "alexnet", "inception", "inception_v1", "inception_v2", "inception_v3", "overfeat",
    "resnet_utils", "resnet_v1", "resnet_v2", "vgg",
)  # fmt: skip
_RESEARCH = (
    *_NETWORKS, "cifarnet", "inception_resnet_v2", "inception_v4", "lenet",
    "mobilenet_v1", "nets_factory",
)  # fmt: skip
PACKAGES = {
    "tf_slim.nets": _NETWORKS,
    "tensorflow.contrib.slim.nets": _NETWORKS,
    "tensorflow.contrib.slim.python.slim.nets": _NETWORKS,
    "nets": _RESEARCH,
    "nets.mobilenet": ("mobilenet_v2", "mobilenet_v3"),
    "nets.nasnet": ("nasnet", "pnasnet"),
}
SLIM = ("tf_slim", "tensorflow.contrib.slim")
# Packages whose modules the facade has too, but for the networks.
_MIRRORED = ("tf_slim", "tensorflow.contrib.slim.python.slim")
_DATA = "slimnets.data and the flags of `slimnets train` take its place"
# What is told of modules that are not rewritten: package, its modules (None for all).
BY_HAND: tuple[tuple[str, tuple[str, ...] | None, str], ...] = (
    ("tf_slim", None, "take the name from `slim` (from slimnets import slim)"),
    ("tensorflow.contrib.slim", None,
     "take the name from `slim` (from slimnets import slim)"),
    ("tensorflow.contrib.layers", None, "its functions are in slimnets.slim.layers"),
    ("tensorflow.contrib.framework", None,
     "arg_scope and the variable helpers are in slimnets.slim"),
    ("tensorflow.contrib", None, "TensorFlow 2 has no contrib"),
    ("nets", ("cyclegan", "dcgan", "i3d", "inception_utils", "mobilenet", "nasnet",
              "pix2pix", "s3dg"), "slimnets has no such module"),
    ("nets.mobilenet", None, "see slimnets.nets.mobilenet_v2 and mobilenet_v3"),
    ("nets.nasnet", None, "see slimnets.nets.nasnet_cells"),
    ("deployment", ("model_deploy",),
     "tf.distribute takes its place: a slimnets.Model in a strategy's scope"),
    ("preprocessing", ("preprocessing_factory", "inception_preprocessing",
                       "vgg_preprocessing", "cifarnet_preprocessing",
                       "lenet_preprocessing"), _DATA),
    ("datasets", ("dataset_factory", "dataset_utils", "cifar10", "flowers", "imagenet",
                  "mnist", "visualwakewords", "download_and_convert_cifar10",
                  "download_and_convert_flowers", "download_and_convert_mnist"), _DATA),
)  # fmt: skip


def new_module(package: str, name: str) -> str | None:
    """The module that has a name of a package now; None if it is not rewritten."""
    if package in PACKAGES:
        return NETS if name in PACKAGES[package] else None
    if package in SLIM:
        return FACADE
    for mirrored in _MIRRORED:
        inside = package.removeprefix(mirrored)
        if package.startswith(mirrored) and not inside.startswith(".nets"):
            return FACADE + inside
    if package == "tensorflow.contrib" and name == "slim":
        return "slimnets"
    parent, _, module = package.rpartition(".")
    if module in PACKAGES.get(parent, ()):
        return f"{NETS}.{module}"  # What a module of networks has.
    return None


def import_slim(name: str) -> str:
    return "from slimnets import slim" + ("" if name == "slim" else f" as {name}")


def note_of(name: str) -> str:
    """What is told of a module, or a name in it, that is not rewritten."""
    notes = {
        prefix: note
        for prefix, _, note in BY_HAND
        if name == prefix or name.startswith(f"{prefix}.")
    }
    return notes[max(notes, key=len)]
