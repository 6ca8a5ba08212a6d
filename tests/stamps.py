"""Scenes of photographed things on a blurred ground, from Debian's tuxpaint-stamps.

Nothing of the package is in the repository; `fetch` unpacks it into a folder. A scene
is a function of its number, as those of tests/scenes.py, whose writers take them.

    python -m tests.stamps FOLDER    # FOLDER/coco and FOLDER/voc
"""

import pathlib
import subprocess
import sys

import numpy as np

from tests import scenes

PACKAGE = "tuxpaint-stamps-default"
CLASSES = {"bird": "animals/birds", "fish": "animals/fish",
           "flower": "plants/flowers", "fruit": "food/fruit"}  # fmt: skip
NAMES = tuple(CLASSES)
# Things that are of no class.
_CLUTTER = "household/tools"
SPLITS = {"train": 2000, "val": 200}
# So many drawings has each class, the first by their names.
_DRAWINGS = 10
# Longer side of a thing in pixels, and how much of a smaller box another may cover.
_LEAST, _MOST, _OVERLAP = 32, 88, 0.1
# Of half-transparent edges it is not said whose they are.
_INSIDE, _OUTSIDE = 0.8, 0.2


def fetch(folder):
    """Unpacks the package and returns the folder of its drawings."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, check=True)
    (package,) = folder.glob(f"{PACKAGE}_*.deb")
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
    package.unlink()
    return folder / "usr/share/tuxpaint/stamps"


class Stamps:
    """What scenes are composed of.

    Args:
        folder: the drawings, as `fetch` returns it.
    """

    def __init__(self, folder):
        self._things = [
            _drawings(pathlib.Path(folder) / own)[:_DRAWINGS]
            for own in CLASSES.values()
        ]
        self._clutter = _drawings(pathlib.Path(folder) / _CLUTTER)

    def scene(self, number, height=120, width=160):
        """As of `scenes.scene`: pixels, boxes, labels and the mask."""
        rng = np.random.default_rng(number)
        pixels = _ground(rng, height, width)
        mask = np.zeros((height, width), np.uint8)
        boxes, labels, taken = [], [], []
        kinds = [int(rng.integers(len(CLASSES))) for _ in range(rng.integers(1, 5))]
        for label in [None] * int(rng.integers(2)) + kinds:
            drawings = self._clutter if label is None else self._things[label]
            drawn = _changed(rng, drawings[rng.integers(len(drawings))])
            colors, alpha = drawn[..., :3], drawn[..., 3] / 255
            high, wide = alpha.shape
            if high >= height or wide >= width:
                continue
            top, left = rng.integers(0, height - high), rng.integers(0, width - wide)
            rows, columns = (np.flatnonzero((alpha > 0.5).any(i)) for i in (1, 0))
            box = np.array([top + rows[0], left + columns[0],
                            top + rows[-1] + 1, left + columns[-1] + 1])  # fmt: skip
            if any(_overlap(box, other) > _OVERLAP for other in taken):
                continue
            taken.append(box)
            view = slice(top, top + high), slice(left, left + wide)
            share = alpha[..., np.newaxis]
            pixels[view] = (1 - share) * pixels[view] + share * colors
            own = mask[view]
            own[alpha > _OUTSIDE] = scenes.IGNORE
            own[alpha > _INSIDE] = 0 if label is None else 1 + label
            if label is not None:
                boxes.append(box)
                labels.append(label)
        pixels += rng.normal(0, 4, pixels.shape)
        return scenes.annotated(pixels, boxes, labels, mask)


def _drawings(folder):
    from PIL import Image

    drawings = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            drawn = image.convert("RGBA")
        drawn = drawn.crop(drawn.getchannel("A").getbbox())
        drawn.thumbnail((2 * _MOST, 2 * _MOST))
        drawings.append(drawn)
    return drawings


def _changed(rng, drawing):
    """A drawing in another size, perhaps mirrored, darker or brighter."""

    side = rng.uniform(_LEAST, _MOST)
    factor = side / max(drawing.size)
    size = [max(1, round(factor * length)) for length in drawing.size]
    # Colors beneath what is transparent do not reach the edges.
    drawn = np.asarray(drawing.convert("RGBa").resize(size).convert("RGBA"), float)
    if rng.integers(2):
        drawn = drawn[:, ::-1]
    return drawn * [*[rng.uniform(0.75, 1.2)] * 3, 1]


def _ground(rng, height, width):
    from PIL import Image

    coarse = rng.uniform(40, 220, 3) + rng.normal(0, 30, (6, 8, 3))
    coarse = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), float)


def _overlap(first, second):
    """The share of the smaller box that is in both."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    areas = [np.prod(box[2:] - box[:2]) for box in (first, second)]
    return np.prod(np.maximum(sides, 0)) / min(areas)


def write(folder, splits=SPLITS):
    """Fetches the drawings, and writes FOLDER/coco and FOLDER/voc."""
    folder = pathlib.Path(folder)
    make = Stamps(fetch(folder / PACKAGE)).scene
    scenes.write_coco(folder / "coco", splits, make=make, names=NAMES)
    scenes.write_voc(folder / "voc", splits, make=make, names=NAMES)


if __name__ == "__main__":
    write(sys.argv[1])
