import json
import os

import numpy as np
import pytest
import tensorflow as tf

from slimnets.checkpoints import load_weights, read_checkpoint, save_weights


class Network(tf.Module):
    """The least that restore asks of a Model."""

    def __init__(self, shapes, fill=0.0):
        self.variables_by_name = {
            name: tf.Variable(tf.fill(shape, fill), name=name)
            for name, shape in shapes.items()
        }

    def values(self):
        return {n: v.numpy() for n, v in self.variables_by_name.items()}


SHAPES = {
    "net/conv1/weights": (3, 3, 1, 4),
    "net/conv1/BatchNorm/beta": (4,),
    "net/conv1/BatchNorm/moving_mean": (4,),
    "net/logits/weights": (1, 1, 4, 10),
    "net/logits/biases": (10,),
}


def changed(**changes):
    """SHAPES without the names that are None, and with those that are shapes."""
    shapes = {**SHAPES, **changes}
    return {name: shape for name, shape in shapes.items() if shape is not None}


@pytest.fixture
def arrays(rng):
    return {n: rng.normal(size=s).astype(np.float32) for n, s in SHAPES.items()}


@pytest.fixture
def prefix(tmp_path, arrays):
    return save_weights(tmp_path / "model.ckpt-7", arrays, {"step": 7})


def assert_equal(actual, expected):
    assert actual.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


def refusal(path, shapes, **options):
    """The message of a refused load, which must leave every variable as it was."""
    network = Network(shapes, fill=5.0)
    with pytest.raises(ValueError) as caught:
        load_weights(path, network, **options)
    assert all(np.all(value == 5.0) for value in network.values().values())
    return str(caught.value)


# Writing and reading.


def test_what_is_saved_is_read(prefix, arrays):
    reader = read_checkpoint(prefix)
    assert_equal(dict(reader), arrays)
    assert reader.shapes == {n: SHAPES[n] for n in sorted(SHAPES)}
    assert reader.metadata == {"step": 7}


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001"])
def test_any_file_of_a_checkpoint_names_it(prefix, suffix):
    assert read_checkpoint(prefix + suffix).prefix == prefix


def test_a_directory_means_its_latest_checkpoint(tmp_path, prefix):
    with pytest.raises(FileNotFoundError, match=r"no `checkpoint` file.*model\.ckpt-7"):
        read_checkpoint(tmp_path)
    state = tmp_path / "checkpoint"
    state.write_text('model_checkpoint_path: "model.ckpt-7"\n')
    assert read_checkpoint(tmp_path).prefix == prefix
    state.write_text('model_checkpoint_path: "model.ckpt-8"\n')
    with pytest.raises(FileNotFoundError, match=r"model.ckpt-8 .* which is not there"):
        read_checkpoint(tmp_path)


def test_saving_leaves_only_the_checkpoint_and_replaces_whole(tmp_path, prefix, arrays):
    files = ["data-00000-of-00001", "index", "json"]
    assert sorted(os.listdir(tmp_path)) == [f"model.ckpt-7.{end}" for end in files]
    save_weights(prefix, {"a": arrays["net/logits/biases"]})
    assert list(read_checkpoint(prefix)) == ["a"]
    assert read_checkpoint(prefix).metadata == {}


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path, prefix, arrays):
    with pytest.raises(TypeError, match="metadata"):
        save_weights(prefix, {"a": np.zeros(3)}, {"step": object()})
    with pytest.raises(ValueError, match="Nothing to write"):
        save_weights(prefix, {})
    with pytest.raises(TypeError, match="got int"):
        save_weights(prefix, 3)
    assert_equal(dict(read_checkpoint(prefix)), arrays)
    assert len(os.listdir(tmp_path)) == 3


def test_a_graph_variable_is_referred_to_the_saver(tmp_path):
    with tf.Graph().as_default():
        variable = tf.compat.v1.get_variable("w", [2])
        with pytest.raises(ValueError, match=r"compat\.v1\.train\.Saver"):
            save_weights(tmp_path / "x", {"w": variable})


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"PK\x03\x04" + bytes(100), "zip archive"),
        (b"hello", "no TensorFlow checkpoint"),
        (b"", "no TensorFlow checkpoint"),
    ],
)
def test_foreign_files_are_named(tmp_path, content, what):
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=what):
        read_checkpoint(path)


def test_an_absent_checkpoint_is_a_missing_file(tmp_path, prefix):
    with pytest.raises(FileNotFoundError, match=r"the directory holds model\.ckpt-7"):
        read_checkpoint(tmp_path / "model.ckpt-8")
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        read_checkpoint(tmp_path / "nowhere" / "model.ckpt-8")


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("keep", [0, 20])
def test_a_truncated_checkpoint_changes_nothing(prefix, part, keep):
    with open(f"{prefix}.{part}", "r+b") as file:
        file.truncate(keep)
    assert "Cannot read the checkpoint" in refusal(prefix, SHAPES)


def test_a_missing_part_is_an_error(prefix):
    os.remove(f"{prefix}.data-00000-of-00001")
    assert "Cannot read the checkpoint" in refusal(prefix, SHAPES)
    os.remove(f"{prefix}.index")
    with pytest.raises(FileNotFoundError):
        read_checkpoint(prefix)


def test_an_unknown_tensor_suggests_the_nearest(prefix):
    with pytest.raises(KeyError, match="net/conv1/weights"):
        read_checkpoint(prefix)["net/conv1/weight"]


def test_broken_metadata_is_an_error(prefix):
    for content in ("{", json.dumps([1])):
        with open(f"{prefix}.json", "w") as file:
            file.write(content)
        with pytest.raises(ValueError, match="metadata"):
            read_checkpoint(prefix)


# Graph code.


def test_a_saver_restores_what_slimnets_saved(prefix, arrays):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = {n: tf.compat.v1.get_variable(n, s) for n, s in SHAPES.items()}
        tf.compat.v1.train.Saver().restore(session, prefix)
        assert_equal(session.run(variables), arrays)


def test_slimnets_loads_what_a_saver_saved(tmp_path, arrays):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in arrays.items():
            tf.compat.v1.get_variable(name, initializer=value)
        tf.compat.v1.train.get_or_create_global_step()
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver()
        saver.save(session, str(tmp_path / "model.ckpt"), global_step=12)
    network = Network(SHAPES)
    report = load_weights(tmp_path, network)
    assert_equal(network.values(), arrays)
    assert report.complete and report.ignored == ["global_step"]


@pytest.mark.parametrize("use_resource", [True, False])
@pytest.mark.parametrize("by_scope", [True, False])
def test_graph_variables_load_after_the_graph_is_final(
    prefix, arrays, use_resource, by_scope
):
    with tf.Graph().as_default() as graph:
        shared = tf.zeros([4])
        variables = {}
        for name, shape in SHAPES.items():
            initial = shared if shape == (4,) else tf.zeros(shape)
            variables[name] = tf.compat.v1.get_variable(
                name, initializer=initial, use_resource=use_resource
            )
        tf.compat.v1.get_variable("other/w", [3])
        target = "net" if by_scope else list(variables.values())
        init_fn = load_weights(prefix, target)
        graph.finalize()
        with tf.compat.v1.Session() as session:
            init_fn(session)
            assert_equal(session.run(variables), arrays)
    assert len(init_fn.report.loaded) == len(SHAPES)


def test_an_empty_scope_is_an_error(prefix):
    with (
        tf.Graph().as_default(),
        pytest.raises(ValueError, match="no variables under 'net'"),
    ):
        load_weights(prefix, "net")


# Loading whole or explaining.


def test_everything_loads_by_name(prefix, arrays):
    network = Network(dict(reversed(SHAPES.items())))
    report = load_weights(prefix, network)
    assert_equal({n: network.values()[n] for n in arrays}, arrays)
    assert report.complete and "5 loaded" in str(report)


def test_mirrored_variables_load_on_every_replica(prefix, arrays, mirrored):
    with mirrored.scope():
        network = Network(SHAPES)
    load_weights(prefix, network)
    for name, variable in network.variables_by_name.items():
        for copy in variable.values:
            np.testing.assert_array_equal(copy.numpy(), arrays[name])


def test_missing_and_unexpected_are_both_listed(prefix):
    shapes = changed(**{"net/conv1/weights": None, "net/conv1/weight": (3, 3, 1, 4)})
    message = refusal(prefix, shapes)
    assert "4 loaded, 1 missing, 1 unexpected" in message
    assert "net/conv1/weight (nearest unexpected: net/conv1/weights)" in message


def test_wrong_shapes_show_both_and_never_pass(prefix):
    shapes = changed(
        **{"net/logits/weights": (1, 1, 4, 11), "net/logits/biases": (11,)}
    )
    for partial in (False, True):
        message = refusal(prefix, shapes, allow_partial=partial)
        assert "net/logits/biases: [10] in the checkpoint, [11] here" in message
        assert "10 classes in the checkpoint, 11 here: one has a background" in message


def test_excluded_names_keep_their_values(prefix, arrays):
    network = Network(changed(**{"net/logits/weights": (1, 1, 4, 3)}), fill=5.0)
    report = load_weights(prefix, network, exclude=["net/logits/.*"])
    assert np.all(network.values()["net/logits/biases"] == 5.0)
    assert sorted(report.excluded) == ["net/logits/biases", "net/logits/weights"]
    assert len(report.loaded) == 3


def test_include_limits_both_sides(prefix):
    network = Network(changed(**{"net/logits/biases": None}), fill=5.0)
    report = load_weights(prefix, network, include=[".*/conv1/.*"])
    assert len(report.loaded) == 3 and np.all(
        network.values()["net/logits/weights"] == 5
    )


def test_patterns_match_whole_names_and_must_be_of_use(prefix):
    assert "'logits' matches no whole name" in refusal(
        prefix, SHAPES, exclude=["logits"]
    )
    assert "matches no whole name" in refusal(prefix, SHAPES, rename=[("conv1", "x")])
    assert "not a regular expression" in refusal(prefix, SHAPES, exclude=["*"])


def test_partial_loading_reports_but_loads_something(prefix):
    network = Network({**SHAPES, "net/new": (2,)}, fill=5.0)
    report = load_weights(prefix, network, allow_partial=True)
    assert report.missing == ["net/new"] and len(report.loaded) == 5
    assert "0 loaded" in refusal(prefix, {"a": (1,)}, allow_partial=True)


def test_rename_moves_tensors_and_wins_over_what_is_there(tmp_path):
    path = save_weights(
        tmp_path / "x",
        {"w": np.float32(1), "w/ExponentialMovingAverage": np.float32(2)},
    )
    network = Network({"w": ()})
    assert load_weights(path, network).ignored == ["w/ExponentialMovingAverage"]
    assert network.values()["w"] == 1
    load_weights(path, network, rename=[(r"(.*)/ExponentialMovingAverage", r"\1")])
    assert network.values()["w"] == 2


def test_rename_to_one_name_is_refused(prefix):
    message = refusal(prefix, SHAPES, rename=[(r"net/.*/weights", "w")])
    assert "one name, 'w'" in message


def test_the_optimizer_is_left_aside(tmp_path, arrays):
    extra = {"global_step": np.int64(3), "optimizer/iteration": np.int64(3)}
    extra |= {f"{name}/Momentum": value for name, value in arrays.items()}
    network = Network(SHAPES)
    report = load_weights(save_weights(tmp_path / "x", {**arrays, **extra}), network)
    assert report.complete and len(report.ignored) == 7


@pytest.mark.parametrize("outer", ["checkpoint", "network"])
def test_an_outer_scope_is_recognized_and_its_advice_works(tmp_path, arrays, outer):
    scoped = {f"Detection/{name}": value for name, value in arrays.items()}
    shapes = {f"Detection/{name}": shape for name, shape in SHAPES.items()}
    stored, wanted = (scoped, SHAPES) if outer == "checkpoint" else (arrays, shapes)
    path = save_weights(tmp_path / "x", stored)
    message = refusal(path, wanted)
    assert f"an outer scope 'Detection' in the {outer}" in message
    advice = message.split("(rename=")[1].split(").")[0]
    load_weights(path, Network(wanted), rename=eval(advice))


@pytest.mark.parametrize("forgetful", ["checkpoint", "network"])
def test_a_forgotten_arg_scope_is_recognized(tmp_path, forgetful):
    plain = changed(
        **{
            "net/conv1/BatchNorm/beta": None,
            "net/conv1/BatchNorm/moving_mean": None,
            "net/conv1/biases": (4,),
        }
    )
    stored, wanted = (plain, SHAPES) if forgetful == "checkpoint" else (SHAPES, plain)
    path = save_weights(tmp_path / "x", {n: np.zeros(s) for n, s in stored.items()})
    message = refusal(path, wanted)
    assert "arg scope" in message
    side = "what wrote it" if forgetful == "checkpoint" else "the network was built"
    assert side in message


def test_moving_averages_alone_are_recognized(tmp_path):
    path = save_weights(tmp_path / "x", {"w/ExponentialMovingAverage": np.float32(2)})
    assert "moving averages only" in refusal(path, {"w": ()})


def test_an_object_based_checkpoint_is_recognized(tmp_path):
    module = tf.Module()
    module.w = tf.Variable(1.0)
    path = tf.train.Checkpoint(model=module).write(str(tmp_path / "x"))
    assert "tf.train.Checkpoint wrote it" in refusal(path, {"w": ()})


def test_types_are_converted_within_their_kind_only(tmp_path):
    path = save_weights(tmp_path / "x", {"w": np.float64(2.5)})
    network = Network({"w": ()})
    load_weights(path, network)
    assert network.values()["w"] == 2.5
    path = save_weights(tmp_path / "y", {"w": np.int64(2)})
    assert "of type int64" in refusal(path, {"w": ()})


def test_a_target_that_is_nothing_of_the_kind(prefix):
    with pytest.raises(TypeError, match="got int"):
        load_weights(prefix, 3)
    with pytest.raises(ValueError, match="no variables yet"):
        load_weights(prefix, Network({}))


@pytest.mark.parametrize("name", ["net.keras", "net.weights.h5", "net.safetensors"])
def test_a_checkpoint_is_not_named_as_another_programs_file(tmp_path, name):
    with pytest.raises(ValueError, match=r"not a file of the kind.*slimnets convert"):
        save_weights(tmp_path / name, {"w": np.zeros(1)})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("headless", ["network", "checkpoint"])
def test_a_head_that_one_side_has_not_is_named_as_the_cause(tmp_path, headless):
    trunk, head = {"net/conv1/weights": np.ones(2)}, {"net/logits/biases": np.ones(3)}
    here = trunk if headless == "network" else trunk | head
    there = trunk if headless == "checkpoint" else trunk | head
    save_weights(tmp_path / "a", there)
    target = {name: tf.Variable(np.zeros_like(value)) for name, value in here.items()}
    cause = rf"{headless} has none \(exclude=\['\.\*/logits/\.\*'\]\)"
    with pytest.raises(ValueError, match=cause):
        load_weights(tmp_path / "a", target)
    load_weights(tmp_path / "a", target, exclude=[".*/logits/.*"])
    assert target["net/conv1/weights"].numpy().all()
