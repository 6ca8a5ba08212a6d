"""Lint finds each planted fault, and nothing in any registered network."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from tests.helpers import v1


def kinds(report):
    return {finding.kind for finding in report}


def images():
    return v1.placeholder(tf.float32, [None, 33, 33, 3], name="images")


# A batch norm as Keras of TensorFlow 1 wired it: control flow of switches and merges.
KERAS_NORM = """
gamma VarHandleOp
beta VarHandleOp
moving_mean VarHandleOp
moving_variance VarHandleOp
cond/Switch Switch {phase} {phase}
cond/switch_t Identity cond/Switch:1
cond/pred_id Identity {phase}
cond/gamma/Switch Switch gamma cond/pred_id
cond/gamma ReadVariableOp cond/gamma/Switch:1
cond/beta/Switch Switch beta cond/pred_id
cond/beta ReadVariableOp cond/beta/Switch:1
cond/mean ReadVariableOp moving_mean
cond/variance ReadVariableOp moving_variance
cond/inputs/Switch Switch {inputs} cond/pred_id
cond/FusedBatchNormV3 FusedBatchNormV3 cond/inputs/Switch:1 cond/gamma cond/beta
cond/FusedBatchNormV3_1 FusedBatchNormV3 cond/inputs/Switch cond/gamma cond/beta {fixed}
cond/Merge Merge cond/FusedBatchNormV3_1 cond/FusedBatchNormV3
cond/Merge_1 Merge moving_mean cond/FusedBatchNormV3:1
AssignMovingAvg/AssignSubVariableOp AssignSubVariableOp moving_mean cond/Merge_1
"""
PHASE = "batch_normalization/keras_learning_phase"


def keras_of_tf1(phase=PHASE, count=3):
    """A GraphDef whose batch norms all read the phase, which the first one made."""
    graph = v1.GraphDef()
    graph.node.add(name="inputs", op="Placeholder")
    graph.node.add(name=f"{phase}/input", op="Const")
    graph.node.add(name=phase, op="PlaceholderWithDefault", input=[f"{phase}/input"])
    inputs = "inputs"
    for index in range(count):
        scope = f"batch_normalization_{index}" if index else "batch_normalization"
        lines = KERAS_NORM.format(
            phase="^phase", inputs="^inputs", fixed="cond/mean cond/variance"
        )
        outer = {"^phase": phase, "^inputs": inputs}
        for line in lines.strip().splitlines():
            name, op, *sources = line.split()
            sources = [outer.get(n) or f"{scope}/{n}" for n in sources]
            graph.node.add(name=f"{scope}/{name}", op=op, input=sources)
        inputs = f"{scope}/cond/Merge"
    return graph


def test_the_learning_phase_in_the_first_batch_norm_is_found():
    (finding,) = slimnets.lint_graph(keras_of_tf1())
    assert (finding.kind, finding.name) == ("shared tensor", PHASE)
    readers = ("batch_normalization_1", "batch_normalization_2")
    assert finding.readers == readers
    for words in (PHASE, "inside the layer batch_normalization,", *readers, "outside"):
        assert words in str(finding)
    # As later versions made it.
    assert not slimnets.lint_graph(keras_of_tf1("keras_learning_phase"))


def norms_in_branches(own_phase, outside, made_of_parts=False, name=None):
    """Norms that choose by tf.cond, whose functions If holds; a phase for all."""
    with tf.Graph().as_default() as graph:
        net = layers.conv2d(images(), 4, 3, scope="conv")
        phase = v1.placeholder_with_default(False, [], "phase")
        for index in range(3):
            layer = f"norm_{index}"
            with v1.variable_scope(f"kept/{layer}" if outside else layer):
                variables = [
                    v1.get_variable(part, [4], use_resource=True)
                    for part in ("gamma", "beta", "mean", "variance")
                ]
            with v1.name_scope(f"{layer}/"):
                if own_phase and index == 0:
                    phase = v1.placeholder_with_default(False, [], "phase")
                net = v1.cond(
                    phase,
                    lambda net=net, v=variables: normalized(net, v, made_of_parts),
                    lambda net=net, v=variables: fixed(net, v),
                    name=name,
                )
    return graph


def normalized(net, variables, made_of_parts):
    gamma, beta, _, _ = variables
    if made_of_parts:
        mean, variance = tf.nn.moments(net, [0, 1, 2])
        return tf.nn.batch_normalization(net, mean, variance, beta, gamma, 1e-3)
    return v1.nn.fused_batch_norm(net, gamma, beta)[0]


def fixed(net, variables):
    gamma, beta, mean, variance = variables
    return tf.nn.batch_normalization(net, mean, variance, beta, gamma, 1e-3)


@pytest.fixture(params=["functions", "switches"])
def control_flow(request):
    """tf.cond as either version of TensorFlow makes it."""
    was = v1.control_flow_v2_enabled()
    (v1.enable_control_flow_v2 if request.param == "functions" else
     v1.disable_control_flow_v2)()  # fmt: skip
    yield request.param
    (v1.enable_control_flow_v2 if was else v1.disable_control_flow_v2)()


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("made_of_parts", [False, True])
@pytest.mark.parametrize("name", [None, "by_phase"])
def test_a_phase_inside_of_norms_with_branches_is_found(
    control_flow, outside, made_of_parts, name
):
    graph = norms_in_branches(True, outside, made_of_parts, name)
    (finding,) = slimnets.lint_graph(graph)
    assert (finding.kind, finding.name) == ("shared tensor", "norm_0/phase")
    assert finding.readers == ("norm_1", "norm_2")
    assert not slimnets.lint_graph(norms_in_branches(False, outside, made_of_parts))


@pytest.mark.parametrize("made_of_parts", [False, True])
@pytest.mark.parametrize("phase", ["true", "false", "fed"])
def test_training_mode_in_a_branch_is_found(made_of_parts, phase):
    with tf.Graph().as_default() as graph, v1.name_scope("norm"):
        net, variables = images(), [tf.ones([3])] * 4
        predicate = {
            "true": lambda: v1.placeholder_with_default(True, []),
            "false": lambda: v1.placeholder_with_default(False, []),
            "fed": lambda: v1.placeholder(tf.bool, []),
        }[phase]()
        v1.cond(
            predicate,
            lambda: tf.nn.dropout(normalized(net, variables, made_of_parts), 0.5),
            lambda: fixed(net, variables),
        )
    report = slimnets.lint_graph(graph, inference=True)
    assert len(report) == (0 if phase == "false" else 2)
    assert all(f.name.startswith("norm/cond/") and f.name in str(f) for f in report)


def test_of_many_readers_three_are_shown():
    (finding,) = slimnets.lint_graph(keras_of_tf1(count=50))
    assert len(finding.readers) == 49
    assert "read by 49 other layers: batch_normalization_1, " in str(finding)
    assert " and 46 more. Make it" in str(finding)


def test_an_inner_tensor_that_another_layer_reads_is_found():
    with tf.Graph().as_default() as graph:
        net = layers.conv2d(images(), 4, 3, scope="first")
        inner = graph.get_tensor_by_name("first/BiasAdd:0")
        layers.conv2d(net, 4, 3, scope="second")
        layers.conv2d(inner, 4, 3, scope="third")
    (finding,) = slimnets.lint_graph(graph)
    assert (finding.kind, finding.name) == ("shared tensor", "first/BiasAdd")


def train_graph(updates="run", regularizers="in the loss"):
    """A training step that may forget what it should not."""
    with tf.Graph().as_default() as graph:
        with slimnets.arg_scope(
            [layers.conv2d],
            normalizer_fn=layers.batch_norm,
            weights_regularizer=layers.l2_regularizer(0.1),
        ):
            net = layers.conv2d(images(), 4, 3)
        loss = tf.reduce_mean(net)
        if regularizers != "forgotten":
            added = tf.add_n(v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES))
            v1.summary.scalar("regularization", added)
        if regularizers == "in the loss":
            loss += added
        waiting = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
        if updates == "read again":
            waiting = []
            (mean,) = (v for v in v1.global_variables() if "moving_mean" in v.name)
            v1.assign_sub(mean, tf.zeros([4]))
        with tf.control_dependencies(waiting if updates == "run" else []):
            v1.train.GradientDescentOptimizer(0.1).minimize(loss)
    return graph


FORGOTTEN = {
    "updates": ("lost update", 2, {"updates": "forgotten"}),
    "updates and reads": ("lost update", 3, {"updates": "read again"}),
    "regularizers": ("lost regularizer", 1, {"regularizers": "forgotten"}),
    "all but a summary": ("lost regularizer", 1, {"regularizers": "in a summary"}),
}


@pytest.mark.parametrize("what", FORGOTTEN)
def test_what_a_training_step_forgets_is_found(what):
    assert not slimnets.lint_graph(train_graph())
    kind, count, options = FORGOTTEN[what]
    report = slimnets.lint_graph(train_graph(**options))
    assert [finding.kind for finding in report] == [kind] * count


@pytest.mark.parametrize("fault", ["norm", "plain norm", "dropout", None])
def test_training_mode_for_inference_is_found(fault):
    with tf.Graph().as_default() as graph:
        net = layers.conv2d(
            images(), 32, 3, weight_transform=layers.weight_standardization
        )
        net = layers.batch_norm(net, is_training=fault == "norm")
        net = layers.group_norm(net)
        net = layers.batch_norm(net, is_training=fault == "plain norm", sync=True)
        layers.dropout(net, is_training=fault == "dropout")
    assert not slimnets.lint_graph(graph)
    report = slimnets.lint_graph(graph, inference=True)
    assert kinds(report) == ({"training mode"} if fault else set())


def test_unused_variables_are_found():
    with tf.Graph().as_default() as graph:
        layers.conv2d(images(), 4, 3)
        v1.get_variable("lonely", [3], initializer=v1.zeros_initializer())
        v1.train.Saver()
    (finding,) = slimnets.lint_graph(graph)
    assert (finding.kind, finding.name) == ("unused variable", "lonely")


def test_a_network_built_twice_on_the_same_inputs_is_found():
    with tf.Graph().as_default() as graph:
        inputs = images()
        build = functools.partial(
            slimnets.build, "resnet_v1_cifar_20", num_classes=2, scope="net"
        )
        build(inputs)
        build(inputs, reuse=True)
    assert kinds(slimnets.lint_graph(graph)) == {"duplicate"}
    with tf.Graph().as_default() as graph:
        layers.conv2d(images(), 4, 3, scope="same")
        layers.conv2d(images(), 4, 3, scope="same", reuse=True)
    assert not slimnets.lint_graph(graph)


def test_files_are_read(tmp_path):
    graph = keras_of_tf1()
    v1.train.write_graph(graph, str(tmp_path), "graph.pb", as_text=False)
    v1.train.write_graph(graph, str(tmp_path), "graph.pbtxt", as_text=True)
    for name in ("graph.pb", "graph.pbtxt"):
        assert kinds(slimnets.lint_graph(tmp_path / name)) == {"shared tensor"}
    with tf.Graph().as_default():
        v1.summary.FileWriter(str(tmp_path / "logs"), filename_suffix=".eval").close()
        v1.summary.FileWriter(str(tmp_path / "logs"), graph_def=graph).close()
    (log,) = (tmp_path / "logs").glob("*.eval")
    with log.open("ab") as file:
        file.write(b"\x18")  # Of a record that is still being written.
    assert kinds(slimnets.lint_graph(tmp_path / "logs")) == {"shared tensor"}

    model = slimnets.Model("resnet_v1_cifar_20", num_classes=2)
    model.build([None, 16, 16, 3])
    tf.saved_model.save(
        model,
        str(tmp_path / "clean"),
        signatures=tf.function(lambda x: model(x)).get_concrete_function(
            tf.TensorSpec([None, 16, 16, 3], tf.float32)
        ),
    )
    assert not slimnets.lint_graph(tmp_path / "clean")
    tf.saved_model.save(
        model,
        str(tmp_path / "training"),
        signatures=tf.function(lambda x: model(x, training=True)).get_concrete_function(
            tf.TensorSpec([None, 16, 16, 3], tf.float32)
        ),
    )
    assert kinds(slimnets.lint_graph(tmp_path / "training")) == {"training mode"}


def test_what_is_no_graph_raises(tmp_path):
    (tmp_path / "noise.pb").write_bytes(np.random.default_rng(0).bytes(100))
    with pytest.raises(ValueError, match="not a GraphDef"):
        slimnets.lint_graph(tmp_path / "noise.pb")
    (tmp_path / "noise.pbtxt").write_text("node {")
    with pytest.raises(ValueError, match="not a GraphDef"):
        slimnets.lint_graph(tmp_path / "noise.pbtxt")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").write_bytes(b"\xff" * 9)
    with pytest.raises(ValueError, match="not a SavedModel"):
        slimnets.lint_graph(tmp_path / "saved")
    (tmp_path / "log").mkdir()
    (tmp_path / "log/events.out.tfevents.1").write_bytes(b"\xff" * 99)
    with pytest.raises(ValueError, match="has no graph"):
        slimnets.lint_graph(tmp_path / "log")
    with pytest.raises(FileNotFoundError, match=r"none\.pb"):
        slimnets.lint_graph(tmp_path / "none.pb")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="neither a SavedModel nor"):
        slimnets.lint_graph(tmp_path / "empty")
