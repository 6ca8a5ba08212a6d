"""Photos with boxes and masks: formats, layouts, damage, and what happens to them."""

import json
import pathlib
import random
import re

import numpy as np
import pytest
import tensorflow as tf

from slimnets.cli import main
from slimnets.data import get_preprocessing, make_records, tfrecords
from slimnets.data.annotated import BOXES, IGNORED, MASKS, open_annotated
from slimnets.data.annotated_batches import Jitter, Move, annotated_batches
from slimnets.data.bad_records import BadRecords, explained_errors
from slimnets.data.geometry import FILL, fitted
from slimnets.data.image_files import BadImage
from tests import scenes

SPLITS = {"train": 4, "val": 2}
WRITERS = {
    "coco": (scenes.write_coco, BOXES),
    "voc": (scenes.write_voc, BOXES),
    "records": (scenes.write_records, BOXES),
}


def test_all_formats_of_boxes_are_the_same_to_the_pixel(tmp_path):
    for name, (write, kind) in WRITERS.items():
        dataset = open_annotated(name, kind, str(write(tmp_path / name, SPLITS)))
        assert dataset.label_names == scenes.NAMES and dict(dataset.splits) == SPLITS
        assert (dataset.train_split, dataset.test_split) == ("train", "val")
        for split, start in (("train", 0), ("val", 4)):
            source = dataset.source(split)
            for index in range(source.number):
                pixels, boxes, labels, _ = scenes.scene(start + index)
                photo = source.load(index)
                np.testing.assert_array_equal(photo.pixels, pixels)
                np.testing.assert_allclose(photo.objects.boxes, boxes, atol=1e-4)
                np.testing.assert_array_equal(photo.objects.labels, labels)
    # COCO's numbers of photos and classes, which results have again.
    coco = open_annotated("coco", BOXES, str(tmp_path / "coco"))
    assert coco.category_ids == (3, 17) and coco.source("val").id(0) == 11


def test_all_formats_of_masks_are_the_same_to_the_pixel(tmp_path):
    pytest.importorskip("PIL")
    scenes.write_masks(tmp_path / "masks", 4)
    scenes.write_voc(tmp_path / "voc", SPLITS)
    scenes.write_records(tmp_path / "records", SPLITS, masks=True)
    for name in ("masks", "voc", "records"):
        dataset = open_annotated(name, MASKS, str(tmp_path / name))
        for index in range(3):
            mask = scenes.scene(index)[3].astype(int)
            mask[mask == scenes.IGNORE] = IGNORED
            photo = dataset.source(dataset.train_split).load(index)
            np.testing.assert_array_equal(photo.mask, mask)
    named = {n: open_annotated(n, MASKS, str(tmp_path / n)).label_names for n in
             ("masks", "voc", "records")}  # fmt: skip
    assert named["masks"] == ("0", "1", "2")
    # VOC's list of classes is of boxes too, and has no background.
    assert named["voc"] == named["records"] == ("background", *scenes.NAMES)
    with pytest.raises(ValueError, match="'coco' has no masks; allowed are voc, mask"):
        open_annotated("coco", MASKS, str(tmp_path))


def test_layouts_of_tools(tmp_path):
    """One file beside its images, a folder for each split, XML beside the images."""
    coco = scenes.write_coco(tmp_path / "coco", {"train": 12})
    file = coco / "annotations" / "instances_train.json"
    (coco / "train" / "boxes.json").write_bytes(file.read_bytes())
    alone = open_annotated("coco", BOXES, str(coco / "train" / "boxes.json"))
    assert dict(alone.splits) == {"train": 11, "validation": 1, "all": 12}
    file.rename(coco / "train" / "_annotations.coco.json")
    (coco / "annotations").rmdir()
    (coco / "train" / "boxes.json").unlink()
    assert open_annotated("coco", BOXES, str(coco)).splits == alone.splits
    voc = scenes.write_voc(tmp_path / "voc", {"train": 2, "val": 2})
    for split, stems in (("train", ("000000", "000001")), ("valid", ("000002",))):
        (tmp_path / "flat" / split).mkdir(parents=True)
        for stem in stems:
            for source in (f"Annotations/{stem}.xml", f"JPEGImages/{stem}.png"):
                target = tmp_path / "flat" / split / pathlib.Path(source).name
                target.write_bytes((voc / source).read_bytes())
    flat = open_annotated("voc", BOXES, str(tmp_path / "flat"))
    assert dict(flat.splits) == {"train": 2, "valid": 1}
    assert flat.test_split == "valid"


@pytest.fixture(scope="module")
def coco_document(tmp_path_factory):
    root = scenes.write_coco(tmp_path_factory.mktemp("coco") / "set", {"train": 3})
    return json.loads((root / "annotations/instances_train.json").read_text()), root


def _set(path, value):
    def change(document):
        *outer, last = path
        for key in outer:
            document = document[key]
        if value is None:
            del document[last]
        else:
            document[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(["images"], None), "has no list of images"),
        (_set(["images", 0, "file_name"], None), "image 0 has no file_name"),
        (_set(["images", 0, "file_name"], "no.png"), "no.png, which is in none of"),
        (_set(["images", 1, "id"], 7), "image 1 has the id 7 of another"),
        (_set(["images", 0, "width"], 0), "image 0 is 72 x 0 pixels"),
        (_set(["images", 0], []), "image 0 is no object"),
        (_set(["annotations", 0, "bbox"], [1, 2, 3]), "and not four numbers"),
        (_set(["annotations", 0, "bbox", 2], 10**400), "and not four numbers"),
        (_set(["annotations", 0, "category_id"], 4), "the category 4, which is none"),
        (_set(["annotations", 0, "image_id"], 99), "the image 99, which is none"),
        (_set(["annotations", 0, "image_id"], "7"), "'7', and no whole number"),
        (_set(["categories", 0, "name"], "disc"), "each another"),
    ],
)  # fmt: skip
def test_damaged_coco_is_one_line(coco_document, change, message):
    document, root = coco_document
    document = json.loads(json.dumps(document))
    change(document)
    file = root / "damaged.json"
    file.write_text(json.dumps(document))
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        open_annotated("coco", BOXES, str(file))
    assert "damaged.json" in str(error.value) and "\n" not in str(error.value)


def test_boxes_outside_are_cut_or_left_out_with_a_word(coco_document, caplog):
    document, root = coco_document
    document = json.loads(json.dumps(document))
    image = document["images"][0]["id"]
    document["annotations"] = [
        {"image_id": image, "category_id": 3, "bbox": box}
        for box in ([-5, -5, 10, 10], [90, 0, 20, 9], [200, 0, 5, 5], [9, 9, 0, 4])
    ]
    file = root / "train" / "outside.json"
    file.write_text(json.dumps(document))
    dataset = open_annotated("coco", BOXES, str(file))
    boxes = dataset.source("all").load(0).objects.boxes
    np.testing.assert_array_equal(boxes, [[0, 0, 5, 5], [0, 90, 9, 96]])
    assert "left out 2 boxes that lie outside or are empty" in caplog.text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<annotation>", "<annotation", "is no XML"),
        ("<annotation>", "<annotations>", "is no XML"),
        ("<name>", "<title>", "is no XML"),
        ("<bndbox>", "<box>", "is no XML"),
        ("<xmin>", "<xmin>x", "and no number"),
        ("<ymax>", "<ymax>nan", "and no number"),
        ("<height>", "<height>1e999 ", "and no number"),
    ],
)
def test_damaged_voc_is_one_line(tmp_path, old, new, message):
    root = scenes.write_voc(tmp_path / "voc", {"train": 1})
    file = next((root / "Annotations").iterdir())
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as error:
        open_annotated("voc", BOXES, str(root))
    assert file.name in str(error.value) and "\n" not in str(error.value)


def test_a_list_of_classes_that_lacks_one_is_said(tmp_path):
    root = scenes.write_voc(tmp_path / "voc", {"train": 4})
    (root / "classes.txt").write_text("disc\n")
    with pytest.raises(ValueError, match="boxes of 'square', which is not among"):
        open_annotated("voc", BOXES, str(root))


def test_mutated_files_give_what_they_have_or_one_line(tmp_path):
    coco = scenes.write_coco(tmp_path / "coco", {"train": 2})
    voc = scenes.write_voc(tmp_path / "voc", {"train": 1})
    cases = [("coco", coco, coco / "annotations" / "instances_train.json"),
             ("voc", voc, next((voc / "Annotations").iterdir()))]  # fmt: skip
    draw = random.Random(0)
    for name, root, file in cases:
        whole = file.read_bytes()
        for _ in range(150):
            data = bytearray(whole)
            for _ in range(draw.randint(1, 3)):
                data[draw.randrange(len(data))] = draw.choice(b'0{}[]",:</>-e\xff\x00')
            file.write_bytes(
                data[: draw.choice([len(data), draw.randrange(len(data))])]
            )
            try:
                open_annotated(name, BOXES, str(root))
            except (ValueError, FileNotFoundError) as error:
                assert "\n" not in str(error)


def test_a_photo_that_is_not_as_annotated_is_bad(tmp_path):
    root = scenes.write_coco(tmp_path / "coco", {"train": 3})
    (root / "train" / "0.png").write_bytes(scenes.png(np.zeros((5, 6, 3), np.uint8)))
    (root / "train" / "1.png").write_bytes(b"no image")
    source = open_annotated("coco", BOXES, str(root)).source("all")
    with pytest.raises(BadImage, match=r"0.png .* 5 x 6 pixels, but annotated as 72"):
        source.load(0)
    with pytest.raises(BadImage, match=r"1\.png cannot be used"):
        source.load(1)
    options = {"image_size": 32, "batch_size": 2, "seed": 0}
    recipe = get_preprocessing("plain")
    with pytest.raises(ValueError, match="max_bad_records=0"), explained_errors():
        next(iter(annotated_batches(source, BOXES, recipe, **options)))
    # The one that is left stands in for both.
    bad = BadRecords(2)
    made = annotated_batches(source, BOXES, recipe, bad_records=bad, **options)
    images, _ = next(iter(made))
    assert len(images) == 2 and len(bad.found) == 2


def test_masks_that_are_none_are_said(tmp_path):
    pil = pytest.importorskip("PIL.Image")
    root = scenes.write_masks(tmp_path / "masks", 3)
    (root / "classes.txt").write_text("background\ndisc\n")
    masks = root / "masks"
    (masks / "001.png").write_bytes(scenes.png(np.zeros((72, 96, 3), np.uint8)))
    pil.fromarray(np.full((72, 96), 9, np.uint8)).save(masks / "002.png")
    source = open_annotated("masks", MASKS, str(root)).source("all")
    with pytest.raises(BadImage, match=r"a PNG of colors \(RGB\)"):
        source.load(1)
    with pytest.raises(BadImage, match=r"value 9, .* 0 to 1, nor ignore_label"):
        source.load(2)


# What happens to a photo happens to its boxes and its mask.


def drawn(height, width, box):
    """An image that is bright in a box, with that mask."""
    image = np.zeros((height, width, 1), np.float32)
    image[box[0] : box[2], box[1] : box[3]] = 200
    return tf.constant(image), tf.constant((image[..., 0] > 0).astype(np.int32))


def tight(mask):
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(
    ("resized", "corner"),
    [((24, 32), (0, 0)), ((24, 32), (4, 10)), ((48, 64), (20, 30)),
     ((12, 16), (-3, -5)), ((48, 64), (-2, 33))],
)  # fmt: skip
def test_boxes_and_masks_move_as_pixels_do(resized, corner, mirrored):
    box = [8, 12, 16, 26]
    image, mask = drawn(24, 32, box)
    move = Move(*map(tf.constant, ((24, 32), resized, corner, mirrored)), 32)
    pixels, moved = move.pixels(image).numpy()[..., 0], move.mask(mask).numpy()
    boxes, labels = move.boxes(tf.constant([box], tf.float32), tf.constant([3]))
    # Both factors are whole, so that edges lie between pixels.
    np.testing.assert_array_equal(boxes[0], tight(moved == 1))
    assert labels.numpy().tolist() == [3]
    inside = moved == 1
    assert pixels[inside].mean() > 150 and (pixels[moved == 0] < 100).all()
    np.testing.assert_array_equal(pixels[moved == IGNORED], FILL)


def test_objects_that_a_crop_hardly_shows_are_none():
    move = Move(*map(tf.constant, ((64, 64), (64, 64), (32, 32), False)), 32)
    boxes = tf.constant(
        [[0, 0, 20, 20], [30, 30, 40, 40], [10, 10, 34, 34]], tf.float32
    )
    moved, labels = move.boxes(boxes, tf.constant([5, 6, 7]))
    assert labels.numpy().tolist() == [6]
    np.testing.assert_array_equal(moved, [[0, 0, 8, 8]])
    moved, labels = move.boxes(boxes[:1], tf.constant([5]))
    assert labels.numpy().tolist() == [IGNORED] and moved.shape == (1, 4)


@pytest.mark.parametrize("size", [(40, 64), (64, 64), (7, 3), (1, 500)])
def test_a_letterbox_is_the_move_without_jitter(size):
    draws = tf.constant([0.7, 0.0, 0.0, 0.9])
    move = Move.drawn(tf.constant(size), 32, Jitter(), draws)
    assert tuple(move.resized.numpy()) == fitted(*size, 32)
    image = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.float32)
    recipe = get_preprocessing("plain").letterboxed()
    seen = recipe.prepare(image[np.newaxis], 32, (0, 255))
    np.testing.assert_allclose(seen[0], move.pixels(image) / 127.5 - 1.0, atol=1e-5)
    with pytest.raises(ValueError, match=r"Unknown preprocessing 'plain\+square'"):
        get_preprocessing("plain+square")
    with pytest.raises(ValueError, match="a recipe of images"):
        get_preprocessing("points+letterbox")


def test_batches_are_a_function_of_seed_and_step(tmp_path):
    root = scenes.write_coco(tmp_path / "coco", {"train": 5})
    source = open_annotated("coco", BOXES, str(root)).source("all")
    recipe = get_preprocessing("torch")
    options = {"image_size": 48, "batch_size": 2, "jitter": Jitter(0.5, 2, True, 0.2)}

    def take(seed, first, number):
        made = annotated_batches(
            source, BOXES, recipe, seed=seed, first_step=first, **options
        )
        return list(made.take(number))

    whole, rest = take(3, 0, 4), take(3, 2, 2)
    for (images, targets), (images2, targets2) in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(images, images2)
        for name in targets:
            np.testing.assert_array_equal(targets[name], targets2[name])
    assert images.shape == (2, 48, 48, 3)
    assert not np.array_equal(whole[0][0], take(4, 0, 1)[0][0])
    with pytest.raises(ValueError, match="batch_size=6 must be from 1 to 5"):
        annotated_batches(source, BOXES, recipe, seed=0, image_size=32, batch_size=6)


def test_check_data_counts_objects_and_names_what_is_wrong(tmp_path, capsys):
    pytest.importorskip("PIL")
    root = scenes.write_voc(tmp_path / "voc", {"train": 3, "val": 2})
    (root / "JPEGImages" / "000001.png").write_bytes(b"no image")
    (root / "JPEGImages" / "000003.png").write_bytes(
        (root / "JPEGImages" / "000002.png").read_bytes()
    )
    flags = ["check-data", str(root), "--dataset_name=voc"]
    assert main.main(flags) == 0
    out = capsys.readouterr().out
    assert "000001.png cannot be used" in out
    assert re.search(r"in train and val: .*000002.png = .*000003.png", out)
    count = sum((scenes.scene(i)[2] == 0).sum() for i in (0, 2))
    assert re.search(rf"train: 3 images, 1 of no use.*\n  disc +{count}\n", out)
    assert main.main([*flags, "--annotations=masks"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"train: 3 images, 1 of no use.*\n  background +2\n", out)
    assert main.main([*flags, "--label_feature=x"]) == 2
    assert "--label_feature is of no effect with" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [BOXES, MASKS])
def test_records_that_are_made_are_read_again(tmp_path, capsys, kind):
    pytest.importorskip("PIL")
    data = scenes.write_voc(tmp_path / "voc", {"train": 4, "val": 2})
    output = tmp_path / "records"
    flags = [f"--dataset_dir={data}", f"--output={output}", "--dataset_name=voc"]
    flags += [f"--annotations={kind}", "--num_shards=2"]
    assert main.main(["make-records", *flags]) == 0
    assert (
        "4 train images in 2 files, 2 val images in 1 files" in capsys.readouterr().out
    )
    assert (output / "label_map.pbtxt").exists() == (kind == BOXES)
    first = open_annotated("voc", kind, str(data))
    again = open_annotated("records", kind, str(output))
    assert again.label_names == first.label_names
    assert dict(again.splits) == dict(first.splits) and again.test_split == "val"
    for split in first.splits:
        one, two = first.source(split), again.source(split)
        photos = {two.load(i).pixels.tobytes(): two.load(i) for i in range(two.number)}
        for index in range(one.number):
            photo = one.load(index)
            other = photos[photo.pixels.tobytes()]
            if kind == MASKS:
                np.testing.assert_array_equal(other.mask, photo.mask)
                continue
            for mine, theirs in zip(photo.objects[:3], other.objects, strict=False):
                np.testing.assert_allclose(theirs, mine, atol=1e-4)
    assert main.main(["make-records", *flags, "--layout=flowers"]) == 2
    assert "is for --dataset_name=folder alone" in capsys.readouterr().err


def test_boxes_of_records_that_tell_no_size_are_of_the_stored_photo(tmp_path):
    images = pytest.importorskip("PIL.Image")
    exif = images.Exif()
    exif[0x0112] = 6
    photo = tmp_path / "1.jpg"
    images.fromarray(np.zeros((8, 12, 3), np.uint8)).save(photo, exif=exif)
    features = {
        "image/encoded": tfrecords.texts(photo.read_bytes()),
        "image/object/class/label": tfrecords.wholes(1),
    }
    for side, share in (("ymin", 0.0), ("xmin", 0.5), ("ymax", 0.5), ("xmax", 1.0)):
        features[f"image/object/bbox/{side}"] = tfrecords.floats([share])
    with tf.io.TFRecordWriter(str(tmp_path / "train.tfrecord")) as writer:
        writer.write(tfrecords.record_of(features))
    (tmp_path / "classes.txt").write_text("disc")
    source = open_annotated("records", BOXES, str(tmp_path)).source("train")
    found = source.load(0, exif_orientation=False).objects
    np.testing.assert_allclose(found.boxes, [[0, 6, 4, 12]])
    with pytest.raises(BadImage, match="which EXIF has turned: give exif_orientation"):
        source.load(0)


@pytest.mark.parametrize("upright", [False, True])
def test_records_are_made_of_photos_as_they_are_annotated(tmp_path, upright):
    images = pytest.importorskip("PIL.Image")
    exif = images.Exif()
    exif[0x0112] = 6
    photo = images.fromarray(np.zeros((8, 12, 3), np.uint8))
    photo.save(tmp_path / "1.jpg", exif=exif)
    height, width = (12, 8) if upright else (8, 12)
    document = {
        "images": [{"id": 1, "file_name": "1.jpg", "height": height, "width": width}],
        "categories": [{"id": 1, "name": "disc"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4]}
        ],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    output = str(tmp_path / "records")
    options = {"dataset_name": "coco", "num_shards": 1, "exif_orientation": upright}
    written = make_records(str(tmp_path / "boxes.json"), output, **options)
    assert written.images == {"train": 1} and not written.bad
    source = open_annotated("records", BOXES, output).source("train")
    found = source.load(0, exif_orientation=upright).objects
    np.testing.assert_allclose(found.boxes, [[0, 0, 4, 4]], atol=1e-5)
