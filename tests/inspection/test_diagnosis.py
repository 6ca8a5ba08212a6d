"""Faults that are planted are named, with their layer; sound networks have none."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from slimnets.cli.main import main
from slimnets.data import get_dataset
from slimnets.end_points import EndPoints
from slimnets.inspection import diagnose
from slimnets.rows.builder import network_of
from slimnets.training.optimizers import make_optimizer


def small(inputs, num_classes=10, is_training=False, *, norm=True, act=tf.nn.relu,
          fault=lambda net: net, keep_prob=1.0, frozen=False):  # fmt: skip
    """Three convolutions; `fault` stands behind the second."""
    params = {"is_training": is_training and not frozen, "decay": 0.8, "scale": True}
    end_points = EndPoints(scope="small")
    with slimnets.arg_scope(
        [layers.conv2d], normalizer_fn=layers.batch_norm if norm else None,
        normalizer_params=params if norm else None, activation_fn=act,
    ):  # fmt: skip
        net = inputs
        for number, depth in enumerate((16, 24, 32), 1):
            net = layers.conv2d(net, depth, 3, 1 + number % 2, scope=f"conv{number}")
            net = fault(net) if number == 2 else net
            end_points.add(f"small/conv{number}", net)
    net = tf.reduce_mean(net, [1, 2])
    net = layers.dropout(net, keep_prob, is_training=is_training)
    return layers.fully_connected(net, num_classes, None, scope="logits"), end_points


@functools.cache
def digits():
    """Batches in the range from -1 to 1."""
    dataset = get_dataset("digits")
    images, labels = dataset.load("train")
    low, high = dataset.value_range
    images = 2.0 * (np.float32(images[:256]) - low) / (high - low) - 1.0
    order = np.random.default_rng(0).permutation(256)
    return [(images[part], labels[part]) for part in np.split(order, 4)]


def trained(
    network=small, steps=40, optimizer="adam", rate=0.01, batches=None, **options
):
    # As few steps as these are not enough for the networks' own decay.
    with slimnets.arg_scope([layers.batch_norm], decay=0.8):
        model = slimnets.Model(network, num_classes=10, seed=0, **options)
    batches = batches or digits()
    model.build([None, *batches[0][0].shape[1:]])
    optimizer = make_optimizer(optimizer, rate, {})
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(
                    tf.cast(labels, tf.int64), logits
                )
            )
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    for number in range(steps):
        step(*batches[number % len(batches)])
    return model


@pytest.fixture(scope="module")
def sound():
    """A trained model, and its values."""
    model = trained()
    return model, {n: v.numpy() for n, v in model.variables_by_name.items()}


@pytest.fixture
def model(sound):
    model, values = sound
    yield model
    for name, variable in model.variables_by_name.items():
        variable.assign(values[name])


def first(model, batches=None):
    return diagnose(model, batches or digits()).findings[0]


def set_value(model, name, change):
    variable = model.variable_by_name(name)
    variable.assign(change(variable.numpy()))


def test_a_sound_network_has_no_findings_and_stays_as_it_is(sound):
    model, values = sound
    found = diagnose(model, digits())
    assert not found, str(found)
    assert str(found) == "small: nothing found"
    assert [row.name for row in found.activations][:3] == [
        "small/conv1", "small/conv2", "small/conv3",
    ]  # fmt: skip
    assert found.norms[0].name == "conv1/BatchNorm"
    assert "conv3/BatchNorm" in found.table()
    for name, variable in model.variables_by_name.items():
        np.testing.assert_array_equal(variable.numpy(), values[name])


def test_averages_that_were_never_updated(model):
    for number in (1, 2, 3):
        set_value(model, f"conv{number}/BatchNorm/moving_mean", np.zeros_like)
        set_value(model, f"conv{number}/BatchNorm/moving_variance", np.ones_like)
    said = first(model)
    assert "conv1/BatchNorm" in said and "UPDATE_OPS" in said


def test_a_decay_that_leaves_averages_behind(model):
    for number in (2, 3):
        set_value(model, f"conv{number}/weights", lambda v: 8 * v)
        set_value(model, f"conv{number}/BatchNorm/moving_mean", lambda v: 0.03 * v)
        set_value(model, f"conv{number}/BatchNorm/moving_variance",
                  lambda v: 0.97 + 0.03 * v)  # fmt: skip
    said = first(model)
    assert "part at conv2/BatchNorm" in said and "decay" in said


def test_data_of_another_range_part_at_the_first_norm(model):
    said = first(model, [(0.2 * images, labels) for images, labels in digits()])
    assert "part at conv1/BatchNorm" in said and "another way" in said


def test_a_frozen_norm_without_statistics():
    said = first(trained(frozen=True))
    assert "conv1/BatchNorm" in said and "frozen" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: 127.5 * (x + 1), "0 to 255: they are pixels"),
        (lambda x: (x + 1) / 2 / 255, "hardly vary"),
    ],
)
def test_inputs_of_a_wrong_range(change, words, model):
    assert words in first(model, [(change(x), y) for x, y in digits()])


def test_dead_units(model):
    set_value(model, "conv2/BatchNorm/beta", lambda v: v - 20)
    assert "100% of the channels of small/conv2 are 0" in first(model)


def test_values_that_are_no_numbers(model):
    set_value(model, "conv2/weights", lambda v: v * np.nan)
    assert first(model) == (
        "The variable conv2/weights has values that are no numbers."
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fault": lambda net: tf.math.log(-net)}, "from small/conv2 on"),
        ({"fault": lambda net: 1e7 * net}, "explode: small/conv2 is the first"),
        ({"fault": lambda net: 1e-8 * net}, "vanish: small/conv2 is the first"),
        ({"fault": tf.stop_gradient}, "No gradient reaches conv1/weights, and 1 other"),
        ({"act": lambda net: tf.minimum(tf.nn.relu(net + 9), 6)},
         "of the values of small/conv1 are its largest"),
    ],
)  # fmt: skip
def test_faults_of_the_network_itself(options, words):
    model = slimnets.Model(small, num_classes=10, seed=0, norm=False, **options)
    model.build([None, 8, 8, 1])
    assert words in first(model)


def test_logits_that_are_the_same_for_all_images(model):
    set_value(model, "logits/weights", lambda v: 1e-9 * v)
    assert any("the same for all images" in said
               for said in diagnose(model, digits()).findings)  # fmt: skip


def test_another_loss_is_the_one_whose_gradients_are_looked_at(model):
    """Of several labels, one of which is a share."""
    rows = [(x, tf.one_hot(y, 10) + 0.3 * tf.one_hot(y + 1, 10)) for x, y in digits()]

    def loss(labels, logits):
        by_class = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
        return tf.reduce_sum(by_class, -1)

    found = diagnose(model, rows[:1], loss=loss)
    assert not found, str(found)
    weights = [model.variable_by_name(name) for name in found.steps]
    with tf.GradientTape() as tape:
        mean = tf.reduce_mean(loss(rows[0][1], model(rows[0][0], training=True)))
    gradients = tape.gradient(mean, weights)
    steps = [
        float(tf.norm(g) / tf.norm(w)) for g, w in zip(gradients, weights, strict=True)
    ]
    assert list(found.steps.values()) == pytest.approx(steps, rel=1e-4)
    silent = diagnose(model, rows, loss=lambda *both: tf.stop_gradient(loss(*both)))
    assert "No gradient reaches conv1/weights, and 3 other" in silent.findings[0]


def test_labels_that_are_no_logits_and_no_batches(model):
    batches = [(images, labels + 1) for images, labels in digits()]
    with pytest.raises(ValueError, match="1 to 10, but the network has 10 logits"):
        diagnose(model, batches)
    with pytest.raises(ValueError, match="no batches"):
        diagnose(model, [])


def thin(name):
    return network_of(slimnets.network_info(name).network.row.thin())


SOUND = [
    {"norm": False},
    {"act": tf.nn.swish},
    {"keep_prob": 0.5},
    {"optimizer": "momentum", "rate": 0.05},
    {"network": "resnet_v2_cifar_20", "depth_multiplier": 0.5},
    {"network": "resnet18", "depth_multiplier": 0.125},
    {"network": "mobilenet_v2", "depth_multiplier": 0.25},
    {"network": "resnet_v1_cifar_20", "norm": "group"},
    {"network": "lenet", "rate": 0.001},
    {"network": "convnext_tiny", "depth_multiplier": 0.125, "rate": 0.001},
]


@pytest.mark.slow
@pytest.mark.parametrize("options", SOUND, ids=lambda o: o.get("network", "_".join(o)))
def test_sound_runs_have_no_findings(options):
    options = dict(options)
    batches = digits()
    name = options.pop("network", None)
    if name:
        row = slimnets.network_info(name).network.row
        options["network"] = thin(name) if row.collects_layers else name
        size = 28 if name == "lenet" else 32
        batches = [(tf.image.resize(x, [size, size]).numpy(), y) for x, y in batches]
    model = trained(batches=batches, steps=120, **options)
    found = diagnose(model, batches)
    assert not found, f"{found}\n{found.table()}"


def test_the_command_says_what_is_found(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    model = slimnets.Model("resnet_v2_cifar_20", num_classes=10, seed=0)
    model.build([None, 8, 8, 1])
    checkpoint = model.save(tmp_path / "net")
    flags = [f"--checkpoint_path={checkpoint}", "--dataset_name=digits",
             "--preprocessing_name=plain", "--batches=2", "--table"]  # fmt: skip
    assert main(["diagnose", *flags, f"--output={tmp_path}/a.png"]) == 1
    *table, said, written = capsys.readouterr().out.splitlines()
    assert "UPDATE_OPS" in said and written == f"written to {tmp_path}/a.png"
    assert any(line.startswith("resnet_v2_cifar_20/block2 ") for line in table)
    assert tf.io.decode_png((tmp_path / "a.png").read_bytes()).shape[0] > 400


def test_pictures_that_cannot_be_used_are_left_out_as_in_training(tmp_path, capsys):
    for label in "ab":
        (tmp_path / "photos" / label).mkdir(parents=True)
        for n in range(4):
            pixels = np.full([8, 8, 3], 30 * n, np.uint8)
            encoded = tf.io.encode_png(pixels).numpy()
            path = tmp_path / "photos" / label / f"{n}.png"
            path.write_bytes(encoded if n else encoded[:60])
    model = slimnets.Model("resnet_v2_cifar_20", num_classes=2, seed=0)
    model.build([None, 8, 8, 3])
    known = {"image_size": 8, "preprocessing_name": "plain", "label_names": ["a", "b"]}
    checkpoint = model.save(tmp_path / "net", metadata=known)
    flags = [f"--checkpoint_path={checkpoint}", "--dataset_name=folder",
             f"--dataset_dir={tmp_path}/photos", "--batches=1"]  # fmt: skip
    assert main(["diagnose", *flags]) == 2
    assert "where --max_bad_records=0" in capsys.readouterr().err
    assert main(["diagnose", *flags, "--max_bad_records=2"]) == 1
    assert "UPDATE_OPS" in capsys.readouterr().out
