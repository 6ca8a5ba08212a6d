"""`slimnets run`: TensorFlow 1 for a program, and nothing else changed for it.

Each start of TensorFlow takes seconds, so that one program checks many things.
"""

import os
import subprocess
import sys
import textwrap

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": ROOT,
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def python(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )


def run(*arguments, cwd=None):
    return python("-m", "slimnets", "run", *arguments, cwd=cwd)


def write(folder, files):
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(textwrap.dedent(text))


PLAIN = """
    import os, sys
    import helper
    print(sys.argv, sys.path[0], __file__, __name__, __package__, __doc__)
    print(sorted(globals()), sys.modules["__main__"].__dict__ is globals())
    print([name for name in sys.modules if name.startswith("tensorflow")])
    if "exit" in sys.argv:
        sys.exit(7)
    if "word" in sys.argv:
        sys.exit("stopped")
    if "interrupt" in sys.argv:
        raise KeyboardInterrupt
    if "hook" in sys.argv:
        sys.excepthook = lambda kind, value, trace: print(trace.tb_lineno, value)
    if "raise" in sys.argv or "hook" in sys.argv:
        helper.fail()
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help", "--report", "-m"],
        ["exit"],
        ["word"],
        ["interrupt"],
        ["raise"],
        ["hook"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_program_sees_what_python_shows_it(tmp_path, arguments):
    write(
        tmp_path,
        {
            "inner/program": PLAIN,
            "inner/helper": "def fail():\n    raise ValueError('no')\n",
        },
    )
    name = os.path.join("inner", "program.py")
    plain, ours = (
        python(name, *arguments, cwd=tmp_path),
        run(name, *arguments, cwd=tmp_path),
    )
    assert ours.stdout == plain.stdout != ""
    assert ours.stderr == plain.stderr
    assert ours.returncode == plain.returncode


def test_modules_folders_and_what_is_not_there(tmp_path):
    show = "import sys\nprint(sys.argv, sys.path[0], __name__, __package__, __file__)\n"
    write(tmp_path, {"pack/__init__": "", "pack/one": show, "broken": "x = (\n"})
    (tmp_path / "pack" / "__main__.py").write_text(show)
    for arguments in (["-m", "pack.one", "-m"], ["-m", "pack", "--x"], ["pack", "y"]):
        plain, ours = python(*arguments, cwd=tmp_path), run(*arguments, cwd=tmp_path)
        assert (ours.stdout, ours.returncode) == (plain.stdout, 0), arguments
    for arguments in (["nothing.py"], ["broken.py"], ["-m", "nothing"]):
        plain, ours = python(*arguments, cwd=tmp_path), run(*arguments, cwd=tmp_path)
        assert (ours.stderr, ours.returncode) == (plain.stderr, plain.returncode)
    usage = run()
    assert usage.returncode == 2 and "needs a PROGRAM" in usage.stderr
    assert "PROGRAM" in run("--help").stdout


OLD = """
    from __future__ import print_function
    import sys
    from nets import inception, nets_factory      # research/slim's.
    from nets.mobilenet import mobilenet_v2
    import preprocessing                          # The project's own.
    from preprocessing import mine
    import numpy as np
    import tensorflow as tf
    import tensorflow.contrib.slim as slim
    import tensorflow.contrib as tf_contrib
    import tensorflow.contrib.layers as tcl
    from tensorflow.contrib import slim as again
    from tensorflow.contrib.framework import arg_scope, nest
    from tensorflow.contrib.framework.python.ops import arg_scope as scope_function
    from tensorflow.contrib.framework.python.ops import variables as contrib_variables
    from tensorflow.contrib.framework.python.ops.arg_scope import add_arg_scope
    from tensorflow.contrib.layers.python.layers import initializers, layers, utils
    from tensorflow.contrib.layers.python.layers.layers import conv2d
    from tensorflow.contrib.slim.nets import resnet_v1
    from tensorflow.contrib.slim.python.slim.data import parallel_reader
    from tensorflow.contrib.slim.python.slim.learning import train_step
    from tensorflow.contrib.training.python.training import evaluation
    from tensorflow.contrib.crf import crf_log_likelihood    # Is nowhere.
    from tensorflow.examples.tutorials.mnist import input_data
    from tensorflow.python.ops import control_flow_ops
    from tensorflow.python.framework import ops
    from tensorflow.python import pywrap_tensorflow
    from deployment import model_deploy
    from datasets import dataset_factory

    assert again is not None and tcl.conv2d is slim.conv2d is conv2d is layers.conv2d
    assert arg_scope is slim.arg_scope is scope_function
    assert add_arg_scope is slim.add_arg_scope and nest is tf.nest
    assert tf.contrib.layers.python.layers.utils is utils
    assert tf_contrib.losses.softmax_cross_entropy is slim.losses.softmax_cross_entropy
    assert tf.contrib.metrics.streaming_mean is slim.metrics.streaming_mean
    assert contrib_variables.model_variable is slim.model_variable
    assert resnet_v1.resnet_v1_50 is slim.nets.resnet_v1.resnet_v1_50
    assert mine.NAME == "mine" and preprocessing.__file__.startswith(sys.path[0])
    assert tf.__version__.startswith("1.") and not tf.executing_eagerly()
    assert tf.app.flags is tf.flags and tf.gfile.Exists and tf.logging.INFO
    assert control_flow_ops.cond and ops.Tensor is tf.Tensor
    assert pywrap_tensorflow.NewCheckpointReader is tf.train.NewCheckpointReader
    assert tf.nn.rnn_cell.LSTMCell is tf.contrib.rnn.LSTMCell
    assert tf.contrib.data.map_and_batch is tf.data.experimental.map_and_batch
    assert tf.estimator.ModeKeys.TRAIN == "train" and tf.mul is tf.multiply
    assert not hasattr(tf, "nothing") and not hasattr(tf.nn, "nothing")
    assert "contrib" in dir(tf) and "conv2d" in dir(tf.contrib.layers)

    class Mentioned(tf.contrib.seq2seq.Helper):
        pass

    for use in (
        Mentioned,
        crf_log_likelihood,
        lambda: input_data.read_data_sets("x"),
        lambda: tf.estimator.Estimator(None),
        lambda: tf.contrib.made.up.name,
    ):
        try:
            use()
        except AttributeError as error:
            assert "is not in TensorFlow 2: " in str(error), error
        else:
            raise AssertionError(use)
    try:
        tf.nothing
    except AttributeError as error:
        assert str(error) == "module 'tensorflow' has no attribute 'nothing'"

    tf.set_random_seed(0)
    images = tf.placeholder(tf.float32, [2, 8, 8, 3])
    with slim.arg_scope([slim.conv2d], weights_regularizer=tcl.l2_regularizer(1e-4)):
        net = slim.conv2d(images, 4, 3, normalizer_fn=slim.batch_norm)
    net = tf.layers.batch_normalization(tf.layers.conv2d(net, 4, 3), training=True)
    net = control_flow_ops.cond(tf.constant(True), lambda: net * 2, lambda: net)
    logits = tf.layers.dense(slim.flatten(net), 3, name="logits")
    slim.losses.softmax_cross_entropy(logits, tf.one_hot([0, 2], 3))
    train_op = slim.learning.create_train_op(
        slim.losses.get_total_loss(), tf.train.GradientDescentOptimizer(0.01))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        feed = {images: np.random.default_rng(0).normal(size=[2, 8, 8, 3])}
        losses = [session.run(train_op, feed) for _ in range(5)]
    assert losses[-1] < losses[0], losses

    # What is written for TensorFlow 2 goes on seeing it.
    import slimnets
    from slimnets.model import store
    assert store.tf.__version__ == slimnets.slim.tf.__version__ != tf.__version__
    assert tf.keras.layers.Dense

    try:
        import fails
    except ZeroDivisionError:
        assert "fails" not in sys.modules
    print("all holds")
"""


def test_an_old_program_runs_unedited(tmp_path):
    write(
        tmp_path,
        {
            "program": OLD,
            "preprocessing/__init__": "",
            "preprocessing/mine": "NAME = 'mine'",
            "fails": "import tensorflow.contrib.image\n1 / 0\n",
        },
    )
    done = run("--report", tmp_path / "program.py")
    assert done.stdout.strip().endswith("all holds"), done.stderr[-3000:]
    assert done.returncode == 0
    assert "  tensorflow.contrib.crf.crf_log_likelihood: missing" in done.stderr
    assert (
        "  tensorflow.layers.dense: slimnets.slim.contrib.layers.dense" in done.stderr
    )


PYTHON_2 = """
    import cPickle
    import sys
    import numpy as np
    from whole import half
    assert half(3) == 1 and half(3.0) == 1.5
    assert half(np.arange(4)).tolist() == [0, 0, 1, 1]
    assert 3 / 2 == 1
    x = 7
    x /= 2
    assert x == 3
    assert list({1: 2}.iteritems()) == [(1, 2)] and list(xrange(2)) == [0, 1]
    class Own(object):
        def iteritems(self):
            return "own"
    assert Own().iteritems() == "own"
    assert unicode is str and np.float is float and np.product([2, 3]) == 6
    assert np.infty == np.inf
    sys.path.append(sys.path[0] + "/installed")
    from installed_package import quotient
    assert quotient == 1.5
    from exact import third
    assert third == 1 / 3.0
    from package.user import found
    assert found == "beside"
    try:
        import translated
    except SyntaxError:
        assert sys.version_info >= (3, 13)
    print("all holds")
"""


def test_python_2_and_numpy_1(tmp_path):
    write(
        tmp_path,
        {
            "program": PYTHON_2,
            "whole": "def half(x):\n    return x / 2\n",
            "package/__init__": "from user import found as again",
            "package/user": "import beside\nfound = beside.NAME\n",
            "package/beside": "NAME = 'beside'\n",
            "translated": "if 1:\n        print 'a', 3 / 2\n\tx = {}.has_key(1)\n",
            "installed/installed_package": "quotient = 3 / 2\n",
            "installed/installed_package-1.0.dist-info/METADATA": "",
            "exact": "from __future__ import division\nthird = 1 / 3\n",
        },
    )
    done = run("--numpy1", "--python2", tmp_path / "program.py")
    assert done.stdout.endswith("all holds\n"), done.stderr
    assert sys.version_info >= (3, 13) or done.stdout.startswith("a 1\n")
    # Nothing compiled so is kept for a Python that reads the same text.
    check = "import whole; assert whole.half(3) == 1.5"
    assert python("-c", check, cwd=tmp_path).returncode == 0


INSTALL = """
    import sys
    import tensorflow as real
    before = list(sys.meta_path)
    from slimnets.slim import contrib
    assert sys.meta_path == before and "tensorflow.contrib" not in sys.modules
    contrib.install()
    contrib.install()
    assert len(sys.meta_path) == len(before) + 2
    import tensorflow as tf
    assert not hasattr(real, "contrib") and real.__version__ != tf.__version__
    assert tf.contrib.slim.conv2d and tf.contrib.training.HParams(a=1).a == 1
    from nets import vgg
    assert vgg.vgg_16
    print("all holds")
"""


def test_install_is_for_one_process_and_once(tmp_path):
    write(tmp_path, {"program": INSTALL})
    done = python(tmp_path / "program.py")
    assert done.stdout == "all holds\n", done.stderr[-2000:]
