"""Pictures: complete, legible (no text on another), and equal from run to run."""

import itertools
import sys

import pytest

import slimnets
from slimnets.inspection import plot_network
from slimnets.inspection.diagram.layout import arrange
from slimnets.inspection.diagram.ranks import feeder, ranked
from slimnets.inspection.diagram.scopes import scopes_of
from slimnets.inspection.diagram.texts import Text, texts_of

pytest.importorskip("matplotlib")
CLOUDS = {"clouds": [[1, 100, 39], [1, 50, 39]], "auxiliary": [1, 46]}


def measure(text, bold):
    return len(text) * (5.5 if bold else 4.5)


def text(name, *inputs):
    return Text(name, name, ("Conv  8",), "Conv", inputs)


@pytest.fixture(scope="module")
def summaries():
    return {
        "resnet_v2_152": slimnets.summarize("resnet_v2_152"),
        "seresnet50": slimnets.summarize("seresnet50"),
        "multi_cloud": slimnets.summarize("multi_cloud", input_shape=CLOUDS),
    }


def apart(a, b):
    return (
        a.x + a.width <= b.x
        or b.x + b.width <= a.x
        or a.y + a.height <= b.y
        or b.y + b.height <= a.y
    )


@pytest.mark.parametrize("depth", [1, 2, 4, None])
@pytest.mark.parametrize("name", ["resnet_v2_152", "seresnet50", "multi_cloud"])
def test_boxes_lie_apart_on_the_page_and_lines_pass_beside_them(summaries, name, depth):
    summary = summaries[name]
    diagram = arrange(texts_of(summary, depth), measure)
    shown = summary if depth is None else summary.folded(depth)
    assert len(diagram.boxes) == len(shown.layers)
    for box in diagram.boxes:
        assert box.x >= 0 and box.x + box.width <= diagram.width
        assert box.y >= 0 and box.y + box.height <= diagram.height
        widths = [measure(box.text.title, True)]
        widths += [measure(line, False) for line in box.text.lines]
        assert max(widths) <= box.width
    assert all(apart(a, b) for a, b in itertools.combinations(diagram.boxes, 2))
    for line in diagram.lines:
        for (x0, y0), (x1, y1) in itertools.pairwise(line.points):
            low, high = sorted((y0, y1))
            left, right = sorted((x0, x1))
            for box in diagram.boxes:
                across = left < box.x + box.width and right > box.x
                assert not (across and low < box.y + box.height and high > box.y), (
                    line.points,
                    box.text.name,
                )


def test_each_connection_is_a_line_with_a_head(summaries):
    texts = texts_of(summaries["seresnet50"], None)
    diagram = arrange(texts, measure)
    connections = sum(len(text.inputs) for text in texts)
    assert sum(line.head for line in diagram.lines) == connections


def test_ranks_go_down_and_long_connections_have_lanes():
    ranks = ranked([text("a"), text("b", "a"), text("c", "b"), text("d", "a", "c")])
    names = [[node.text and node.text.name for node in rank] for rank in ranks]
    assert names == [["a"], ["b", None], ["c", None], ["d"]]
    assert ranks[1][1].ends == {"d"} and ranks[1][1].slot == ranks[2][1].slot == 1
    assert [feeder(rank) is not None for rank in ranks] == [True, False, False, False]


def test_frames_hold_scopes_of_several_boxes():
    names = ["inputs", "block/unit_1/conv", "block/unit_1/add", "block/unit_2", "fc"]
    scopes = scopes_of(names)
    assert [(s.path, s.label, s.level) for s in scopes] == [
        ("block", "block", 0),
        ("block/unit_1", "unit_1", 1),
    ]


def test_boxes_say_what_they_fold(summaries):
    texts = {t.name: t for t in texts_of(summaries["resnet_v2_152"], 1)}
    # 1,513,472 parameters of the first unit, 35 times 1,121,280 of the others.
    assert texts["block3"].lines[1] == "40.8 M parameters"
    assert texts["block3"].lines[0].startswith("36 units  7")
    assert len(texts) == 11


def extents_of_texts(figure):
    import matplotlib.text
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    found = figure.findobj(matplotlib.text.Text)
    return [t.get_window_extent(renderer) for t in found if t.get_text()]


@pytest.mark.parametrize("depth", [1, None])
def test_drawn_texts_do_not_overlap(summaries, monkeypatch, tmp_path, depth):
    from slimnets.inspection.diagram import drawing

    figures = []
    monkeypatch.setattr(drawing, "save", lambda figure, path: figures.append(figure))
    plot_network(summaries["seresnet50"], tmp_path / "net.png", depth=depth)
    figures[0].set_dpi(120)
    extents = sorted(extents_of_texts(figures[0]), key=lambda box: box.x0)
    assert len(extents) > 20
    for index, box in enumerate(extents):
        for other in itertools.takewhile(
            lambda o, box=box: o.x0 < box.x1, extents[index + 1 :]
        ):
            assert not (box.y0 < other.y1 - 1 and other.y0 < box.y1 - 1)


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_files_are_written_and_equal_each_time(summaries, tmp_path, ending):
    contents = []
    for name in ("a", "b"):
        path = tmp_path / "new" / f"{name}.{ending}"
        plot_network(summaries["multi_cloud"], path)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1] and len(contents[0]) > 5000
    if ending == "svg":
        assert b">concat<" in contents[0]


def test_wrong_files_and_depths_raise(summaries, tmp_path):
    with pytest.raises(ValueError, match=r"net\.gif .* \.svg, \.png, \.pdf"):
        plot_network(summaries["multi_cloud"], tmp_path / "net.gif")
    with pytest.raises(ValueError, match="depth=0"):
        plot_network(summaries["multi_cloud"], tmp_path / "net.svg", depth=0)


def test_without_matplotlib_the_error_names_the_extra(summaries, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'slimnets\[plot\]'"):
        plot_network(summaries["multi_cloud"], tmp_path / "net.svg")
