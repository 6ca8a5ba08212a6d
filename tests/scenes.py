"""Scenes of drawn shapes, written as people's tools write photos with boxes and masks.

A scene is a function of its number: squares and discs of a colour on a noisy ground,
with a tight box and every pixel's class.
"""

import json
import pathlib
from xml.etree import ElementTree

import numpy as np
import tensorflow as tf

NAMES = ("disc", "square")
COLOURS = ((230, 90, 40), (60, 120, 240))
IGNORE = 255


def scene(number, height=72, width=96, least=14, most=34):
    """Pixels uint8 `[height, width, 3]`, boxes `[n, 4]`, labels `[n]`, and a mask.

    Boxes are top, left, bottom, right; the mask is 0 or 1 + the label, and IGNORE on
    the edge of a shape.
    """
    rng = np.random.default_rng(number)
    pixels = rng.normal(110, 18, (height, width, 3))
    mask = np.zeros((height, width), np.uint8)
    boxes, labels = [], []
    rows, columns = np.mgrid[:height, :width]
    for _ in range(rng.integers(1, 4)):
        side, label = int(rng.integers(least, most)), int(rng.integers(2))
        top, left = rng.integers(0, height - side), rng.integers(0, width - side)
        inside = (rows >= top) & (rows < top + side)
        inside &= (columns >= left) & (columns < left + side)
        if mask[inside].any():
            continue
        if label == 0:
            centre = (side - 1) / 2
            squared = (rows - top - centre) ** 2 + (columns - left - centre) ** 2
            inside &= squared <= (side / 2) ** 2
        pixels[inside] = COLOURS[label] + rng.normal(0, 12, (inside.sum(), 3))
        mask[inside] = 1 + label
        boxes.append([top, left, top + side, left + side])
        labels.append(label)
    edge = np.zeros(mask.shape, bool)
    edge[1:] |= mask[1:] != mask[:-1]
    edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    mask[edge] = IGNORE
    return annotated(pixels, boxes, labels, mask)


def annotated(pixels, boxes, labels, mask):
    """What a scene is, as arrays: a picture, boxes `[n, 4]`, classes and a mask."""
    return (
        np.clip(pixels, 0, 255).astype(np.uint8),
        np.array(boxes, np.int64).reshape(-1, 4),
        np.array(labels, np.int64),
        mask,
    )


def png(pixels):
    return tf.io.encode_png(pixels).numpy()


def write_coco(root, splits, first_id=7, make=scene, names=NAMES, **sizes):
    """DIR/SPLIT/*.png and DIR/annotations/instances_SPLIT.json; sparse category ids."""
    root = pathlib.Path(root)
    (root / "annotations").mkdir(parents=True)
    start = 0
    for split, count in splits.items():
        (root / split).mkdir()
        images, annotations = [], []
        for number in range(start, start + count):
            pixels, boxes, labels, _ = make(number, **sizes)
            (root / split / f"{number}.png").write_bytes(png(pixels))
            height, width = pixels.shape[:2]
            name = f"{number}.png"
            images.append({"id": first_id + number, "file_name": name,
                           "height": height, "width": width})  # fmt: skip
            for (top, left, bottom, right), label in zip(
                boxes.tolist(), labels.tolist(), strict=True
            ):
                box = [left, top, right - left, bottom - top]
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": first_id + number,
                     "category_id": _category_id(label), "bbox": box,
                     "area": box[2] * box[3], "iscrowd": 0}
                )  # fmt: skip
        start += count
        document = {
            "images": images,
            "annotations": annotations,
            "categories": [
                {"id": _category_id(label), "name": name}
                for label, name in reversed(list(enumerate(names)))
            ],
        }
        file = root / "annotations" / f"instances_{split}.json"
        file.write_text(json.dumps(document))
    return root


def _category_id(label):
    return 3 + 14 * label


def write_voc(root, splits, make=scene, names=NAMES, **sizes):
    """VOC's layout, with boxes and with palette masks."""
    from PIL import Image

    root = pathlib.Path(root)
    for name in ("Annotations", "JPEGImages", "SegmentationClass", "ImageSets/Main",
                 "ImageSets/Segmentation"):  # fmt: skip
        (root / name).mkdir(parents=True)
    start = 0
    for split, count in splits.items():
        stems = [f"{number:06}" for number in range(start, start + count)]
        for kind in ("Main", "Segmentation"):
            (root / "ImageSets" / kind / f"{split}.txt").write_text("\n".join(stems))
        for number, stem in enumerate(stems, start):
            pixels, boxes, labels, mask = make(number, **sizes)
            (root / "JPEGImages" / f"{stem}.png").write_bytes(png(pixels))
            image = Image.fromarray(mask, "P")
            image.putpalette([(value * 37) % 256 for value in range(768)])
            image.save(root / "SegmentationClass" / f"{stem}.png")
            tree = ElementTree.Element("annotation")
            size = ElementTree.SubElement(tree, "size")
            for key, value in zip(("height", "width"), pixels.shape, strict=False):
                ElementTree.SubElement(size, key).text = str(value)
            for (top, left, bottom, right), label in zip(boxes, labels, strict=True):
                element = ElementTree.SubElement(tree, "object")
                ElementTree.SubElement(element, "name").text = names[label]
                box = ElementTree.SubElement(element, "bndbox")
                corners = {"xmin": left + 1, "ymin": top + 1, "xmax": right,
                           "ymax": bottom}  # fmt: skip
                for key, value in corners.items():
                    ElementTree.SubElement(box, key).text = str(value)
            path = root / "Annotations" / f"{stem}.xml"
            path.write_bytes(ElementTree.tostring(tree))
        start += count
    (root / "classes.txt").write_text("\n".join(names))
    return root


def write_masks(root, count, **sizes):
    """DIR/images and DIR/masks, the masks in gray."""
    root = pathlib.Path(root)
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for number in range(count):
        pixels, _, _, mask = scene(number, **sizes)
        (root / "images" / f"{number:03}.png").write_bytes(png(pixels))
        (root / "masks" / f"{number:03}.png").write_bytes(png(mask[..., np.newaxis]))
    return root


def write_records(root, splits, masks=False, **sizes):
    """TFRecords of the Object Detection API or, with masks, of DeepLab."""
    root = pathlib.Path(root)
    root.mkdir(parents=True)
    start = 0
    for split, count in splits.items():
        with tf.io.TFRecordWriter(str(root / f"{split}-00000-of-00001")) as writer:
            for number in range(start, start + count):
                writer.write(_example(number, masks, sizes).SerializeToString())
        start += count
    if masks:
        (root / "classes.txt").write_text("\n".join(("background", *NAMES)))
    return root


def _example(number, masks, sizes):
    pixels, boxes, labels, mask = scene(number, **sizes)
    height, width = pixels.shape[:2]
    features = {"image/encoded": [png(pixels)], "image/height": [height],
                "image/width": [width]}  # fmt: skip
    if masks:
        encoded = png(mask[..., np.newaxis])
        features["image/segmentation/class/encoded"] = [encoded]
    else:
        shares = boxes / np.array([height, width] * 2)
        names = ("ymin", "xmin", "ymax", "xmax")
        for name, values in zip(names, shares.T, strict=True):
            features[f"image/object/bbox/{name}"] = values.tolist()
        features["image/object/class/label"] = (labels + 1).tolist()
        texts = [NAMES[label].encode() for label in labels]
        features["image/object/class/text"] = texts
    return tf.train.Example(
        features=tf.train.Features(
            feature={name: _feature(values) for name, values in features.items()}
        )
    )


def _feature(values):
    kinds = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
    lists = {"bytes_list": tf.train.BytesList, "int64_list": tf.train.Int64List,
             "float_list": tf.train.FloatList}  # fmt: skip
    kind = kinds[type(values[0])] if values else "float_list"
    return tf.train.Feature(**{kind: lists[kind](value=values)})
