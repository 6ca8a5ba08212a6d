"""Damaged annotations: COCO's JSON, VOC's XML, masks, records and lists of classes.

Half of the damage is to bytes; the other half leaves a file whole, and puts what nobody
expects in the place of a value in it.
"""

import copy
import json
import os
import pathlib
import shutil
from xml.etree import ElementTree

import numpy as np
import tensorflow as tf

from tests import scenes
from tests.reliability.fuzzing import Kind
from tests.reliability.kinds_of_records import as_records
from tests.reliability.mutations import mutated

_SIZES = {"height": 24, "width": 32, "least": 6, "most": 12}
_SPLITS = {"train": 3, "val": 2}
_LONGEST_LINE = 1000
WILD = (
    None, True, -1, 0, 2**31, 2**63, 10**400, 1e308, -0.5, float("nan"), float("inf"),
    "", "0", "\0", "../x", "\ud800", [], [None], {}, {"id": 1}, [[1]], "1" * 5000,
)  # fmt: skip


def _read(name: str, kind: str):
    def read(path: str) -> None:
        """Opens a dataset and every photo of it, as training and evaluation do."""
        from slimnets.data.annotated import open_annotated
        from slimnets.data.image_files import BadImage

        dataset, refused = open_annotated(name, kind, path), None
        for split in dataset.splits:
            source = dataset.source(split)
            for index in range(source.number):
                try:
                    photo = source.load(index)
                except BadImage as error:
                    refused = error
                    continue
                _check(photo, dataset.num_classes)
        if refused:
            raise refused

    def read_or_refuse(path: str) -> None:
        """What is refused is told in a line."""
        try:
            read(path)
        except (ValueError, OSError) as error:
            assert "\n" not in str(error) and len(str(error)) < _LONGEST_LINE
            raise

    return read_or_refuse


def _check(photo, num_classes: int) -> None:
    """What comes of a photo is what the rest relies on."""
    height, width = photo.pixels.shape[:2]
    if photo.mask is not None:
        assert photo.mask.shape == (height, width) and photo.mask.max() < num_classes
        return
    boxes, labels, crowd, areas = photo.objects
    assert len(boxes) == len(labels) == len(crowd) == len(areas)
    assert np.isfinite(boxes).all() and np.isfinite(areas).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all() and (boxes >= 0).all()
    assert (boxes[:, 2:] <= [height, width]).all()
    assert ((labels >= 0) & (labels < num_classes)).all()


def _fresh(write):
    def written(path: str) -> None:
        shutil.rmtree(path, ignore_errors=True)
        write(path)

    return written


def _coco(path: str) -> None:
    scenes.write_coco(path, _SPLITS, **_SIZES)


def _voc(path: str) -> None:
    scenes.write_voc(path, _SPLITS, **_SIZES)


def _masks(path: str) -> None:
    scenes.write_masks(path, 4, **_SIZES)


def _wild_json(rng: np.random.Generator, original: bytes) -> bytes:
    if rng.random() < 0.5:
        return mutated(rng, original)
    document = json.loads(original)
    for _ in range(rng.integers(1, 4)):
        holder = document
        while True:
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            if not len(keys):
                break
            key = keys[rng.integers(len(keys))]
            deeper = isinstance(holder[key], (dict, list)) and len(holder[key])
            if deeper and rng.random() < 0.9:
                holder = holder[key]
                continue
            if isinstance(holder, dict) and rng.random() < 0.2:
                del holder[key]
            else:
                holder[key] = copy.deepcopy(WILD[rng.integers(len(WILD))])
            break
    return json.dumps(document).encode()


def _wild_xml(rng: np.random.Generator, original: bytes) -> bytes:
    if rng.random() < 0.5:
        return mutated(rng, original)
    root = ElementTree.fromstring(original)
    for _ in range(rng.integers(1, 4)):
        every = list(root.iter())
        chosen = every[rng.integers(len(every))]
        texts = [str(value) for value in WILD if value not in ("\0", "\ud800")]
        if rng.random() < 0.3:
            chosen.clear()
        chosen.text = texts[rng.integers(len(texts))]
    return ElementTree.tostring(root)


def _wild_record(rng: np.random.Generator, original: bytes) -> bytes:
    if rng.random() < 0.3:
        return mutated(rng, original)
    length = int.from_bytes(original[:8], "little")
    example = tf.train.Example.FromString(original[12 : 12 + length])
    feature = example.features.feature
    names = sorted(feature)
    for _ in range(rng.integers(1, 4)):
        name = names[rng.integers(len(names))]
        kind = rng.integers(4)
        if kind == 0:
            feature.pop(name, None)
        elif kind == 1:
            feature[name].int64_list.value[:] = [-1, 2**62][: rng.integers(3)]
        elif kind == 2:
            feature[name].float_list.value[:] = [np.nan, 1e30, -2.0][: rng.integers(4)]
        else:
            feature[name].bytes_list.value[:] = [b"", b"\xff\0"][: rng.integers(3)]
    return as_records([example.SerializeToString()])


def _records(masks: bool):
    return lambda path: scenes.write_records(path, {"train": 1}, masks, **_SIZES)


def _with_map(path: str) -> None:
    _records(False)(path)
    text = "".join(
        f"item {{\n  id: {number}\n  name: '{name}'\n}}\n"
        for number, name in enumerate(scenes.NAMES, start=1)
    )
    pathlib.Path(path, "label_map.pbtxt").write_text(text)


_JSON = os.path.join("annotations", "instances_train.json")
_SHARD = "train-00000-of-00001"
_XML = os.path.join("Annotations", "000000.xml")
_LIST = os.path.join("ImageSets", "Main", "train.txt")

KINDS = {
    name: Kind(_fresh(write), "set", _read(dataset, kind), os.path.join("set", damaged),
               **({"damage": damage} if damage else {}))
    for name, write, dataset, kind, damaged, damage in (
        ("coco", _coco, "coco", "boxes", _JSON, _wild_json),
        ("voc", _voc, "voc", "boxes", _XML, _wild_xml),
        ("voc_list", _voc, "voc", "boxes", _LIST, None),
        ("voc_masks", _voc, "voc", "masks", "SegmentationClass/000000.png", None),
        ("masks", _masks, "masks", "masks", "masks/000.png", None),
        ("classes", _voc, "voc", "boxes", "classes.txt", None),
        ("records_boxes", _records(False), "records", "boxes", _SHARD, _wild_record),
        ("records_masks", _records(True), "records", "masks", _SHARD, _wild_record),
        ("label_map", _with_map, "records", "boxes", "label_map.pbtxt", None),
    )
}  # fmt: skip
