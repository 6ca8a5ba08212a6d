"""Where the names of `tensorflow.contrib`, and what TensorFlow 1 had, are today.

Data alone, read by `slimnets.slim.contrib` (where old programs run) and by `slimnets
migrate` (which rewrites them). `tf` is `tensorflow.compat.v1` here.
"""

from __future__ import annotations

from collections.abc import Mapping

SLIM = "slimnets.slim"
_HERE = f"{SLIM}.contrib"

# Packages of which nothing is left, and those of research/slim, which stand in where a
# project has none of its own.
GONE = ("tensorflow.contrib", "tensorflow.examples")
RESEARCH = ("nets", "preprocessing", "datasets", "deployment")

# A module's path in tf.contrib -> where its names are looked for, in this order. The
# longest path that is the beginning of another holds for that one: what follows is then
# a module inside (`layers.python.layers` + `utils` is slimnets.slim.layers.utils).
_CONTRIB: dict[str, tuple[str, ...]] = {
    "slim": (SLIM,),
    "slim.python.slim": (SLIM,),
    "slim.nets": (f"{_HERE}.nets",),
    "slim.python.slim.nets": (f"{_HERE}.nets",),
    "layers": (SLIM, f"{SLIM}.layers.layers"),
    "layers.python.layers": (f"{SLIM}.layers",),
    "layers.python.ops": (f"{SLIM}.layers",),
    "framework": (SLIM, "tf.debugging", "tf"),
    "framework.python.ops": (SLIM, f"{SLIM}.ops"),
    "framework.python.framework": ("tf.train", "tf.graph_util", "tf.debugging", "tf"),
    "losses": (f"{SLIM}.losses",),
    "losses.python.losses": (f"{SLIM}.losses",),
    "losses.python": (f"{SLIM}.losses",),
    "metrics": (f"{SLIM}.metrics",),
    "metrics.python.ops": (f"{SLIM}.metrics",),
    "training": (f"{_HERE}.hparams", f"{SLIM}.training.training",
                 f"{SLIM}.training.evaluation"),
    "training.python.training": (f"{SLIM}.training", f"{_HERE}"),
    "training.python.training.hparam": (f"{_HERE}.hparams",),
    "image": (f"{_HERE}.image",),
    "image.python.ops.image_ops": (f"{_HERE}.image",),
    "opt": (f"{_HERE}.optimizers",),
    "rnn": (f"{_HERE}.recurrent",),
    "rnn.python.ops.rnn_cell": (f"{_HERE}.recurrent",),
    "data": ("tf.data.experimental", "tf.data"),
    "signal": ("tf.signal",),
    "autograph": ("tf.autograph",),
    "summary": ("tensorflow.compat.v2.summary",),
    "lookup": ("tf.lookup", "tf.lookup.experimental"),
    "distributions": ("tf.distributions",),
    "distribute": ("tf.distribute", "tf.distribute.experimental"),
    "cluster_resolver": ("tf.distribute.cluster_resolver",),
    "eager": ("tf",),
    "nn": ("tf.nn",),
    "linalg": ("tf.linalg",),
    "lite": ("tf.lite",),
    "keras": ("tf.keras",),
    "checkpoint": ("tf.train",),
    "saved_model": ("tf.saved_model",),
    "util": ("tf", "tf.graph_util"),
    "tpu": ("tf.tpu",),
    "tensorboard.plugins": ("tensorboard.plugins",),
}  # fmt: skip

# The same by full names, with modules of TensorFlow from which something has gone.
HOMES: dict[str, tuple[str, ...]] = {
    "tensorflow.estimator": (f"{_HERE}.estimator",),
    "tensorflow.image": ("tf.image",),
    "tensorflow.layers": (f"{_HERE}.layers",),
    "tensorflow.nn": ("tf.nn",),
    "tensorflow.nn.rnn_cell": (f"{_HERE}.recurrent",),
    "tensorflow.train": ("tf.train",),
    "tf_slim": (SLIM,),
    "tf_slim.nets": (f"{_HERE}.nets",),
    "nets": (f"{SLIM}.nets",),
    **{name: (f"{SLIM}.research.{name}",) for name in RESEARCH[1:]},
    **{f"tensorflow.contrib.{path}": homes for path, homes in _CONTRIB.items()},
}

# Names that are elsewhere than their module's other names; of TensorFlow 0.x, those to
# which no other meaning was given since.
_CONTRIB_NAMES: dict[str, str] = {
    "framework.python.ops.variables": f"{SLIM}.ops.variables",
    "framework.nest": "tf.nest",
    "framework.load_checkpoint": "tf.train.load_checkpoint",
    "framework.load_variable": "tf.train.load_variable",
    "framework.list_variables": "tf.train.list_variables",
    "framework.init_from_checkpoint": "tf.train.init_from_checkpoint",
    "framework.smart_cond": "tf.cond",
    "layers.safe_embedding_lookup_sparse": "tf.nn.safe_embedding_lookup_sparse",
    "metrics.confusion_matrix": "tf.math.confusion_matrix",
    "metrics.python.ops.set_ops": "tf.sets",
    "metrics.set_intersection": "tf.sets.intersection",
    "training.checkpoints_iterator": "tf.train.checkpoints_iterator",
    "data.Iterator": "tf.data.Iterator",
    "data.batch_and_drop_remainder": f"{_HERE}.data.batch_and_drop_remainder",
    "data.padded_batch_and_drop_remainder":
        f"{_HERE}.data.padded_batch_and_drop_remainder",
    "data.unbatch": f"{_HERE}.data.unbatch",
    "eager.defun": "tf.function",
    "stateless.stateless_random_uniform": "tf.random.stateless_uniform",
    "stateless.stateless_random_normal": "tf.random.stateless_normal",
    "util.constant_value": "tf.get_static_value",
}  # fmt: skip

_NAMES: dict[str, str] = {
    "batch_matmul": "tf.matmul",
    "histogram_summary": "tf.summary.histogram",
    "image.per_image_whitening": "tf.image.per_image_standardization",
    "image_summary": "tf.summary.image",
    "inv": "tf.reciprocal",
    "merge_all_summaries": "tf.summary.merge_all",
    "merge_summary": "tf.summary.merge",
    "mul": "tf.multiply",
    "neg": "tf.negative",
    "pack": "tf.stack",
    "scalar_summary": "tf.summary.scalar",
    "select": "tf.where",
    "sub": "tf.subtract",
    "train.SummaryWriter": "tf.summary.FileWriter",
    "unpack": "tf.unstack",
    **{f"contrib.{path}": home for path, home in _CONTRIB_NAMES.items()},
}
NAMES = {f"tensorflow.{path}": home for path, home in _NAMES.items()}

# Names that have left TensorFlow's private modules (`tensorflow.python.` before them),
# which tf_slim and old programs import, and what they are in `tf`.
MOVED: dict[str, dict[str, str]] = {
    "framework.ops": {"IndexedSlices": "IndexedSlices", "Tensor": "Tensor"},
    "ops.array_ops": {"stack": "stack", "unstack": "unstack"},
    "ops.control_flow_ops": {
        "Assert": "Assert", "case": "case", "cond": "cond", "while_loop": "while_loop",
    },
    "ops.variable_scope": {
        "disable_resource_variables": "disable_resource_variables",
        "enable_resource_variables": "enable_resource_variables",
        "resource_variables_enabled": "resource_variables_enabled",
        "variable": "Variable",
    },
    "ops.variables": {"VariableV1": "Variable"},
    "pywrap_tensorflow": {"NewCheckpointReader": "train.NewCheckpointReader"},
}  # fmt: skip

# What is said of a name that is nowhere, by the longest beginning of its path.
_DROPPED = (
    "TensorFlow 2.16 has dropped estimators; call the model function yourself, and run "
    "its train_op in a tf.train.MonitoredTrainingSession"
)
_RECURRENT = "tf.keras.layers has recurrent layers"
_NO_SUCH_NAME = "slimnets.slim has no such name"
_CONTRIB_ADVICE: dict[str, str] = {
    **dict.fromkeys(("framework", "losses", "metrics", "slim"), _NO_SUCH_NAME),
    "crf": "tfa.text of tensorflow_addons had it last",
    "cudnn_rnn": "tf.keras.layers.LSTM and GRU use cuDNN by themselves",
    "distributions": "tensorflow-probability has it",
    "estimator": _DROPPED,
    "layers": "feature columns are tf.feature_column's; other layers are in "
    "slimnets.slim or tf.keras.layers",
    "learn": _DROPPED,
    "quantize": "slimnets.rules.quantization_rules has a network train for int8",
    "rnn": _RECURRENT,
    "seq2seq": "tfa.seq2seq of tensorflow_addons had it last",
}
ADVICE: dict[str, str] = {
    "nets": "slimnets has no such network",
    "tensorflow.contrib": "TensorFlow 2 has no contrib, and slimnets has nothing in "
    "its place; take the code that needs it out, or write it anew on public TensorFlow",
    "tensorflow.estimator": _DROPPED,
    "tensorflow.examples": "TensorFlow has dropped its tutorials; tf.keras.datasets "
    "and slimnets' own datasets have MNIST and others",
    "tensorflow.layers": "tf.keras.layers has what is left of it",
    "tensorflow.nn.rnn_cell": _RECURRENT,
    "tf_slim": _NO_SUCH_NAME,
    **{f"tensorflow.contrib.{path}": text for path, text in _CONTRIB_ADVICE.items()},
}


def homes(module: str) -> tuple[str, ...]:
    """Where the names of an old module may be, by its full name."""
    known = _longest(module, HOMES)
    if known is None:
        return ()
    return tuple(home + module.removeprefix(known) for home in HOMES[known])


def advice(name: str) -> str | None:
    """What to do about a full name that is nowhere; None where there is no advice."""
    known = _longest(name, ADVICE)
    return None if known is None else ADVICE[known]


def is_module(name: str) -> bool:
    """Whether this is the full name of an old module, and not of an object in one."""
    if name.rpartition(".")[0] in GONE:
        return True
    return any(f"{known}.".startswith(f"{name}.") for known in (*HOMES, *GONE))


def moved(name: str) -> str | None:
    """Where a full name of `MOVED` is; None for any other."""
    module, _, last = name.removeprefix("tensorflow.python.").rpartition(".")
    home = MOVED.get(module, {}).get(last)
    return None if home is None else f"tf.{home}"


def is_gone(name: str) -> bool:
    """Whether a module of this full name is imported from nowhere else."""
    return any(f"{name}.".startswith(f"{gone}.") for gone in (*GONE, *RESEARCH))


def _longest(name: str, table: Mapping[str, object]) -> str | None:
    known = (key for key in table if f"{name}.".startswith(f"{key}."))
    return max(known, key=len, default=None)
