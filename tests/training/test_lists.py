"""Runs on lists of images: one label and several, weighed, measured on another list."""

import numpy as np
import pytest

from slimnets.training import evaluate_checkpoint, train
from tests.helpers import write_png

SHADES = {"dark": (0, 60), "light": (190, 250)}


@pytest.fixture
def write(tmp_path, rng):
    """A function that writes pictures, and a list of them; it returns the list's path.

    A picture is dark or light; each third of the light ones is striped as well.
    """

    def writing(name, number, several=False):
        lines = ["path,label"]
        for n in range(number):
            label = "dark" if n % 4 else "light"
            pixels = rng.integers(*SHADES[label], [8, 8, 3])
            labels = label
            if several and n % 3 == 0:
                pixels[::2] = 120
                labels += ";striped"
            path = tmp_path / f"{name} {n}.png"
            write_png(path, pixels.astype(np.uint8))
            lines.append(f"{path.name},{labels}")
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(lines))
        return str(path)

    return writing


def options(path, **changes):
    return {
        "dataset_name": "list", "dataset_dir": path, "batch_size": 10,
        "model_name": "plain", "train_image_size": 8, "preprocessing_name": "plain",
        "learning_rate": 0.02, "max_number_of_steps": 60, **changes,
    }  # fmt: skip


def test_a_list_trains_and_another_one_measures(config, write, call, tmp_path):
    run = config(**options(write("a", 40), balanced_sampling=True,
                           class_weights="balanced"))  # fmt: skip
    assert train(run, show=False).evaluation.accuracy == 1.0
    other = write("b", 12)
    evaluation, _ = evaluate_checkpoint(run.train_dir, dataset_dir=other)
    assert evaluation.accuracy == 1.0 and evaluation.total == 12
    code, out, _ = call("evaluate", f"--checkpoint_path={run.train_dir}",
                        f"--dataset_dir={other}")  # fmt: skip
    assert code == 0 and "12 of 12" in out.splitlines()[-1]
    code, out, _ = call("predict", other, f"--checkpoint_path={run.train_dir}")
    both = tmp_path / "both.csv"
    both.write_text("path,label\nb 0.png,dark;light\nb 1.png,dark\n")
    with pytest.raises(ValueError, match="images of one class each, and those of list"):
        evaluate_checkpoint(run.train_dir, dataset_dir=str(both))
    rows = [line.split(",")[:2] for line in out.splitlines()[1:]]
    assert code == 0 and rows[:2] == [["b 0.png", "light"], ["b 1.png", "dark"]]


def test_images_of_several_labels_need_the_loss_of_such(config, write):
    path = write("a", 40, several=True)
    with pytest.raises(ValueError, match="have several: give loss=sigmoid"):
        train(config(**options(path)), show=False)
    run = config(**options(path, loss="sigmoid", max_number_of_steps=150))
    evaluation = train(run, show=False).evaluation
    assert evaluation.by_class is not None and evaluation.accuracy == 1.0
    for changes in ({"class_weights": "balanced"}, {"balanced_sampling": True}):
        with pytest.raises(ValueError, match="several classes each"):
            train(config("x", **options(path, loss="sigmoid", **changes)), show=False)
