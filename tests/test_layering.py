"""Who may import whom: only downwards in DESIGN's list, read from the imports."""

import ast
import pathlib
import re

import pytest

import slimnets

PACKAGE = pathlib.Path(slimnets.__file__).parent

# From the top down; rooms of one line do not import each other.
LAYERS = [
    ["__main__"],
    ["cli"],
    ["tasks", "benchmarking"],
    ["export"],
    ["training", "inspection"],
    ["trained"],
    ["data", "model", "heads"],
    ["checkpoints", "features"],
    ["slim"],
    ["factory"],
    ["nets"],
    ["rows"],
    ["units", "necks"],
    ["blocks"],
    ["layers"],
    ["weights"],
    ["variables", "scopes", "end_points", "contrib_names"],
    ["rules", "deprecation", "sharding", "keras_registration"],
    [
        "extras",
        "listing",
        "lazy_names",
        "settings",
        "files",
        "progress",
        "quiet",
        "version",
    ],
]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
EXTRAS = {
    "torch",
    "h5py",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "openvino",
    "ai_edge_litert",
    "matplotlib",
    "safetensors",
    "sklearn",
    "pycocotools",
    "libcst",
    "tensorflow_datasets",
    "PIL",
    "pillow_heif",
    "pyarrow",
    "ray",
}
# A file that lies in one room for its import path alone -> the room it belongs to.
ELSEWHERE = {"nets/nets_factory.py": "slim"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path):
    """Every (module, is at module level) that a file imports."""
    tree = ast.parse(path.read_text())
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                whole = node.module == "slimnets"
                yield (
                    f"slimnets.{alias.name}" if whole else node.module,
                    id(node) in top,
                )


def room_of(path):
    relative = path.relative_to(PACKAGE)
    if relative.as_posix() in ELSEWHERE:
        return ELSEWHERE[relative.as_posix()]
    return relative.parts[0].removesuffix(".py")


def test_every_room_is_in_the_list():
    assert {room_of(path) for path in FILES} - {"__init__"} <= set(RANK)


@pytest.mark.parametrize("room", ["__init__", *RANK])
def test_imports_go_down(room):
    for path in (path for path in FILES if room_of(path) == room):
        for module, at_top in imports(path):
            root, _, rest = module.partition(".")
            what = f"{path.relative_to(PACKAGE)}: {module}"
            assert not module.startswith("tensorflow.python"), what
            if root == "slimnets" and rest and room != "__init__":
                other = rest.split(".")[0]
                assert other == room or RANK[other] > RANK[room], what
            if root == "tf_slim":
                assert room in ("scopes", "layers", "slim"), what
            if root == "absl" and module != "absl.logging":
                assert room == "cli", what
            if root in EXTRAS:
                assert not at_top, f"{what} is an extra: import it where it is used"


def test_the_page_and_the_picture_of_the_house_have_these_rooms_in_this_order():
    docs = PACKAGE.parent / "docs"
    page = (docs / "architecture.md").read_text()
    first = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    listed = re.findall(r"`(\w+)(?:/|\.py)`", " ".join(first))
    drawn = re.findall(r">(\w+)</text>", (docs / "architecture.svg").read_text())
    assert sorted(drawn) == sorted(listed)
    small = "__main__ contrib_names deprecation keras_registration version"
    assert set(listed) == set(RANK) - set(small.split())
    for names in (drawn, listed):
        assert [RANK[name] for name in names] == sorted(map(RANK.get, names))
