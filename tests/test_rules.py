"""Rules by path: they win over all else, reach all networks, and do nothing unseen."""

import threading

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers, rules
from slimnets.scopes import arg_scope
from tests.helpers import v1


def two(images, num_classes=None, is_training=False, scope="two"):
    """A network of the user's own: with explicit arguments, and names by default."""
    with v1.variable_scope(scope):
        net = layers.conv2d(images, 8, 3, stride=2, activation_fn=None, scope="first")
        net = layers.conv2d(net, 8, 3, normalizer_fn=layers.batch_norm)
        return layers.conv2d(net, 8, 3, normalizer_fn=layers.batch_norm)


def built(network=two, size=8, **kwargs):
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, [None, size, size, 3], "images")
        network(images, **kwargs)
    return graph


def names(graph):
    return [v.op.name for v in graph.get_collection(v1.GraphKeys.GLOBAL_VARIABLES)]


def test_without_rules_the_graph_is_as_it_was():
    plain = built().as_graph_def()
    with slimnets.layer_rules({}):
        assert built().as_graph_def() == plain
    with slimnets.layer_rules({"two/.*": {"data_format": "NHWC"}}):
        assert [n.name for n in built().as_graph_def().node] == [
            n.name for n in plain.node
        ]


def test_a_rule_wins_over_code_arg_scopes_and_earlier_rules():
    with (
        tf.Graph().as_default(),
        slimnets.layer_rules({".*first": {"stride": 4, "padding": "VALID"}}),
        slimnets.layer_rules({"two/first": {"stride": 1}}) as inner,
        arg_scope([layers.conv2d], padding="SAME", activation_fn=tf.nn.relu),
    ):
        net = layers.conv2d(tf.zeros([1, 8, 8, 3]), 4, 3, 2, scope="two/first")
        assert net.shape == [1, 6, 6, 4]
    (given,) = inner.given
    assert given == ("two/first", "conv2d", "stride", 4, 1, "two/first")


def test_a_rule_reaches_a_call_with_all_of_its_arguments_by_position():
    @slimnets.add_arg_scope
    def times(inputs, factor, scope):
        return factor * inputs

    with slimnets.layer_rules({"here": {"factor": 3}}):
        assert times(1, 2, "here") == 3
        assert times(1, 2, "there") == 2


def test_layers_without_a_name_are_at_the_place_that_they_get():
    with slimnets.layer_rules(
        {
            "two/Conv_1": {"normalizer_fn": "group_norm"},
            "two/Conv_1/GroupNorm": {"groups": 2, "scale": False},
        }
    ):
        found = names(built())
    assert "two/Conv/BatchNorm/beta" in found
    assert [n for n in found if "Conv_1" in n] == [
        "two/Conv_1/weights",
        "two/Conv_1/GroupNorm/beta",
    ]


@pytest.mark.parametrize(
    "pattern",
    ["block4/.*/conv2", "resnet_v1_50/block4/.*/conv2", "Outer/.*block4/.*/conv2"],
)
def test_places_are_seen_from_the_network_and_from_where_it_was_called(pattern):
    def outer(images):
        with v1.variable_scope("Outer"):
            slimnets.build("resnet_v1_50", images)

    with slimnets.layer_rules({pattern: {"normalizer_fn": "group_norm"}}) as opened:
        found = names(built(outer, 33))
    groups = {n.rpartition("/")[0] for n in found if "GroupNorm" in n}
    assert groups == {
        f"Outer/resnet_v1_50/block4/unit_{i}/bottleneck_v1/conv2/GroupNorm"
        for i in (1, 2, 3)
    }
    assert "block4/unit_3/bottleneck_v1/conv2  conv2d" in str(opened)
    assert "batch_norm -> group_norm" in str(opened)


BAD = {
    "no place": ({"blok4/.*": {"stride": 1}}, ["'blok4/.*'", "block4"]),
    "no keyword": ({"block4/.*": {"strid": 1}}, ["'strid'", "'stride'", "block4/.*"]),
    "no function": ({"block4/.*": {"normalizer_fn": "grup_norm"}}, ["group_norm"]),
    "no pattern": ({"(": {"stride": 1}}, ["'('", "regular"]),
    "no values": ({"block4": 1}, ["block4", "keyword"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_rule_that_does_nothing_is_an_error_and_leaves_nothing_open(case):
    wrong, words = BAD[case]
    with pytest.raises(ValueError) as error, slimnets.layer_rules(wrong):
        built(lambda images: slimnets.build("resnet_v1_50", images), 33)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert not rules.are_open()


def test_an_error_inside_is_not_hidden_by_that_of_a_rule():
    with pytest.raises(KeyError), slimnets.layer_rules({"a": {"stride": 1}}):
        raise KeyError("inside")
    assert not rules.are_open()


def test_levels_follow_a_stride_that_a_rule_changes():
    rule = {"block4/unit_1/.*": {"stride": 1}}
    model = slimnets.Model("resnet50", rules=rule)
    model.build([None, 64, 64, 3])
    features = model.features(np.zeros([1, 64, 64, 3], "f"), ("C3", "C4"))
    assert features["C4"].shape == [1, 4, 4, 2048]
    with pytest.raises(ValueError, match="output_stride"):
        rule = {"block4/unit_1/bottleneck_v1": {"stride": 2}}
        slimnets.Model("resnet50", rules=rule, output_stride=16).build([1, 64, 64, 3])


def test_threads_begin_with_the_rules_of_the_main_thread_and_keep_their_own():
    found = {}

    def work(name):
        if name == "own":
            with slimnets.layer_rules({"x": {"stride": 1}}) as own:
                own.handed_on = True
                found[name] = len(rules.current().rules)
        else:
            found[name] = names(built())

    groups = {"normalizer_fn": "group_norm", "normalizer_params": {"groups": 2}}
    with slimnets.layer_rules({"two/Conv": groups}):
        for name in ("seen", "own"):
            thread = threading.Thread(target=work, args=[name])
            thread.start()
            thread.join()
        built()
        assert len(rules.current().rules) == 1
    assert "two/Conv/GroupNorm/gamma" in found["seen"] and found["own"] == 2


def model_of(rule, network="resnet_v1_cifar_20", **kwargs):
    model = slimnets.Model(network, num_classes=3, seed=1, rules=rule, **kwargs)
    model.build([None, 16, 16, 3])
    return model


RULE = {
    "block3/.*/conv1": {"normalizer_fn": "group_norm"},
    "block3/.*/conv1/GroupNorm": {"groups": 4},
    "block2/.*/conv2": {"activation_fn": "swish"},
}
IMAGES = np.random.default_rng(0).normal(size=[4, 16, 16, 3]).astype("f")


def test_a_model_has_rules_of_its_own_wherever_it_is_built(capsys):
    model, plain = model_of(RULE), model_of(())
    with (
        pytest.raises(ValueError, match="was built while it was open"),
        slimnets.layer_rules({".*": {"trainable": False}}),
    ):
        plain(IMAGES, training=True)
    assert not np.allclose(plain(IMAGES), model(IMAGES))
    traced = tf.function(lambda images: model(images))
    np.testing.assert_allclose(traced(IMAGES), model(IMAGES), atol=1e-5)
    with slimnets.layer_rules(RULE):
        taken = model_of(())
    np.testing.assert_array_equal(taken(IMAGES), model(IMAGES))
    text = rules.explain(model)
    assert "groups: 32 -> 4" in text and text in capsys.readouterr().out


def test_a_model_names_the_rule_that_does_nothing():
    with pytest.raises(ValueError, match=r"'block9'.*Nearest: .*block"):
        model_of({"block9": {"stride": 1}})


def test_rules_are_written_beside_weights_and_open_the_same_network(tmp_path):
    model = model_of({**RULE, "block1/.*": {"weights_regularizer": len}})
    path = model.save(str(tmp_path / "model"))
    opened = slimnets.open_trained(path)
    np.testing.assert_array_equal(opened.model(IMAGES), model(IMAGES))
    assert [pattern for pattern, _ in opened.model.rules.pairs][:2] == list(RULE)[:2]
    converted = str(tmp_path / "converted")
    slimnets.checkpoints.convert_weights(path, converted)
    again = slimnets.open_trained(converted)
    np.testing.assert_array_equal(again.model(IMAGES), model(IMAGES))


def test_saved_and_exported_models_have_what_the_rules_made(tmp_path):
    model = model_of(RULE)
    model(IMAGES, training=True)
    expected = model(IMAGES).numpy()
    tf.saved_model.save(model, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(loaded(IMAGES), expected, atol=1e-5)
    path = str(tmp_path / "net.pb")
    slimnets.export.export_model(
        model, path, format="frozen_graph", input_shape=IMAGES.shape
    )
    found = slimnets.export.load(path)(IMAGES)["logits"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_function_without_a_name_is_told_when_it_is_needed(tmp_path):
    model = model_of({"block3/.*/conv1": {"activation_fn": lambda x: x}})
    path = model.save(str(tmp_path / "model"))
    with pytest.raises(ValueError, match="add_arg_scope"):
        slimnets.open_trained(path)


def test_recomputed_units_are_built_again_with_the_rules():
    outputs = []
    for recompute in (False, True):
        model = model_of(RULE, recompute=recompute)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(IMAGES, training=True) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        outputs.append([g.numpy() for g in gradients])
    for one, other in zip(*outputs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_replicas_of_a_strategy_have_the_rules():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = slimnets.Model("resnet_v1_cifar_20", num_classes=3, seed=1, rules=RULE)
    logits = strategy.run(lambda: model(tf.constant(IMAGES)))
    for value in strategy.experimental_local_results(logits):
        np.testing.assert_allclose(value, model_of(RULE)(IMAGES), atol=1e-5)


def test_rules_as_text_and_as_a_file(tmp_path):
    from slimnets.rules.values import parse_rule, read_rules

    assert parse_rule("(?:a|b)/.*:stride=2") == ["(?:a|b)/.*", {"stride": 2}]
    assert parse_rule("a:padding=VALID") == ["a", {"padding": "VALID"}]
    assert parse_rule("a:normalizer_fn=None") == ["a", {"normalizer_fn": None}]
    with pytest.raises(ValueError, match="PATTERN:KEYWORD=VALUE"):
        parse_rule("a=b")
    file = tmp_path / "rules.json"
    file.write_text('{"a": {"stride": 1}}')
    assert read_rules(str(file)) == [["a", {"stride": 1}]]
    file.write_text("[1]")
    with pytest.raises(ValueError, match=r"rules\.json"):
        read_rules(str(file))


# One of each kind of unit, and of each kind of table.
FAST = ("resnet_v2_50", "mobilenet_v2_050", "inception_v1", "convnext_tiny", "cifarnet")
EVERY = [
    pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow])
    for name in slimnets.list_networks()
]


@pytest.mark.parametrize("name", EVERY)
def test_rules_reach_every_layer_of_every_network(name):
    info = slimnets.network_info(name)
    size, shape = info.default_image_size, [1, 64, 3]
    if info.family != "point_cloud":
        shape = [1, size, size, 3]
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, shape)
        every = {"activation_fn": "swish", "trainable": False}
        with slimnets.layer_rules({".*": every}) as opened:
            net, _ = info.network(images, num_classes=4, is_training=False)
        assert net.shape[-1] == 4
        assert not graph.get_collection(v1.GraphKeys.TRAINABLE_VARIABLES)
    swish = {given.scope for given in opened.given if given.value is tf.nn.swish}
    assert len(swish) > 3
