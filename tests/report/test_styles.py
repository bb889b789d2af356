"""One colour and one marker for each arm, wherever it is drawn: the table, and figures of whole studies."""

import itertools
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from conftest import ROOT
from ganlab.report.drawing import ARMS, STYLES, THEMES, styles_of, ticks_within
from ganlab.report.figures import spectra
from ganlab.report.page import compose_page
from ganlab.report.tensorboard import arm_styles, coloured, group_pattern, write_page
from ganlab.study.compare import compare_study
from made_study import ARMS as MADE
from made_study import Made

# Machado, Oliveira and Fernandes 2009: what readers without one kind of cone see, of linear RGB
SIGHT = {
    "all cones": np.eye(3),
    "no long": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no middle": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no short": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_CONES = [
    [0.41222147, 0.53633254, 0.05144599],
    [0.21190350, 0.68069955, 0.10739696],
    [0.08830246, 0.28171884, 0.62997870],
]
TO_LAB = [
    [0.21045426, 0.79361779, -0.00407205],
    [1.97799850, -2.42859221, 0.45059371],
    [0.02590404, 0.78277177, -0.80867577],
]


def linear(colour):
    values = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def oklab(colour, sight):
    return 100 * np.array(TO_LAB) @ np.cbrt(np.array(TO_CONES) @ np.clip(np.array(SIGHT[sight]) @ linear(colour), 0, 1))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("sight", SIGHT)
def test_twelve_arms_can_be_told_apart(theme, sight):
    seen = [oklab(getattr(style, theme), sight) for style in STYLES]
    assert len(seen) == len({style.marker for style in STYLES}) == 12
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 5


def test_an_arm_looks_the_same_in_every_study():
    assert set(ARMS) == {path.stem for path in (ROOT / "conf" / "generator").glob("*.yaml")}
    random = np.random.default_rng(0)
    others = ["mine", "transpose kernel_size=5", "another"]
    for _ in range(50):
        labels = list(random.permutation([*ARMS, *others])[: random.integers(2, 13)])
        found = styles_of(labels)
        assert list(found) == labels
        assert len(set(found.values())) == len(labels)
        for label in labels:
            assert label not in ARMS or found[label] == ARMS[label]
    assert styles_of(["upsample implementation=fused"]) == {"upsample implementation=fused": ARMS["upsample"]}
    many = styles_of([f"arm{number}" for number in range(144)])
    assert len(set(many.values())) == 144
    assert len({style.role for style in list(many.values())[:12]}) == 12


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    """Every figure of a study of seven arms, in light colours, with what it is called; and the study."""
    made = Made(tmp_path_factory.mktemp("seven"))
    made.arms(MADE, 4)
    study = compare_study(made.directory)
    figures = {drawing.name: drawing.draw(THEMES["light"]) for drawing in compose_page(study).drawings()}
    for figure in figures.values():
        figure.draw_without_rendering()
    return figures, study


@pytest.mark.slow
def test_figures_draw_each_arm_in_its_own_colour_and_marker(drawings):
    figures, study = drawings
    looks = {(ARMS[name].light, ARMS[name].marker) for name in MADE}
    for name, figure in figures.items():
        drawn = {
            (line.get_color(), line.get_marker())
            for axis in figure.axes
            for line in axis.lines
            if line.get_marker() not in ("None", "x")
        }
        assert drawn <= looks, name
        absent = {study.reference.label} if name.startswith("effect") else set()
        assert drawn == looks - {(ARMS[each].light, ARMS[each].marker) for each in absent}, name


def test_axes_hold_their_data_and_their_ticks(drawings):
    for name, figure in drawings[0].items():
        for axis in [each for each in figure.axes if each.axison]:
            points = [np.column_stack(line.get_data()) for line in axis.lines if line.get_marker() not in ("None", "x")]
            there = np.concatenate([each[np.isfinite(each).all(axis=1)] for each in points])
            for place, along in enumerate((axis.xaxis, axis.yaxis)):
                low, high = sorted(along.get_view_interval())
                assert low < there[:, place].min() <= there[:, place].max() < high, name
                ticks = [tick for tick in along.get_ticklocs() if low <= tick <= high]
                assert len(ticks) == len(along.get_ticklocs()), name
                if ticks and not name.startswith("effect"):  # not one end of the axis only
                    scale = np.log if along.get_scale() == "log" else np.asarray
                    middle = scale(np.array([low, high])).mean()
                    assert scale(min(ticks)) < middle < scale(max(ticks)), (name, ticks, low, high)


@pytest.mark.parametrize("log", [False, True])
def test_ticks_are_few_and_spread_over_the_axis(log):
    random = np.random.default_rng(0)
    for _ in range(300):
        low = 10.0 ** random.uniform(-5, 5)
        high = low * (1 + 10.0 ** random.uniform(-2, 5))
        ticks = ticks_within(low, high, log)
        assert 2 <= len(ticks) <= 9, (low, high, ticks)
        assert low <= min(ticks) < max(ticks) <= high
        across = [np.log(each) if log else each for each in (low, min(ticks), max(ticks), high)]
        assert across[2] - across[1] > 0.3 * (across[3] - across[0]), (low, high, ticks)


def test_no_letters_of_a_forest_plot_stand_on_a_patch(drawings):
    """A patch behind a label would blot out the band of the margin below it; the line at 0 leaves letters free."""
    for name in [each for each in drawings[0] if each.startswith("effect")]:
        figure = drawings[0][name]
        (axis,) = figure.axes
        renderer = FigureCanvasAgg(figure).get_renderer()
        assert all(text.get_bbox_patch() is None for text in axis.texts)
        boxes = [text.get_window_extent(renderer) for text in axis.texts]
        lines = [part for each in axis.collections for part in each.get_segments()]
        assert len(lines) == len(axis.texts) // 2
        for (x, start), (_, end) in lines:
            for box in boxes:
                (left, one), (_, other) = axis.transData.transform([(x, start), (x, end)])
                across = box.x0 < left < box.x1
                assert not (across and min(one, other) < box.y1 - 2 and max(one, other) > box.y0 + 2), name


def test_the_spectra_of_two_arms_leave_their_title_free(tmp_path):
    """One row of panels is lower than a long label of its axis."""
    made = Made(tmp_path / "made")
    made.arms(["transpose", "upsample"], 2)
    drawing = spectra(compare_study(made.directory))
    assert drawing
    figure = drawing.draw(THEMES["light"])
    figure.draw_without_rendering()
    title, label = (text.get_window_extent() for text in (figure._suptitle, figure._supylabel))
    assert label.y0 > 0
    assert label.y1 < title.y0


def test_tensorboard_gets_the_colours_of_the_arms(tmp_path):
    made = Made(tmp_path / "made")
    made.arms(["transpose", "upsample"], 2)
    for folder in made.directory.iterdir():
        (folder / "events.out.tfevents.0000000001.ganlab").touch()
    styles, pattern = arm_styles(made.directory), group_pattern(made.directory)
    assert styles == {name: ARMS[name] for name in ("transpose", "upsample")}
    for name in ("transpose-seed1", "comparison/transpose"):
        found = re.match(pattern, name)
        assert found
        assert found[1] == "transpose"
    served = Path(pytest.importorskip("tensorboard").__file__).with_name("webfiles.zip")
    assert write_page(served, tmp_path / "page.zip", styles, pattern)
    with zipfile.ZipFile(served) as old, zipfile.ZipFile(tmp_path / "page.zip") as new:
        assert old.namelist() == new.namelist()
        changed = [name for name in old.namelist() if old.read(name) != new.read(name)]
        assert sorted(changed) == ["index.html", "index.js"]
        addresses = [re.findall(r"index\.js\?\w+=\w+", page.read("index.html").decode()) for page in (old, new)]
        script = new.read("index.js").decode()
    assert re.search(r"\(ganlabColour\(\w+\.replace\([^)]*\)\)\|\|\w+\.colors\[", script)  # the time series
    assert re.search(r"identifiers\.set\(\w+,ganlabHex\(\w+\)\|\|this\.palette\[", script)  # the older pages
    assert script.count("ganlabArms[found[1]]") == 1
    assert len(re.findall(r"reloadPeriodInMs:\w+,reloadEnabled:!0", script)) == 1  # the page follows its runs
    assert f'"upsample": {{"lightHex": "{ARMS["upsample"].light}", "darkHex": "{ARMS["upsample"].dark}"}}' in script
    assert write_page(served, tmp_path / "other.zip", {"upsample": styles["transpose"]}, pattern)
    with zipfile.ZipFile(tmp_path / "other.zip") as other:
        addresses.append(re.findall(r"index\.js\?\w+=\w+", other.read("index.html").decode()))
    assert len({name for (name,) in addresses}) == 3  # else a browser would show one study in the colours of another
    assert coloured("of another version", styles, pattern) == ("of another version", 0)
