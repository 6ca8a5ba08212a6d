"""`slimnets migrate`: what is rewritten, what is told, and that all else stays."""

import sys

import pytest

pytest.importorskip("libcst")

from slimnets.cli import main, migration, old_file, rewriting


def migrated(source, own=()):
    file = old_file.File(source, own)
    return rewriting.migrate(file, old_file.is_tensorflow_1(file))


# What becomes of a text.
TF = "import tensorflow as tf\n"
V1 = "import tensorflow.compat.v1 as tf\ntf.disable_v2_behavior()\n"
REWRITTEN = {
    "import tf_slim as slim": "from slimnets import slim",
    "import tf_slim": "from slimnets import slim as tf_slim",
    "import tf_slim.nets": "from slimnets import slim as tf_slim",
    "import tensorflow.contrib.slim as slim": "from slimnets import slim",
    "import tensorflow.contrib.slim as s": "from slimnets import slim as s",
    "from tensorflow.contrib import slim": "from slimnets import slim",
    "from tensorflow.contrib import slim as contrib_slim":
        "from slimnets import slim as contrib_slim",
    "import tf_slim as slim, os": "from slimnets import slim\nimport os",
    "from tf_slim import nets, losses as l":
        "from slimnets.slim.contrib import nets\nfrom slimnets.slim import losses as l",
    "from tf_slim import *": "from slimnets.slim import *",
    "import tensorflow as tf\nslim = tf.contrib.slim\nx = slim.nets.vgg, slim.conv2d":
        f"{V1}from slimnets.slim.contrib import nets as tf_nets\n"
        "from slimnets import slim\nx = tf_nets.vgg, slim.conv2d",
    "from tf_slim.nets import resnet_v1, vgg":
        "from slimnets.slim.contrib.nets import resnet_v1, vgg",
    "from tensorflow.contrib.slim.nets import resnet_v2 as r":
        "from slimnets.slim.contrib.nets import resnet_v2 as r",
    "from tensorflow.contrib.slim.python.slim.nets import resnet_utils":
        "from slimnets.slim.contrib.nets import resnet_utils",
    "from tf_slim.layers import layers": "from slimnets.slim.layers import layers",
    "from tf_slim.ops.arg_scope import arg_scope":
        "from slimnets.slim.ops.arg_scope import arg_scope",
    "from tensorflow.contrib.slim.python.slim.learning import train_step":
        "from slimnets.slim.learning import train_step",
    "import tf_slim.losses as losses": "from slimnets.slim import losses",
    "from nets import inception": "from slimnets.slim.nets import inception",
    "from nets.resnet_v1 import resnet_v1_50":
        "from slimnets.slim.nets.resnet_v1 import resnet_v1_50",
    "from nets.mobilenet import mobilenet_v2":
        "from slimnets.slim.nets.mobilenet import mobilenet_v2",
    "from nets.nasnet import nasnet, pnasnet":
        "from slimnets.slim.nets.nasnet import nasnet, pnasnet",
    "from nets import cyclegan": "from slimnets.slim.nets import cyclegan",
    "import nets.vgg as v": "from slimnets.slim.nets import vgg as v",
    "from nets import (\n    vgg,  # deep\n    lenet,\n)":
        "from slimnets.slim.nets import (\n    vgg,  # deep\n    lenet,\n)",
    "from nets import vgg, mine":
        "from slimnets.slim.nets import vgg\nfrom nets import mine",
    "from nets import vgg; x = 1": "from slimnets.slim.nets import vgg; x = 1",
    "from preprocessing import preprocessing_factory":
        "from slimnets.slim.research.preprocessing import preprocessing_factory",
    "from datasets.dataset_utils import int64_feature":
        "from slimnets.slim.research.datasets.dataset_utils import int64_feature",
    "from deployment import model_deploy":
        "from slimnets.slim.research.deployment import model_deploy",
    # tf.contrib's other modules, each name where it is.
    "import tensorflow.contrib.layers as tcl\ntcl.conv2d(x)":
        "from slimnets import slim as tcl\ntcl.conv2d(x)",
    "from tensorflow.contrib.framework import arg_scope, nest":
        "from slimnets.slim import arg_scope\nfrom tensorflow.compat.v1 import nest",
    "from tensorflow.contrib.framework.python.ops import variables":
        "from slimnets.slim.ops import variables",
    "from tensorflow.contrib.data import map_and_batch":
        "from tensorflow.compat.v1.data.experimental import map_and_batch",
    "import tensorflow.contrib.metrics as m": "from slimnets.slim import metrics as m",
    "import tensorflow.contrib as c\nc.layers.flatten(x)":
        "from slimnets import slim\nslim.flatten(x)",
    # TensorFlow 1 itself.
    TF + "x = tf.placeholder(tf.float32)": V1 + "x = tf.placeholder(tf.float32)",
    "import tensorflow\nx = tensorflow.Session()":
        "import tensorflow.compat.v1 as tensorflow\n"
        "tensorflow.disable_v2_behavior()\nx = tensorflow.Session()",
    "from tensorflow import flags, Tensor\nimport tf_slim as slim":
        "from tensorflow.compat.v1 import flags\nfrom tensorflow import Tensor\n"
        "from slimnets import slim",
    TF + "slim = tf.contrib.slim": V1 + "from slimnets import slim",
    TF + "layers = tf.contrib.slim": V1 + "from slimnets import slim as layers",
    TF + "if tf:\n    slim = tf.contrib.slim  # here":
        V1 + "if tf:\n    from slimnets import slim  # here",
    f'"""Doc."""\n{TF}\nnet = tf.contrib.slim.conv2d(x)':
        f'"""Doc."""\n{V1}from slimnets import slim\n\nnet = slim.conv2d(x)',
    "import tensorflow as t\ndef f(slim):\n    return t.contrib.slim":
        "import tensorflow.compat.v1 as t\nt.disable_v2_behavior()\n"
        "from slimnets import slim as slimnets_slim\n"
        "def f(slim):\n    return slimnets_slim",
    TF + "a = tf.contrib.layers.l2_regularizer(tf.contrib.losses.hinge_loss)":
        V1 + "from slimnets import slim\n"
        "a = slim.l2_regularizer(slim.losses.hinge_loss)",
    TF + "a = tf.layers.dense(x, 2), tf.contrib.training.HParams(a=1)":
        V1 + "from slimnets.slim.contrib import layers as tf_layers\n"
        "from slimnets.slim.contrib import hparams as tf_hparams\n"
        "a = tf_layers.dense(x, 2), tf_hparams.HParams(a=1)",
    TF + "a = tf.mul(x, x), tf.nn.relu, tf.contrib.framework.nest.flatten":
        V1 + "a = tf.multiply(x, x), tf.nn.relu, tf.nest.flatten",
    "import tensorflow.compat.v1 as tf\na = tf.contrib.layers.xavier_initializer":
        "import tensorflow.compat.v1 as tf\nfrom slimnets import slim\n"
        "a = slim.xavier_initializer",
    # A form feed ends no line.
    TF + "\f\ndef f(x):\n    return tf.contrib.slim.flatten(x)":
        V1 + "from slimnets import slim\n\f\ndef f(x):\n    return slim.flatten(x)",
    "from tensorflow.python.ops import control_flow_ops as c\nc.cond, c.switch":
        "from tensorflow.python.ops import control_flow_ops as c\n"
        "import tensorflow.compat.v1 as tf\ntf.cond, c.switch",
}  # fmt: skip


@pytest.mark.parametrize("source", REWRITTEN)
def test_what_is_rewritten(source):
    wanted = REWRITTEN[source] + "\n"
    first = migrated(source + "\n")
    assert first.new == wanted
    assert not first.told
    assert migrated(wanted).new == wanted  # Once is enough.
    crlf = migrated(f"{source}\n".replace("\n", "\r\n"))
    assert crlf.new == wanted.replace("\n", "\r\n")


@pytest.mark.parametrize(
    "source",
    [
        "import slimnets\nfrom slimnets import slim\n",
        "from . import nets\nfrom .nets import vgg\nfrom .tf_slim import x\n",
        "import nets\nfrom nets import my_own\nfrom datasets import load_dataset\n",
        "text = 'import tf_slim as slim'  # tf.contrib.slim\n",
        "import tensorflow as tf\nx = tf.nn.relu(tf.zeros([2]))\n",
        "import tensorflow as tf\nx = tf.compat.v1.placeholder(tf.float32)\n",
        "my.tf.contrib.slim\n",
    ],
)
def test_what_is_somebody_elses_is_left_alone(source):
    assert migrated(source) == migration.Migrated(source, source)


def test_a_projects_own_packages_are_left_alone():
    source = "from nets import vgg\nfrom datasets import dataset_factory\n"
    assert migrated(source, {"nets", "datasets"}).new == source


BY_HAND = {
    TF + "x = tf.estimator.Estimator(f)": "has dropped estimators",
    TF + "x = tf.contrib.crf.crf_log_likelihood": "tensorflow_addons",
    TF + "x = tf.contrib.layers.real_valued_column": "feature_column",
    "from tensorflow.contrib.seq2seq import Helper": "tensorflow_addons",
    "from tensorflow.contrib import slim\nslim.no_such_name": "no such name",
}


@pytest.mark.parametrize("source", BY_HAND)
def test_what_is_told(source):
    (told,) = migrated(source).told
    assert BY_HAND[source] in told.note or BY_HAND[source] in str(told)
    assert told.line == 1 + source.count("\n")
    assert f"{told.line}: " in str(told) and "by hand" in str(told)


def test_what_is_written_can_be_imported():
    new = {line for text in REWRITTEN.values() for line in text.split("\n")}
    for line in sorted(new):
        if not line.startswith(("from slimnets", "from tensorflow.compat")):
            continue
        if not line.endswith("("):
            exec(line.partition(";")[0], {})


# The command.


def call(*arguments):
    return main.main(["migrate", *map(str, arguments)])


def test_the_command_shows_a_diff_and_then_writes(tmp_path, capsys):
    (tmp_path / "inner").mkdir()
    (tmp_path / ".hidden").mkdir()
    first, second = tmp_path / "a.py", tmp_path / "inner" / "b.py"
    source = "# -*- coding: utf-8 -*-\r\nimport tf_slim as slim  # ä\r\nx = 1 ;\r\n"
    first.write_bytes(source.encode())
    first.chmod(0o755)
    second.write_text("from nets import vgg\n" + TF + "x = tf.zeros([1])\n")
    (tmp_path / ".hidden" / "c.py").write_text("import tf_slim\n")
    (tmp_path / "notes.txt").write_text("import tf_slim\n")

    assert call(tmp_path) == 1
    out = capsys.readouterr().out
    assert "-import tf_slim as slim  # ä" in out
    assert "+from slimnets import slim  # ä" in out
    assert "2 of 2 files to rewrite, 0 places by hand" in out
    assert first.read_bytes() == source.encode()

    assert call("--write", tmp_path) == 0
    assert "2 of 2 files rewritten, 0 places by hand" in capsys.readouterr().out
    changed = source.replace("import tf_slim as slim", "from slimnets import slim")
    assert first.read_bytes() == changed.encode()
    assert first.stat().st_mode & 0o777 == 0o755
    # One file of TensorFlow 1 makes the project so.
    assert second.read_text() == (
        f"from slimnets.slim.nets import vgg\n{V1}x = tf.zeros([1])\n"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".hidden", "a.py", "inner", "notes.txt",
    ]  # fmt: skip
    assert call("--write", tmp_path) == 0
    assert "0 of 2 files rewritten" in capsys.readouterr().out
    assert first.read_bytes() == changed.encode()


def test_the_projects_own_packages_are_found(tmp_path, capsys):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "vgg.py").write_text("")
    (tmp_path / "main.py").write_text("from nets import vgg\n")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "preprocessing.py").write_text("")
    (tmp_path / "tools" / "run.py").write_text("from preprocessing import vgg\n")
    for path in (tmp_path, tmp_path / "main.py"):
        assert call(path) == 0
        assert "0 of" in capsys.readouterr().out


def test_what_python_3_cannot_read_is_told_and_the_rest_goes_on(tmp_path, capsys):
    (tmp_path / "old.py").write_text("import tf_slim\nprint 'x'\n")
    (tmp_path / "tabs.py").write_text("if 1:\n    a = 1\n\tb = 2\n")
    (tmp_path / "odd.py").write_bytes(b"# \xff\n")
    (tmp_path / "new.py").write_text("import tf_slim\n")
    assert call("--write", tmp_path) == 1
    out, err = capsys.readouterr()
    assert "1 of 4 files rewritten, 0 places by hand, 3 files not read" in out
    assert "old.py: not read: line 2: Missing parentheses in call to 'print'" in err
    assert "tabs.py: not read: line 3: inconsistent use of tabs and spaces" in err
    assert "odd.py: not read:" in err
    assert (tmp_path / "new.py").read_text() == "from slimnets import slim as tf_slim\n"


def test_wrong_use(tmp_path, capsys, monkeypatch):
    assert call() == 2
    assert "one PATH" in capsys.readouterr().err
    assert call(tmp_path / "nothing") == 2
    assert "nothing: no such file or folder" in capsys.readouterr().err
    (tmp_path / "a.py").write_text("import tf_slim\n")
    monkeypatch.setitem(sys.modules, "libcst", None)
    assert call(tmp_path) == 1
    assert "pip install 'slimnets[migrate]'" in capsys.readouterr().err
