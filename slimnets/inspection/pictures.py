"""Pictures of what a network has learned and sees: filters, activations, fields."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets import factory
from slimnets.inspection.fields import Region, field_of
from slimnets.inspection.observe import unit_of
from slimnets.inspection.plot import checked_path, figure_class, save
from slimnets.listing import common_scope

_MOST = 64
_TEXT = 7.0
_HEAD = 9.0


def plot_filters(name: str, weights: np.ndarray, path: str | os.PathLike) -> None:
    """Draws a convolution's kernels as a grid.

    Kernels of three input channels are coloured, zero is grey; of others the mean over
    the input channels is drawn.

    Args:
        name: what stands above.
        weights: `[height, width, inputs, outputs]`.
        path: a .png file.

    Raises:
        ValueError: for weights of another rank, or another file ending.
        ImportError: without matplotlib.
    """
    path = checked_path(path)
    if weights.ndim != 4:
        raise ValueError(
            f"{name} has the shape {weights.shape}; filters are of [height, width, "
            "inputs, outputs]."
        )
    height, width, inputs, outputs = weights.shape
    largest = float(np.abs(weights).max()) or 1.0
    tiles = np.moveaxis(weights, -1, 0) / (2 * largest) + 0.5
    if inputs != 3:
        tiles = tiles.mean(-1)
    title = f"{name}: {outputs} filters of {height} x {width} x {inputs}"
    _grid(tiles, path, title, f"values {-largest:.3g} to {largest:.3g}", "gray", (0, 1))


def plot_feature_maps(
    name: str, values: np.ndarray, path: str | os.PathLike, most: int = _MOST
) -> None:
    """Draws the channels of an activation as a grid, on one scale of colours.

    Args:
        name: what stands above.
        values: `[height, width, channels]`.
        path: a .png file.
        most: number of channels that are drawn, the first ones.

    Raises:
        ValueError: for values of another rank, or another file ending.
        ImportError: without matplotlib.
    """
    path = checked_path(path)
    if values.ndim != 3:
        raise ValueError(
            f"{name} has the shape {values.shape}; feature maps are of [height, width, "
            "channels]."
        )
    tiles = np.moveaxis(values, -1, 0)[:most]
    low, high = float(tiles.min()), float(tiles.max())
    shown = f"channels 0 to {len(tiles) - 1}" if len(tiles) < values.shape[-1] else ""
    title = f"{name}: {'x'.join(map(str, values.shape))}"
    note = ", ".join(filter(None, [shown, f"values {low:.3g} to {high:.3g}"]))
    _grid(tiles, path, title, note, "viridis", (low, max(high, low + 1e-6)))


def _grid(
    tiles: np.ndarray,
    path: Any,
    title: str,
    note: str,
    colours: str,
    limits: tuple[float, float],
) -> None:
    """Draws images `[count, height, width]`, or with 3 channels, side by side."""
    count, height, width = tiles.shape[:3]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    # Each pixel a square of whole screen pixels, each tile about half an inch.
    zoom = max(1, round(56 / max(height, width)))
    edge = max(1, round(4 / zoom))
    colours_of_pixels = tiles.shape[3:]
    framed = np.full(
        (rows * columns, height + edge, width + edge, *colours_of_pixels),
        1.0 if colours_of_pixels else np.nan,  # Both are drawn white.
    )
    framed[:count, :height, :width] = tiles
    picture = framed.reshape(rows, columns, *framed.shape[1:]).swapaxes(1, 2)
    picture = picture.reshape(
        rows * (height + edge), columns * (width + edge), *colours_of_pixels
    )
    figure, axes = _page(title, note, picture.shape[1] * zoom, picture.shape[0] * zoom)
    axes.imshow(
        picture, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest"
    )
    axes.axis("off")
    save(figure, path)


def _page(title: str, note: str, width: float, height: float) -> tuple[Any, Any]:
    """A figure with two lines above axes of a size in pixels of 1/120 inch."""
    margin, head = 18.0, 48.0
    # The lines above may be wider than the picture.
    letters = max(len(title) * 0.62 * _HEAD, len(note) * 0.6 * _TEXT) * 120 / 72
    size = (max(width, letters) + 2 * margin, height + head + margin)
    figure = figure_class()(figsize=(size[0] / 120, size[1] / 120))
    box = (margin / size[0], margin / size[1], width / size[0], height / size[1])
    axes = figure.add_axes(box)
    for text, y, points in ((title, 20, _HEAD), (note, 37, _TEXT)):
        figure.text(
            margin / size[0], 1 - y / size[1], text, fontsize=points, parse_math=False
        )
    return figure, axes


def plot_histograms(
    groups: Mapping[str, Mapping[str, np.ndarray]], path: str | os.PathLike
) -> None:
    """Draws histograms of arrays, counts on a logarithmic scale.

    Args:
        groups: `{"weights": {name: array}, "activations": {...}}`, each a part of the
            picture.
        path: a .png file.

    Raises:
        ValueError: without any arrays, or for another file ending.
        ImportError: without matplotlib.
    """
    path = checked_path(path)
    groups = {title: dict(arrays) for title, arrays in groups.items() if arrays}
    if not groups:
        raise ValueError("There are no arrays to draw histograms of.")
    columns = 6
    rows = {title: math.ceil(len(a) / columns) for title, a in groups.items()}
    width, height, head = 150.0, 92.0, 26.0
    size = (columns * width + 12, sum(rows.values()) * height + head * len(rows) + 8)
    figure = figure_class()(figsize=(size[0] / 72, size[1] / 72))
    y = 0.0
    for title, arrays in groups.items():
        figure.text(
            12 / size[0],
            1 - (y + 18) / size[1],
            f"{title}, counts on a logarithmic scale",
            fontsize=_HEAD,
            weight="bold",
        )
        y += head
        for index, (name, values) in enumerate(arrays.items()):
            row, column = divmod(index, columns)
            left, bottom = 12 + column * width, size[1] - y - (row + 1) * height + 24
            box = (left / size[0], bottom / size[1], 126 / size[0], 48 / size[1])
            _histogram(figure.add_axes(box), name, np.asarray(values).ravel())
        y += rows[title] * height
    save(figure, path)


def _histogram(axes: Any, name: str, values: np.ndarray) -> None:
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0, 0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, bins=40, range=(low, high))
    axes.stairs(counts, edges, fill=True, color="#4a7fb5")
    axes.set_yscale("symlog")
    axes.set_ylim(bottom=0)
    axes.set_xlim(low, high)
    axes.set_yticks([])
    axes.minorticks_off()
    # At the ends, and turned inwards, so that neighbours' numbers stay apart.
    axes.set_xticks([low, high], [f"{low:.2g}", f"{high:.2g}"], fontsize=6)
    for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
        label.set_horizontalalignment(side)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=2, pad=2)
    shown = name if len(name) <= 30 else "\N{HORIZONTAL ELLIPSIS}" + name[-29:]
    axes.set_title(shown, fontsize=6.5, loc="left", pad=2, parse_math=False)


def plot_receptive_field(
    network: str,
    level: str,
    image: np.ndarray,
    path: str | os.PathLike,
    *,
    image_size: int | None = None,
    **kwargs: Any,
) -> Region:
    """Draws what the middle position of a level sees, on an image.

    Args:
        network: a registered name.
        level: `C4`, or another name that the end points answer to.
        image: `[height, width, channels]`, uint8; it is resized to the network's input.
        path: a .png file.
        image_size: height and width of the network's input; its default for None.
        **kwargs: further arguments of the network's function.

    Returns:
        The pixels of the input that the position depends on; see `field_of`.

    Raises:
        ValueError: for an unknown network, or an end point without positions.
        KeyError: for a level that the network does not have.
        ImportError: without matplotlib.
    """
    path = checked_path(path)
    size = image_size or factory.network_info(network).default_image_size
    with tf.Graph().as_default():
        shape = [1, size, size, image.shape[-1]]
        inputs = tf.compat.v1.placeholder(tf.float32, shape)
        _, end_points = factory.build(network, inputs, **kwargs)
        outputs = end_points[level]
        rows, columns = outputs.shape[1:3] if outputs.shape.rank == 4 else (1, 1)
        region = field_of(outputs, inputs, rows // 2, columns // 2)
        stride = size
        if rows > 1:
            above = field_of(outputs, inputs, rows // 2 - 1, columns // 2)
            stride = region.top - above.top
        name = end_points.resolve(level)
    note = (
        f"stride {stride}; the middle one of {rows} x {columns} positions sees "
        f"{region.height} x {region.width} pixels, the image has {size} x {size}"
    )
    pixels = tf.image.resize(image, [size, size]).numpy() / 255.0
    title = f"{level} of {network}: {name.removeprefix(end_points.scope + '/')}"
    _draw_field(pixels, region, stride, title, note, path)
    return region


def _draw_field(pixels, region, stride, title, note, path) -> None:
    from matplotlib.patches import Rectangle

    size = pixels.shape[0]
    room = max(0, -region.top, -region.left, region.bottom - size, region.right - size)
    room += size * 0.03
    figure, axes = _page(title, note, 560, 560)
    axes.imshow(np.squeeze(pixels), cmap="gray", vmin=0, vmax=1)
    # The centre of the first pixel is at 0.
    axes.set(xlim=(-room - 0.5, size + room), ylim=(size + room, -room - 0.5))
    axes.set_xticks([])
    axes.set_yticks([])
    corner = (region.left - 0.5, region.top - 0.5)
    shape = (region.width, region.height)
    axes.add_patch(Rectangle(corner, *shape, color="#ffd23f", alpha=0.25, linewidth=0))
    axes.add_patch(Rectangle(corner, *shape, fill=False, color="#e4572e", linewidth=2))
    # The position's own share of the image, in the middle of what it sees.
    cell = (
        corner[0] + (region.width - stride) / 2,
        corner[1] + (region.height - stride) / 2,
    )
    axes.add_patch(
        Rectangle(cell, stride, stride, fill=False, color="#1b998b", linewidth=2)
    )
    save(figure, path)


def by_unit(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the kernels of each unit, or layer outside of units, as one array."""
    found: dict[str, list[np.ndarray]] = {}
    for name, values in weights.items():
        found.setdefault(unit_of(name) or name, []).append(values.ravel())
    return _shortened({scope: np.concatenate(parts) for scope, parts in found.items()})


def outside_units(end_points: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the end points that are not inside of a unit: its end is its output."""
    found = {}
    for name in end_points:
        unit = unit_of(name)
        if not unit or name.count("/") == unit.count("/") + 1:
            found[unit or name] = end_points[name]
    return _shortened(found)


def _shortened(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Leaves out the scope that all names but those without any begin with."""
    scope = common_scope(arrays)
    return {name.removeprefix(scope): values for name, values in arrays.items()}
