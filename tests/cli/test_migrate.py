"""`slimnets migrate`: what is rewritten, what is told, and that all else stays."""

import builtins
import sys

import pytest

pytest.importorskip("libcst")

from slimnets.cli import main, migration


def migrated(source):
    return migration.rewritten(source, migration.find(source))


# One statement, and what becomes of it.
REWRITTEN = {
    "import tf_slim as slim": "from slimnets import slim",
    "import tf_slim": "from slimnets import slim as tf_slim",
    "import tensorflow.contrib.slim as slim": "from slimnets import slim",
    "import tensorflow.contrib.slim as s": "from slimnets import slim as s",
    "from tensorflow.contrib import slim": "from slimnets import slim",
    "from tensorflow.contrib import slim as contrib_slim":
        "from slimnets import slim as contrib_slim",
    "import tf_slim as slim, os": "from slimnets import slim\nimport os",
    "from tf_slim import nets, losses as l":
        "from slimnets.slim import nets, losses as l",
    "from tf_slim import *": "from slimnets.slim import *",
    "from tf_slim.nets import resnet_v1, vgg":
        "from slimnets.nets import resnet_v1, vgg",
    "from tensorflow.contrib.slim.nets import resnet_v2 as r":
        "from slimnets.nets import resnet_v2 as r",
    "from tensorflow.contrib.slim.python.slim.nets import resnet_utils":
        "from slimnets.nets import resnet_utils",
    "from tf_slim.layers import layers": "from slimnets.slim.layers import layers",
    "from tf_slim.ops.arg_scope import arg_scope":
        "from slimnets.slim.ops.arg_scope import arg_scope",
    "from tensorflow.contrib.slim.python.slim.learning import train_step":
        "from slimnets.slim.learning import train_step",
    "import tf_slim.losses as losses": "from slimnets.slim import losses",
    "from nets import inception": "from slimnets.nets import inception",
    "from nets.resnet_v1 import resnet_v1_50":
        "from slimnets.nets.resnet_v1 import resnet_v1_50",
    "from nets.mobilenet import mobilenet_v2":
        "from slimnets.nets import mobilenet_v2",
    "from nets.nasnet import nasnet, pnasnet":
        "from slimnets.nets import nasnet, pnasnet",
    "import nets.vgg as vgg": "from slimnets.nets import vgg",
    "import nets.vgg as v": "from slimnets.nets import vgg as v",
    "from nets import (\n    vgg,  # deep\n    lenet,\n)":
        "from slimnets.nets import (\n    vgg,  # deep\n    lenet,\n)",
    "from nets import vgg, cyclegan":
        "from slimnets.nets import vgg\nfrom nets import cyclegan",
    "from nets import vgg; x = 1": "from slimnets.nets import vgg; x = 1",
    "import tensorflow as tf\nslim = tf.contrib.slim":
        "import tensorflow as tf\nfrom slimnets import slim",
    "import tensorflow as tf\nlayers = tf.contrib.slim":
        "import tensorflow as tf\nfrom slimnets import slim as layers",
    "import tensorflow as tf\nif tf:\n    slim = tf.contrib.slim  # here":
        "import tensorflow as tf\nif tf:\n    from slimnets import slim  # here",
    '"""Doc."""\nimport tensorflow as tf\n\nnet = tf.contrib.slim.conv2d(x)':
        '"""Doc."""\nimport tensorflow as tf\nfrom slimnets import slim\n\n'
        "net = slim.conv2d(x)",
    "import tensorflow as t\ndef f(slim):\n    return t.contrib.slim":
        "import tensorflow as t\nfrom slimnets import slim as slimnets_slim\n"
        "def f(slim):\n    return slimnets_slim",
    "import tf_slim as slim\nimport tensorflow as tf\ntf.contrib.slim.nets.vgg.vgg_a":
        "from slimnets import slim\nimport tensorflow as tf\nslim.nets.vgg.vgg_a",
}  # fmt: skip


@pytest.mark.parametrize("source", REWRITTEN)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_is_rewritten(source, ending):
    wanted = REWRITTEN[source] + "\n"
    assert migrated(source + "\n") == wanted
    # Once is enough, and what is told of it is what was asked to stay.
    assert not [f for f in migration.find(wanted) if f.new is not None]
    if ending == "\r\n" and "\n" not in REWRITTEN[source]:
        assert migrated(f"x = 0\r\n{source}\r\n") == f"x = 0\r\n{REWRITTEN[source]}\r\n"


@pytest.mark.parametrize(
    "source",
    [
        "import slimnets\nfrom slimnets import slim\n",
        "from . import nets\nfrom .nets import vgg\nfrom .tf_slim import x\n",
        "import nets\nfrom nets import my_own\nfrom datasets import load_dataset\n",
        "import tensorflow as tf\nx = tf.slim\ny = my.tf.contrib.slim\n",
        "text = 'import tf_slim as slim'  # tf.contrib.slim\n",
    ],
)
def test_what_is_somebody_elses_is_left_alone(source):
    assert not migration.find(source)
    assert migrated(source) == source


BY_HAND = {
    "import tf_slim.nets": "take the name from `slim`",
    "from tensorflow.contrib import layers": "slimnets.slim.layers",
    "import tensorflow as tf\ntf.contrib.framework.arg_scope": "variable helpers",
    "import tensorflow as tf\ntf.contrib.training.HParams": "no contrib",
    "from nets import cyclegan": "no such module",
    "from nets.mobilenet import conv_blocks": "mobilenet_v2",
    "from deployment import model_deploy": "tf.distribute",
    "from preprocessing import preprocessing_factory": "slimnets.data",
    "from datasets import dataset_factory": "slimnets.data",
}


@pytest.mark.parametrize("source", BY_HAND)
def test_what_is_told(source):
    (finding,) = migration.find(source)
    assert finding.new is None and BY_HAND[source] in finding.note
    assert finding.line == 1 + source.count("\n")
    assert f"{finding.line}: " in str(finding) and "by hand" in str(finding)
    assert migrated(source) == source


IMPORTED = [new for new in REWRITTEN.values() if new.startswith("from slimnets")]


def test_what_is_written_can_be_imported():
    for line in sorted({line for new in IMPORTED for line in new.split(";")[:1]}):
        code = line.partition("\nimport")[0].partition("\nfrom nets")[0]
        exec(code.partition("\nslim.nets")[0].partition("\nimport")[0], {})


# The command.


def call(*arguments):
    return main.main(["migrate", *map(str, arguments)])


def test_the_command_reports_and_then_writes(tmp_path, capsys):
    (tmp_path / "inner").mkdir()
    (tmp_path / ".hidden").mkdir()
    first, second = tmp_path / "a.py", tmp_path / "inner" / "b.py"
    source = "# -*- coding: utf-8 -*-\r\nimport tf_slim as slim  # ä\r\nx = 1 ;\r\n"
    first.write_bytes(source.encode())
    second.write_text("from deployment import model_deploy\nfrom nets import vgg\n")
    (tmp_path / ".hidden" / "c.py").write_text("import tf_slim\n")
    (tmp_path / "notes.txt").write_text("import tf_slim\n")

    assert call(tmp_path) == 1
    out = capsys.readouterr().out
    assert f"{first}:2: import tf_slim as slim -> from slimnets import slim" in out
    assert f"{second}:1: deployment.model_deploy: by hand" in out
    assert "2 to rewrite in 2 of 2 files, 1 by hand" in out
    assert first.read_bytes() == source.encode()

    assert call("--write", tmp_path) == 1
    assert "2 rewritten in 2 of 2 files, 1 by hand" in capsys.readouterr().out
    changed = source.replace("import tf_slim as slim", "from slimnets import slim")
    assert first.read_bytes() == changed.encode()
    assert call("--write", first) == 0
    assert "0 rewritten in 0 of 1 files, 0 by hand" in capsys.readouterr().out
    assert first.read_bytes() == changed.encode()


def test_what_is_not_python_3_is_told_and_the_rest_goes_on(tmp_path, capsys):
    (tmp_path / "old.py").write_text("import tf_slim\nprint 'x'\n")
    (tmp_path / "odd.py").write_bytes(b"# \xff\n")
    (tmp_path / "new.py").write_text("import tf_slim\n")
    assert call("--write", tmp_path) == 1
    out, err = capsys.readouterr()
    assert "1 rewritten in 1 of 3 files, 0 by hand, 2 not read" in out
    assert "old.py: not read: line 2: this is not Python 3" in err
    assert "odd.py: not read:" in err
    assert (tmp_path / "new.py").read_text() == "from slimnets import slim as tf_slim\n"


def test_wrong_use(tmp_path, capsys, monkeypatch):
    assert call() == 2
    assert "one PATH" in capsys.readouterr().err
    assert call(tmp_path / "nothing") == 2
    assert "nothing: no such file or folder" in capsys.readouterr().err
    (tmp_path / "a.py").write_text("import tf_slim\n")
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.split(".")[0] == "libcst":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "libcst", raising=False)
    assert call(tmp_path) == 1
    assert "pip install 'slimnets[migrate]'" in capsys.readouterr().err
