"""A run as one page: it holds the run's numbers, and needs nothing from elsewhere."""

import base64
import dataclasses
import html.parser
import os
import pathlib
import re
import xml.etree.ElementTree as xml

import numpy as np
import pytest
import tensorflow as tf

from slimnets.data import digits
from slimnets.trained import open_trained
from slimnets.training import evaluate, train
from slimnets.training.curves import svg_of
from slimnets.training.measures import Evaluation
from slimnets.training.report_page import _confusions, write_page
from slimnets.training.wrong_pictures import address_of, most_wrong
from tests.browser import CHROMIUM, browser

_VOID = ("meta", "img", "br")


class Page(html.parser.HTMLParser):
    """Checks that tags are closed as they were opened, and keeps what it meets."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.images, self.tags = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attributes)["src"])
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def decoded(address):
    kind, _, content = address.partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    return tf.io.decode_image(base64.b64decode(content)).numpy()


def test_a_page_holds_a_runs_numbers_and_needs_nothing_else(config, call):
    run = config(eval_interval_steps=6, label_smoothing=0.125)
    train(run, show=False)
    code, out, _ = call("report", run.train_dir)
    path = f"{run.train_dir}/report.html"
    assert code == 0 and out.splitlines()[-1].endswith(f"page in {path}")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    page = Page(text)
    words = " ".join(page.words)
    correct, total = re.search(r"\((\d+) of (\d+) test examples", words).groups()
    assert total == "360" and f"{int(correct) / 360:.4f}" in words
    # The last row of the log is in the curves, and every setting in the table.
    plots = re.findall(r"<svg.*?</svg>", text)
    assert len(plots) == 3 and all(xml.fromstring(plot) is not None for plot in plots)
    assert "--label_smoothing=0.125" in words and "label_smoothing" in page.words
    assert "momentum" in page.words  # By default; it is not in the command.
    assert "--optimizer" not in words
    assert 0 < len(page.images) <= min(24, 360 - int(correct))
    assert all(decoded(image).shape == (8, 8, 1) for image in page.images)
    assert not re.search(r"(src|href)=.(?!data:)|url\(|@import|<script|<link", text)


def test_evaluate_writes_the_same_page_of_a_checkpoint_anywhere(config, call, tmp_path):
    run = config(max_number_of_steps=2)
    train(run, show=False)
    path = tmp_path / "pages" / "digits.html"
    code, out, _ = call("evaluate", f"--checkpoint_path={run.train_dir}",
                        f"--report={path}")  # fmt: skip
    assert code == 0 and str(path) in out
    call("report", run.train_dir)
    assert path.read_text() == (tmp_path / "run" / "report.html").read_text()
    code, _, error = call("report")
    assert code == 2 and "report takes the RUN" in error
    code, _, error = call("report", tmp_path / "none")
    assert code == 2 and not (tmp_path / "none").exists()


# What lies beyond the page's right edge, unless a box around it scrolls; and texts of
# plots that stand outside of them, or on each other.
CLIPPED = """(() => {
  const box = node => node.getBoundingClientRect();
  const shown = node => box(node).width > 0;
  const scrolls = node => node && (getComputedStyle(node).overflowX == "auto"
    || scrolls(node.parentElement));
  const name = node => node.tagName + ": " + node.textContent.slice(0, 60);
  const edge = document.documentElement.clientWidth;
  const wide = [...document.querySelectorAll("body *")].filter(node =>
    shown(node) && !scrolls(node) && box(node).right > edge + 1);
  const texts = [...document.querySelectorAll("svg text")].filter(node => {
    const [own, around] = [box(node), box(node.ownerSVGElement)];
    return own.left < around.left - 1 || own.right > around.right + 1
      || own.top < around.top - 1 || own.bottom > around.bottom + 1;
  });
  const heads = [...document.querySelectorAll("svg")].flatMap(plot => {
    const row = [...plot.querySelectorAll("text")].filter(
      node => node.getAttribute("y") == "16.0").map(box);
    row.sort((a, b) => a.left - b.left);
    return row.slice(1).filter((next, i) => next.left < row[i].right).map(
      () => "titles of " + plot.textContent.slice(0, 60));
  });
  const images = [...document.images].filter(image => !image.naturalWidth);
  return [...wide, ...texts, ...images].map(name).concat(heads);
})()"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_shows_all_of_the_page(config, tmp_path):
    """With long names; SLIMNETS_SCREENSHOTS names a folder that keeps what it saw."""
    pytest.importorskip("websocket")
    run = config("a_run_with_quite_a_long_name" * 3, eval_interval_steps=3,
                 log_every_n_steps=1)  # fmt: skip
    train(run, show=False)
    trained = open_trained(run.train_dir)
    found = evaluate(trained.model, digits.DIGITS, image_size=8, keep=True)
    names = tuple(f"a_rather_long_name_of_the_class_{n}" for n in range(10))
    corrupted = {f"corruption {n}": [0.5] * 5 for n in range(13)}
    found = dataclasses.replace(found, label_names=names, corrupted=corrupted)
    path = tmp_path / "report.html"
    write_page(str(path), found, trained)
    keep = os.environ.get("SLIMNETS_SCREENSHOTS", str(tmp_path))
    with browser(tmp_path / "profile", path.as_uri()) as page:
        for domain in ("Runtime", "Log", "Page"):
            page.call(f"{domain}.enable")
        for width in (1280, 400):
            page.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                      deviceScaleFactor=1, mobile=False)  # fmt: skip
            page.evaluate("document.querySelector('details').open = true")
            height = page.evaluate("document.documentElement.scrollHeight")
            page.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=False)  # fmt: skip
            picture = pathlib.Path(keep, f"report_{width}.png")
            picture.write_bytes(page.screenshot())
            assert page.evaluate("document.images.length") == 24
            assert page.evaluate(CLIPPED) == [], width
        errors = ("Log.entryAdded", "Runtime.exceptionThrown")
        said = [event for event in page.events if event.get("method") in errors]
    assert said == []


class ByMean(tf.Module):
    """Its first logit is the mean of the pixels: it takes digits for a 0 or a 1."""

    def __call__(self, images, training):
        mean = tf.reduce_mean(images, [1, 2])
        return tf.pad(10.0 * mean + 3.0, [[0, 0], [0, 9]], constant_values=0.0)


def test_the_most_wrong_are_the_least_likely_of_the_wrong():
    found = evaluate(ByMean(), digits.DIGITS, image_size=8, keep=True)
    wrong = most_wrong(found, 5)
    likelihoods = [one.likelihood for one in wrong]
    assert len(wrong) == 5 and likelihoods == sorted(likelihoods)
    images, labels = digits.load("test")
    logits = found.logits - found.logits.max(axis=1, keepdims=True)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    own = shares[np.arange(360), labels]
    own[found.logits.argmax(axis=1) == labels] = 1.0
    np.testing.assert_allclose(likelihoods, np.sort(own)[:5], rtol=1e-6)
    index = int(wrong[0].name.split()[-1])
    assert wrong[0].truth == str(labels[index]) != wrong[0].predicted
    np.testing.assert_allclose(
        decoded(wrong[0].picture), np.round(images[index] * (255 / 16)), atol=1
    )


def test_examples_that_were_left_out_move_no_picture(tmp_path):
    """The third of five files is none, so that later ones have another place."""
    from slimnets.data import get_dataset

    for split, number in (("train", 1), ("validation", 5)):
        for label in "ab":
            (tmp_path / split / label).mkdir(parents=True)
            for n in range(number):
                pixels = np.full([80, 100, 3], 20 * n, np.uint8)
                content = tf.io.encode_png(pixels).numpy()
                content = (
                    content[:60]
                    if (label, n) == ("a", 2) and split != "train"
                    else content
                )
                (tmp_path / split / label / f"{n}.png").write_bytes(content)
    dataset = get_dataset("folder", dataset_dir=str(tmp_path))

    class Always(tf.Module):
        def __call__(self, images, training):
            mean = tf.reduce_mean(images, [1, 2, 3])
            return tf.stack([-5.0 + mean, 5.0 - mean], axis=1)

    found = evaluate(Always(), dataset, image_size=8, keep=True, max_bad_records=1,
                     preprocessing="plain")  # fmt: skip
    assert found.total == 9 and found.correct == 5
    wrong = most_wrong(found)
    assert [one.name.split("/")[-1].split()[0] for one in wrong] == [
        "0.png", "1.png", "3.png", "4.png",
    ]  # fmt: skip
    for one in wrong:
        picture = decoded(one.picture)
        level = 20 * int(one.name.split("/")[-1][0])
        assert picture.shape == (102, 128, 3)
        np.testing.assert_allclose(picture, level, atol=3)


def test_images_of_several_classes_are_wrong_by_all_of_them():
    logits = np.array([[4.0, -4.0], [4.0, 4.0], [-9.0, 4.0]])
    labels = np.array([[1, 0], [1, 0], [1, 1]], np.float32)
    found = Evaluation(
        1, 3, "train", 0.0, ("a", "b"), by_class=np.zeros([2, 3], np.int64),
        logits=logits, labels=labels, dataset=digits.DIGITS,
    )  # fmt: skip
    wrong = most_wrong(found)
    assert [(one.truth, one.predicted) for one in wrong] == [
        ("a, b", "b"),
        ("a", "a, b"),
    ]


def test_many_classes_are_shown_by_their_confusions():
    confusion = np.diag(np.full(50, 9))
    confusion[3, 7] = 5
    names = tuple(f"<{n}>" for n in range(50))
    shown = _confusions(Evaluation(450, 455, "test", 0.0, names, confusion=confusion))
    Page(shown)
    assert shown.count("<tr>") == 2 and "<td>&lt;3&gt;</td><td>&lt;7&gt;</td>" in shown


def test_curves_are_drawn_to_scale_and_thinned():
    line = [(step, 100.0 - step) for step in range(0, 2001)]
    found = xml.fromstring(svg_of("a < b", {"x": line, "y": [(0, float("nan"))]}))
    (curve,) = found.findall("polyline")
    places = [tuple(map(float, p.split(","))) for p in curve.get("points").split()]
    assert 300 < len(places) <= 461
    (x0, y0), (x1, y1) = places[0], places[-1]
    assert x1 - x0 == pytest.approx(390, abs=1) and y1 - y0 == pytest.approx(178, abs=1)
    texts = [text.text for text in found.findall("text")]
    assert {"a < b", "x", "0", "500", "-1500", "step"} <= set(texts)
    assert svg_of("nothing", {"x": []}) == ""
    assert "<circle" in svg_of("one", {"x": [(5, 0.5)]})


def test_a_photo_is_made_small():
    assert decoded(address_of(np.zeros([300, 150, 3], np.uint8))).shape == (128, 64, 3)
    assert decoded(address_of(np.zeros([20, 30, 5], np.uint8))).shape == (20, 30, 1)


def test_an_image_of_other_channels_is_shown_as_their_mean():
    image = np.array([[[10, 20], [30, 50]]], np.uint8)
    kind, _, content = address_of(image).partition(";base64,")
    shown = tf.io.decode_png(base64.b64decode(content))
    assert kind == "data:image/png" and shown.numpy().tolist() == [[[15], [40]]]
