"""Weight transforms: each equals its formula in numpy, and survives what comes."""

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import export, layers
from tests.helpers import v1

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(size=[3, 3, 4, 6]).astype("f")
MATRIX = WEIGHTS.reshape(-1, 6)


def run(transform, weights=WEIGHTS, steps=1, **kwargs):
    """What a transform gives in graph code, step by step, and its variables then."""
    values = []
    with tf.Graph().as_default(), v1.Session() as session:
        outputs = transform(tf.constant(weights), **kwargs)
        updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
        session.run(v1.global_variables_initializer())
        before = session.run(v1.global_variables())
        for _ in range(steps):
            values.append(session.run([outputs, updates])[0])
        found = {v.op.name: session.run(v) for v in v1.global_variables()}
    return values, before, found


def test_weight_standardization():
    (value,), _, _ = run(layers.weight_standardization, epsilon=0.1)
    mean, variance = MATRIX.mean(0), MATRIX.var(0)
    np.testing.assert_allclose(value, (WEIGHTS - mean) / np.sqrt(variance + 0.1), 1e-4)


def test_weight_norm():
    (value,), _, found = run(layers.weight_norm, initial=2.0)
    lengths = np.sqrt((MATRIX**2).sum(0))
    np.testing.assert_allclose(value, 2 * WEIGHTS / lengths, 1e-5)
    assert list(found) == ["weight_norm/gain"]


def test_spectral_norm_is_power_iteration_that_goes_on_from_step_to_step():
    values, (u,), found = run(layers.spectral_norm, steps=60)
    for value in values[:2]:
        v = MATRIX @ u / np.linalg.norm(MATRIX @ u)
        u = MATRIX.T @ v / np.linalg.norm(MATRIX.T @ v)
        largest = np.linalg.norm(MATRIX @ u)
        np.testing.assert_allclose(value, WEIGHTS / largest, 1e-4)
    last = values[-1].reshape(-1, 6)
    assert np.linalg.svd(last, compute_uv=False)[0] == pytest.approx(1, abs=1e-3)
    _, (u,), found = run(layers.spectral_norm, steps=2, is_training=False)
    np.testing.assert_array_equal(found["spectral_norm/u"], u)


def test_lora_adds_the_product_of_two_small_matrices():
    (value,), (down, up), _ = run(layers.lora, rank=2)
    assert down.shape == (3, 3, 4, 2) and up.shape == (2, 6) and np.std(down) > 0
    np.testing.assert_array_equal(value, WEIGHTS)
    with tf.Graph().as_default(), v1.Session() as session:
        outputs = layers.lora(tf.constant(WEIGHTS), 2, alpha=6.0)
        down, up = v1.trainable_variables()
        session.run(v1.global_variables_initializer())
        session.run(up.assign(np.ones([2, 6])))
        value, down, up = session.run([outputs, down, up])
    np.testing.assert_allclose(value, WEIGHTS + 3 * np.dot(down, up), 1e-5, 1e-6)


def test_magnitude_masks_follow_their_schedule():
    options = {"sparsity": 0.75, "begin_step": 2, "end_step": 6, "interval": 2}
    values, _, found = run(layers.magnitude_mask, steps=8, **options)
    shares = [np.mean(value == 0) for value in values]
    middle = 0.75 * (1 - 0.5**3)
    expected = [0, 0, 0, 0, middle, middle, 0.75, 0.75]
    np.testing.assert_allclose(shares, expected, atol=0.5 / WEIGHTS.size)
    order = np.sort(np.abs(WEIGHTS).ravel())
    kept = np.abs(WEIGHTS) >= order[round(0.75 * WEIGHTS.size)]
    np.testing.assert_array_equal(values[-1], WEIGHTS * kept)
    np.testing.assert_array_equal(found["magnitude_mask/mask"], kept)
    with pytest.raises(ValueError, match="sparsity"):
        run(layers.magnitude_mask, sparsity=1)


@pytest.mark.parametrize("bits", (4, 8))
def test_fake_quantization_rounds_each_output_by_its_own_scale(bits):
    (value,), _, _ = run(layers.fake_quantized, bits=bits)
    scale = np.abs(MATRIX).max(0) / (2 ** (bits - 1) - 1)
    rounded = np.floor(WEIGHTS / scale + 0.5) * scale
    np.testing.assert_allclose(value, rounded, atol=1e-6)


LAYERS = {
    "conv1d": lambda x, **kw: layers.conv1d(x[:, 0], 6, 3, **kw),
    "conv2d": lambda x, **kw: layers.conv2d(x, 6, 3, **kw),
    "fully_connected": lambda x, **kw: layers.fully_connected(x, 6, **kw),
    "separable_conv2d": lambda x, **kw: layers.separable_conv2d(x, 6, 3, 2, **kw),
    "conv2d_transpose": lambda x, **kw: layers.conv2d_transpose(x, 6, 3, 2, **kw),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_shows_outputs_last_and_takes_several(name):
    seen = []

    def seeing(weights):
        seen.append(weights.shape.as_list()[-2:])
        return 2.0 * weights

    images = tf.constant(RANDOM.normal(size=[1, 5, 5, 4]).astype("f"))
    with tf.Graph().as_default(), v1.Session() as session:
        x = tf.constant(images.numpy())
        outputs = LAYERS[name](x, scope="a", weight_transform=[seeing, seeing])
        variables = v1.global_variables()
        with v1.variable_scope("", reuse=True):
            plain = LAYERS[name](x, scope="a")
        session.run(v1.global_variables_initializer())
        assert variables == v1.global_variables()
        times = 16 if name == "separable_conv2d" else 4
        one, other = session.run([outputs, plain])
    np.testing.assert_allclose(one, times * other, 1e-4, 1e-5)
    assert seen[0] == ([1, 8] if name == "separable_conv2d" else [4, 6])


IMAGES = RANDOM.normal(size=[4, 16, 16, 3]).astype("f")
RULES = {
    ".*": {"trainable": False},
    "block./.*/conv1": {"weight_transform": "lora"},
    "logits": {"weight_transform": ["weight_norm", "lora"]},
    "block3/.*/conv2": {"weight_transform": ["magnitude_mask", "fake_quantized"]},
    "block1/.*/conv2": {"weight_transform": "spectral_norm"},
    ".*/lora": {"trainable": True, "rank": 2},
}


@pytest.fixture(scope="module")
def trained():
    model = slimnets.Model("resnet_v1_cifar_20", num_classes=3, seed=1, rules=RULES)
    optimizer = tf.keras.optimizers.SGD(0.1)
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(IMAGES, training=True) ** 2)
        variables = model.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
    assert {v.name.split("/")[-2] for v in variables} == {"lora"}
    return model


def test_transforms_train_in_a_model_and_stay_as_they_are_in_inference(trained):
    mask = trained.variable_by_name(
        "resnet_v1_cifar_20/block3/unit_2/basic_v1/conv2/magnitude_mask/mask"
    )
    assert np.mean(mask) == 0.5
    before = [v.numpy() for v in trained.variables]
    trained(IMAGES)
    for old, new in zip(before, trained.variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_transforms_survive_checkpoints(trained, tmp_path):
    opened = slimnets.open_trained(trained.save(str(tmp_path / "model")))
    np.testing.assert_array_equal(opened.model(IMAGES), trained(IMAGES))


def test_an_export_holds_the_transformed_weights(trained):
    frozen = export.frozen.freeze(trained, [None, 16, 16, 3])
    folded = frozen.folded()
    logits = folded.function()(images=tf.constant(IMAGES))["logits"]
    np.testing.assert_allclose(logits, trained(IMAGES), atol=1e-5)
    plain = slimnets.Model("resnet_v1_cifar_20", num_classes=3)
    plain.build([None, 16, 16, 3])
    same = export.frozen.freeze(plain, [None, 16, 16, 3]).folded()
    kinds = [sorted(n.op for n in f.graph_def.node) for f in (folded, same)]
    assert kinds[0] == kinds[1]
