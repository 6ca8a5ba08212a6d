"""The subjects of a comparison: the same work by slimnets and by others.

Each is a function of the work, and of a directory with the exported network, that
returns one step of the work as a function. It runs in a process of its own.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from slimnets.benchmarking.workload import MATMUL, OWN, Work, file_of

Step = Callable[[], Any]
# Side of the matrices whose product tells the machine's rate.
MATRIX = 2048
_LEARNING_RATE = 1e-3

# Peers that have networks, but no heads on them.
_OF_CLASSES = ("keras", "tf_slim", "torch", "torch_compiled")

KERAS_NAMES = {
    "resnet_v1_50": "ResNet50",
    "resnet_v1_101": "ResNet101",
    "resnet_v1_152": "ResNet152",
    "resnet_v2_50": "ResNet50V2",
    "resnet_v2_101": "ResNet101V2",
    "resnet_v2_152": "ResNet152V2",
    "keras_resnet50": "ResNet50",
    "keras_resnet101": "ResNet101",
    "keras_resnet152": "ResNet152",
    "keras_resnet50_v2": "ResNet50V2",
    "keras_resnet101_v2": "ResNet101V2",
    "keras_resnet152_v2": "ResNet152V2",
    "convnext_base": "ConvNeXtBase",
    "convnext_small": "ConvNeXtSmall",
    "convnext_tiny": "ConvNeXtTiny",
    "densenet121": "DenseNet121",
    "densenet169": "DenseNet169",
    "densenet201": "DenseNet201",
    "efficientnet_b0": "EfficientNetB0",
    "tf_efficientnet_b0": "EfficientNetB0",
    "tf_efficientnetv2_b0": "EfficientNetV2B0",
    "keras_xception": "Xception",
    "vgg_16": "VGG16",
    "vgg_19": "VGG19",
    "inception_v3": "InceptionV3",
    "inception_resnet_v2": "InceptionResNetV2",
    "mobilenet_v1": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_large": "MobileNetV3Large",
    "mobilenet_v3_small": "MobileNetV3Small",
    "nasnet_mobile": "NASNetMobile",
    "nasnet_large": "NASNetLarge",
}
# torchvision's and timm's names are slimnets' own but for these.
TORCH_NAMES = {
    "resnet_v1_50": "resnet50",
    "resnet_v1_101": "resnet101",
    "resnet_v1_152": "resnet152",
    "vgg_16": "vgg16",
    "vgg_19": "vgg19",
}


class NotAvailable(Exception):
    """Why a subject cannot do the work here, in one line."""


def step_of(name: str, work: Work, directory: str) -> Step:
    """Returns a subject's step. Raises NotAvailable."""
    if work.task and name in _OF_CLASSES:
        raise NotAvailable(f"{name} has no {work.task} on {work.network}")
    return _SUBJECTS[name](work, directory)


def _images(work: Work, channels: int = 3) -> np.ndarray:
    shape = (work.batch_size, work.image_size, work.image_size, channels)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _labels(work: Work) -> np.ndarray:
    labels = np.random.default_rng(1).integers(work.num_classes, size=work.batch_size)
    return labels.astype(np.int64)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotAvailable(f"{name} is not installed: {error}") from None


def _slimnets(work: Work, directory: str) -> Step:
    import tensorflow as tf

    import slimnets

    _set_threads(tf, work)
    if work.from_file:
        return _loaded(OWN, work, directory)
    network, options = work.built
    model = slimnets.Model(
        network,
        num_classes=work.num_classes,
        precision=work.precision,
        seed=0,
        jit=work.jit,
        **options,
    )
    model.build([None, work.image_size, work.image_size, 3])
    images = tf.constant(_images(work))
    if work.mode == "forward":
        return lambda: _read(model(images, training=False))
    forward = functools.partial(model, training=True)
    return _training_step(
        tf, forward, model.trainable_variables, images, work, jit=work.jit
    )


def _read(outputs: Any) -> Any:
    """The outputs when all are computed."""
    if isinstance(outputs, dict):
        return [value.numpy() for value in outputs.values()]
    return outputs.numpy()


def _loaded(subject: str, work: Work, directory: str) -> Step:
    from slimnets.export.loading import load

    network = load(file_of(subject, work, directory).path, threads=work.threads)
    (shape,) = network.metadata["inputs"].values()
    images = _images(work, channels=shape[-1])
    return lambda: network(images)


def _training_step(tf, forward, variables, images, work: Work, jit=False) -> Step:
    """Returns a step of gradient descent in a tf.function."""
    labels = tf.constant(_labels(work))

    @tf.function(autograph=False, jit_compile=True if jit else None)
    def train(images, labels):
        with tf.GradientTape() as tape:
            logits = tf.cast(forward(images), tf.float32)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, variables)
        for gradient, variable in zip(gradients, variables, strict=True):
            if gradient is not None:
                variable.assign_sub(_LEARNING_RATE * gradient)
        return loss

    return lambda: train(images, labels).numpy()


def _set_threads(tf: Any, work: Work) -> None:
    if work.threads:
        tf.config.threading.set_intra_op_parallelism_threads(work.threads)
        tf.config.threading.set_inter_op_parallelism_threads(work.threads)


def _keras(work: Work, directory: str) -> Step:
    del directory
    name = KERAS_NAMES.get(work.network)
    if name is None:
        raise NotAvailable(f"Keras Applications has no {work.network}")
    import tensorflow as tf

    _set_threads(tf, work)
    keras = _package("keras")
    if work.peer_precision != "float32":
        keras.config.set_dtype_policy(f"mixed_{work.peer_precision}")
    model = getattr(keras.applications, name)(
        weights=None,
        classes=work.num_classes,
        classifier_activation=None,
        input_shape=(work.image_size, work.image_size, 3),
    )
    images = tf.constant(_images(work))
    forward = functools.partial(model, training=work.mode == "training")
    if work.mode == "forward":
        forward = tf.function(forward, autograph=False)
        return lambda: forward(images).numpy()
    variables = [variable.value for variable in model.trainable_variables]
    return _training_step(tf, forward, variables, images, work)


def _tf_slim(work: Work, directory: str) -> Step:
    del directory
    family = work.network.rpartition("_")[0]
    if family not in ("resnet_v1", "resnet_v2") or work.peer_precision != "float32":
        raise NotAvailable(f"tf_slim has no {work.network} in {work.peer_precision}")
    import tensorflow as tf

    _set_threads(tf, work)
    nets = _package(f"tf_slim.nets.{family}")
    v1, training = tf.compat.v1, work.mode == "training"
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, _images(work).shape)
        try:
            net, _ = getattr(nets, work.network)(
                images, work.num_classes, is_training=training
            )
        except (ImportError, AttributeError) as error:
            raise NotAvailable(f"tf_slim does not work here: {error}") from None
        fetches = net
        if training:
            loss = v1.losses.sparse_softmax_cross_entropy(_labels(work), net)
            optimizer = v1.train.GradientDescentOptimizer(_LEARNING_RATE)
            with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
                fetches = optimizer.minimize(loss)
        session = v1.Session()
        session.run(v1.global_variables_initializer())
    feed = {images: _images(work)}
    return lambda: session.run(fetches, feed)


def _torch(work: Work, directory: str, compiled: bool = False) -> Step:
    del directory
    torch = _package("torch")
    name = TORCH_NAMES.get(work.network, work.network)
    make = None
    for library in ("torchvision.models", "timm.models"):
        try:
            make = getattr(importlib.import_module(library), name)
            break
        except (ImportError, AttributeError):
            continue
    if make is None:
        raise NotAvailable(f"neither torchvision nor timm is here with {name}")
    if work.threads:
        torch.set_num_threads(work.threads)
    model = make(num_classes=work.num_classes)
    model = model.to(memory_format=torch.channels_last)
    if compiled:
        model = torch.compile(model)
    images = torch.from_numpy(_images(work).transpose(0, 3, 1, 2).copy())
    images = images.to(memory_format=torch.channels_last)
    labels = torch.from_numpy(_labels(work))
    dtype = getattr(torch, work.peer_precision)
    low = torch.autocast("cpu", dtype, enabled=work.peer_precision != "float32")
    if work.mode == "forward":
        model.eval()

        def forward():
            with torch.inference_mode(), low:
                return model(images).float().numpy()

        return forward
    optimizer = torch.optim.SGD(model.parameters(), _LEARNING_RATE)

    def train():
        optimizer.zero_grad()
        with low:
            loss = torch.nn.functional.cross_entropy(model(images).float(), labels)
        loss.backward()
        optimizer.step()
        return float(loss)

    return train


def _onnxruntime(work: Work, directory: str) -> Step:
    if work.mode != "forward":
        raise NotAvailable("onnxruntime does not train")
    _package("onnxruntime")
    return _loaded("onnxruntime", work, directory)


def _matmul(work: Work, directory: str) -> Step:
    del directory
    import tensorflow as tf

    _set_threads(tf, work)
    dtype = getattr(tf, work.peer_precision)
    matrix = tf.cast(tf.random.stateless_normal([MATRIX, MATRIX], (0, 0)), dtype)
    product = tf.function(lambda x: tf.matmul(x, x)[0, 0], autograph=False)
    return lambda: product(matrix).numpy()


_SUBJECTS: dict[str, Callable[[Work, str], Step]] = {
    OWN: _slimnets,
    "keras": _keras,
    "tf_slim": _tf_slim,
    "torch": _torch,
    "torch_compiled": functools.partial(_torch, compiled=True),
    "onnxruntime": _onnxruntime,
    MATMUL: _matmul,
}
