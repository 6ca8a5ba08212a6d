"""Where in an image a network sees a class.

    maps = class_map(model, images, at="C4", method="grad_cam")

Sources: Grad-CAM, Selvaraju et al., arXiv:1610.02391; Grad-CAM++, Chattopadhay et al.,
arXiv:1710.11063; Eigen-CAM, Muhammad & Yeasin, arXiv:2008.00299; occlusion, Zeiler &
Fergus, arXiv:1311.2901; integrated gradients, Sundararajan et al., arXiv:1703.01365.
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.inspection.plot import checked_path, figure_class, save
from slimnets.listing import nearest
from slimnets.model import Model
from slimnets.trained import Trained

# Parts of the way from no image to the image, and images at a time.
_STEPS = 64
_BATCH = 16
# Of an image's side, how much is covered at a time, and how far the cover moves.
_COVER, _MOVES = 6, 12
# Operations behind which a gradient is the same as before: the first input is copied,
# or has a constant added.
_COPIES = ("Identity", "Cast", "AddV2", "Sub", "BiasAdd")


def class_map(
    model: Any,
    images: np.ndarray | tf.Tensor,
    *,
    classes: int | Sequence[int] | None = None,
    at: str | None = None,
    method: str | None = None,
) -> np.ndarray:
    """Returns how much each place of an image speaks for a class.

    Args:
        model: a network with class logits: a Model, or what `open_trained` gives for an
            export. Frozen graphs, SavedModels and Keras files have gradients, the first
            two also with regard to the levels that were exported; of others `occlusion`
            is known, which needs none.
        images: `[batch, height, width, channels]`, as the network takes them.
        classes: the logit, or one for each image; None for each image's likeliest.
        at: the activation that is looked at: a level, C4, or an end point; None for the
            network's last level. `occlusion` and `integrated_gradients` look at none.
        method: a key of `METHODS`; None for `grad_cam`, or for an export without
            gradients or levels `occlusion`. `grad_cam` and `grad_cam++` give what is
            positive alone; `eigen` knows no class; of `occlusion` a value is the share
            by which covering the place lowers the logit, and those of
            `integrated_gradients` have the sum of what the image adds to it.

    Returns:
        `[batch, height, width]`, float32; of an activation, enlarged to the image.

    Raises:
        ValueError: for an unknown method, one that needs gradients where there are
            none, a class that is none of the network's, or a network without classes or
            levels.
        KeyError: for an end point that is not there, with the nearest.
    """
    return class_mapper(model, at=at, method=method)(images, classes)


def chosen_method(model: Callable, method: str | None = None) -> str:
    """The method itself, or of None the one that `class_map` takes."""
    has_levels = getattr(model, "has_levels", True)
    return method or ("grad_cam" if has_levels else "occlusion")


def class_mapper(
    model: Any, *, at: str | None = None, method: str | None = None
) -> Callable[..., np.ndarray]:
    """Returns a function of images and classes that gives what `class_map` does.

    For many images of one size one after the other: the network is traced once.
    """
    method = chosen_method(model, method)
    if method not in METHODS:
        raise ValueError(f"method={method!r}; allowed are {', '.join(METHODS)}.")
    if at is not None and method not in _OF_ACTIVATIONS:
        raise ValueError(f"at={at!r} has no meaning for method={method!r}.")
    if method != "occlusion" and not getattr(model, "has_gradients", True):
        raise ValueError(
            f"method={method!r} needs gradients, which of exports only frozen graphs, "
            "SavedModels and Keras files have that take any number of images; "
            "method='occlusion' needs none."
        )
    find = METHODS[method](model, at)

    def maps(
        images: np.ndarray | tf.Tensor, classes: int | Sequence[int] | None = None
    ) -> np.ndarray:
        images = tf.cast(images, tf.float32)
        logits = model(images)
        if not model.num_classes or logits.shape.rank != 2:
            raise ValueError(
                f"The outputs of {model.network_name} have the shape {logits.shape}; "
                "class maps are of networks with logits `[batch, classes]`."
            )
        return np.float32(find(images, _classes(classes, logits)))

    return maps


def _classes(classes: int | Sequence[int] | None, logits: tf.Tensor) -> tf.Tensor:
    if classes is None:
        return tf.argmax(logits, -1, tf.int32)
    number, count = logits.shape
    given = np.broadcast_to(classes, [number])
    if not ((given >= 0) & (given < count)).all():
        raise ValueError(f"classes={classes!r}; allowed are 0 to {count - 1}.")
    return tf.constant(given, tf.int32)


def _of_activation(weigh: Callable) -> Callable:
    """A method that weighs an activation `[batch, height, width, channels]` by the
    class's gradient."""

    def method(model: Any, at: str | None) -> Callable:
        @tf.function(autograph=False)
        def run(images: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits, end_points = model.with_end_points(images)
            if at is None and not end_points.levels:
                raise ValueError(
                    f"{model.network_name} has no levels: give at=END_POINT, or "
                    "method='occlusion', which looks at none."
                )
            name = at or max(end_points.levels, key=lambda level: int(level[1:]))
            values = end_points[name]
            if values.shape.rank != 4:
                raise ValueError(
                    f"{name} of {model.network_name} has the shape {values.shape}; "
                    "class maps are of `[batch, height, width, channels]`."
                )
            return values, _gradient(tf.gather(logits, classes, batch_dims=1), values)

        def maps(images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
            parts = (tf.cast(part, tf.float32) for part in run(images, classes))
            found = weigh(*parts)[..., tf.newaxis]
            return tf.image.resize(found, images.shape[1:3])[..., 0]

        return maps

    return method


def _gradient(scores: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The gradient of scores; of an output of a graph, that of what it is a copy of."""
    source = values
    (gradient,) = tf.gradients(scores, source)
    while gradient is None and source.op.type in _COPIES:
        source = source.op.inputs[0]
        (gradient,) = tf.gradients(scores, source)
    return tf.zeros_like(values) if gradient is None else gradient


@_of_activation
def _grad_cam(values: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    weights = tf.reduce_mean(gradient, [1, 2], keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * values, -1))


@_of_activation
def _grad_cam_plus_plus(values: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    square, cube = gradient**2, gradient**3
    total = tf.reduce_sum(values, [1, 2], keepdims=True)
    shares = tf.math.divide_no_nan(square, 2 * square + total * cube)
    weights = tf.reduce_sum(shares * tf.nn.relu(gradient), [1, 2], keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * values, -1))


@_of_activation
def _eigen(values: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    del gradient
    batch, height, width, channels = values.shape
    flat = tf.reshape(values, [batch, height * width, channels])
    _, _, v = tf.linalg.svd(flat - tf.reduce_mean(flat, 1, keepdims=True))
    maps = tf.linalg.matvec(flat, v[..., 0])
    # A component has no sign of its own: it is bright where activations are large.
    size = tf.reduce_sum(tf.abs(flat), -1)
    size -= tf.reduce_mean(size, 1, keepdims=True)
    sign = tf.sign(tf.reduce_sum(maps * size, 1, keepdims=True))
    return tf.reshape(maps * sign, [batch, height, width])


def _occlusion(model: Any, at: str | None) -> Callable:
    del at
    return functools.partial(_lost_by_covering, model)


def _lost_by_covering(
    model: Callable, images: tf.Tensor, classes: tf.Tensor
) -> np.ndarray:
    _, height, width, _ = images.shape
    sides = [max(1, side // _COVER) for side in (height, width)]
    steps = [max(1, side // _MOVES) for side in (height, width)]
    whole = _scores(model, images, classes)
    lost = np.zeros(images.shape[:3])
    times = np.zeros(images.shape[1:3])
    blank = tf.reduce_mean(images, [1, 2], keepdims=True)
    for top in range(0, height, steps[0]):
        for left in range(0, width, steps[1]):
            place = np.zeros((height, width), bool)
            place[top : top + sides[0], left : left + sides[1]] = True
            covered = tf.where(place[..., np.newaxis], blank, images)
            drop = (whole - _scores(model, covered, classes)) / np.abs(whole)
            lost[:, place] += drop[:, np.newaxis]
            times += place
    return lost / times


def _scores(model: Callable, images: tf.Tensor, classes: tf.Tensor) -> np.ndarray:
    return tf.gather(model(images), classes, batch_dims=1).numpy()


def _integrated_gradients(model: Any, at: str | None) -> Callable:
    del at
    parts = (np.arange(_STEPS, dtype=np.float32) + 0.5) / _STEPS

    @tf.function(autograph=False)
    def gradients(inputs: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        logits = (
            model(inputs)
            if isinstance(model, Model)
            else model.with_end_points(inputs)[0]
        )
        scores = tf.gather(logits, index, axis=1)
        return tf.gradients(scores, inputs)[0]

    def one(image: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        total = tf.zeros_like(image)
        for start in range(0, _STEPS, _BATCH):
            factors = parts[start : start + _BATCH, None, None, None]
            total += tf.reduce_sum(gradients(factors * image, index), 0)
        return tf.reduce_sum(image * total / _STEPS, -1)

    def maps(images: tf.Tensor, classes: tf.Tensor) -> np.ndarray:
        return np.stack([one(*each) for each in zip(images, classes, strict=True)])

    return maps


METHODS = {
    "grad_cam": _grad_cam,
    "grad_cam++": _grad_cam_plus_plus,
    "eigen": _eigen,
    "occlusion": _occlusion,
    "integrated_gradients": _integrated_gradients,
}
_OF_ACTIVATIONS = ("grad_cam", "grad_cam++", "eigen")


def place_of(name: str, trained: Trained) -> int:
    """The logit of a class that is given by its name, or by the logit's number.

    Raises:
        ValueError: if the network has no such class.
    """
    names = list(trained.label_names or ())
    if name in names:
        return names.index(name)
    if name.isdigit() and int(name) < (trained.num_classes or 0):
        return int(name)
    near = nearest(name, names)
    hint = f" The nearest are {near}." if near else ""
    raise ValueError(
        f"class={name!r} is none of the {trained.num_classes} classes of "
        f"{trained.path}.{hint}"
    )


def explain_image(
    trained: Trained,
    image: np.ndarray,
    path: str | os.PathLike,
    mapper: Callable[..., np.ndarray],
    index: int | None = None,
    how: str = "",
) -> str:
    """Draws what the network sees of an image, and on it what speaks for a class.

    Args:
        trained: the network.
        image: `[height, width, channels]`, uint8.
        path: a .png file.
        mapper: as `class_mapper` gives it for the network.
        index: the class's logit; None for the likeliest.
        how: how it is found, for the title.

    Returns:
        The class and its probability, for people.

    Raises:
        ValueError, KeyError: as `class_map`; for another file ending.
        ImportError: without matplotlib.
    """
    path = checked_path(path)
    inputs = trained.prepare(image)
    shares = tf.nn.softmax(trained.model(inputs))[0].numpy()
    index = int(shares.argmax()) if index is None else index
    (values,) = mapper(inputs, index)
    name = trained.label_names[index] if trained.label_names else str(index)
    said = f"{name} {shares[index]:.3f}"
    pixels = tf.cast(image[np.newaxis], tf.float32)
    seen = trained.recipe.view(pixels, trained.image_size)[0]
    seen = np.clip(seen.numpy() / 255.0, 0.0, 1.0)
    _draw(seen, values, f"{said}, {how}", path)
    return said


def _draw(seen: np.ndarray, values: np.ndarray, title: str, path: pathlib.Path) -> None:
    """The image, and beside it the image in grey below the map."""
    figure = figure_class()(figsize=(7.0, 3.8), layout="constrained")
    figure.suptitle(title, fontsize=10, parse_math=False)
    left, right = figure.subplots(1, 2)
    seen = np.repeat(seen, 3, -1) if seen.shape[-1] == 1 else seen
    left.imshow(seen)
    right.imshow(seen.mean(-1), cmap="gray", vmin=0, vmax=1)
    largest = float(np.abs(values).max()) or 1.0
    signed = values.min() < 0
    colours = {"cmap": "RdBu_r", "vmin": -largest} if signed else {"cmap": "inferno"}
    shown = right.imshow(
        values, vmax=largest, alpha=0.3 + 0.5 * np.abs(values) / largest,
        **{"vmin": 0.0, **colours},
    )  # fmt: skip
    figure.colorbar(shown, ax=right, shrink=0.8)
    for axes in (left, right):
        axes.set_axis_off()
    save(figure, path)
