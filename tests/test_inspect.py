"""ganlab.inspect: its numbers against values found by hand or by another way, its picture, its refusals."""

import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from matplotlib import figure as figures
from PIL import Image

from ganlab import inspect as command_line
from ganlab.cli.choices import options
from ganlab.errors import ConfigError
from ganlab.evaluation.spectrum import lattice_fraction
from ganlab.files import write_json
from ganlab.inspect import picture_name, read_arms, whole_name
from ganlab.inspection import views
from ganlab.inspection.views import picture
from ganlab.nets import analysis as anatomy
from ganlab.nets.analysis import multiplications
from ganlab.nets.upsampling import UPSAMPLERS
from ganlab.report.drawing import ARMS
from ganlab.run.build import build_gan
from ganlab.training import checkpoints
from small_runs import TINY

ROOT = Path(__file__).parent.parent
SMALL = ("generator.base_filters=4", "generator.stages=[[4,2],[null,2]]")


@pytest.fixture
def generator_of(settings):
    return lambda *overrides: settings(*overrides).generator


# --- the operator ---------------------------------------------------------------------------------------------------

ALL_ONES = {  # SCIENCE, acceptance checks 2 and 3; pixel shuffle's 3x3 covers the whole image at every place
    "transpose_k3": [[1, 1, 3, 2], [1, 1, 3, 2], [4, 4, 10, 6], [3, 3, 7, 4]],
    "transpose": [[1, 3, 3, 2], [4, 10, 10, 6], [4, 10, 10, 6], [3, 7, 7, 4]],
    "upsample": [[4, 8, 10, 8], [10, 18, 21, 16], [14, 24, 27, 20], [12, 20, 22, 16]],
    "pixel_shuffle": [[10] * 4] * 4,
}
REPEATED = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
APART = [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
SINGLE_ONE = {
    "upsample": REPEATED,
    "pixel_shuffle": REPEATED,
    "pixel_shuffle_icnr": REPEATED,
    "carafe": REPEATED,
    "transpose": APART,
    "transpose_k3": APART,
    "transpose_k5": APART,
    "transpose_k6": APART,
    "transpose_resize_init": APART,
    "upsample_bilinear": [[1, 1.25, 1.75, 2], [1.5, 1.75, 2.25, 2.5], [2.5, 2.75, 3.25, 3.5], [3, 3.25, 3.75, 4]],
    "fir": np.outer([3, 3, 1, 0], [3, 3, 1, 0]) / 16 + 2 * np.outer([3, 3, 1, 0], [0, 1, 3, 3]) / 16
    + 3 * np.outer([0, 1, 3, 3], [3, 3, 1, 0]) / 16 + 4 * np.outer([0, 1, 3, 3], [0, 1, 3, 3]) / 16,
}  # fmt: skip


TWO_BY_TWO = np.array([[1.0, 2.0], [3.0, 4.0]])


def one_channel(settings, scale=(2, 2)):
    return anatomy.operator(settings, 1, 1, scale=scale)


def phases_of_draws(settings, count, channels):
    operators = [anatomy.operator(settings, channels, channels, scale=(2, 2), seed=seed) for seed in range(count)]
    return [anatomy.phases(operator) for operator in operators]


@pytest.mark.parametrize("arm", ALL_ONES)
def test_all_ones_on_two_by_two(arm, generator_of):
    layer = one_channel(generator_of(f"generator={arm}"))
    layer.with_all_ones()
    np.testing.assert_allclose(anatomy.enlarge(layer, TWO_BY_TWO), ALL_ONES[arm], rtol=1e-6)


@pytest.mark.parametrize("arm", options("generator"))
def test_a_single_one_shows_how_an_operator_enlarges(arm, generator_of):
    layer = one_channel(generator_of(f"generator={arm}"))
    assert layer.with_single_one()
    np.testing.assert_allclose(anatomy.enlarge(layer, TWO_BY_TWO), SINGLE_ONE[arm], rtol=1e-6)


def test_a_single_one_of_an_even_kernel_still_changes_nothing(generator_of):
    even = generator_of("generator.upsampling.kernel_size=4", "generator=upsample",
                        "generator.upsampling.implementation=plain")  # fmt: skip
    layer = one_channel(even)
    assert layer.with_single_one()
    np.testing.assert_array_equal(anatomy.enlarge(layer, TWO_BY_TWO), REPEATED)


INSIDE = {  # SCIENCE 1.3: n_r = (2,1), (2,2), (2,3), (3,3) along each axis
    "transpose_k3": [[4, 2], [2, 1]],
    "transpose": [[4, 4], [4, 4]],
    "transpose_k5": [[4, 6], [6, 9]],
    "transpose_k6": [[9, 9], [9, 9]],
    "upsample": [[9, 9], [9, 9]],
    "fir": [[9, 9], [9, 9]],
    "carafe": [[9, 9], [9, 9]],
    "pixel_shuffle": [[9, 9], [9, 9]],
}


@pytest.mark.parametrize("arm", INSIDE)
def test_overlap_inside(arm, generator_of):
    reached = one_channel(generator_of(f"generator={arm}")).overlap(7)
    assert reached.shape == (14, 14)
    assert anatomy.inside(reached, (2, 2)).tolist() == INSIDE[arm]


def test_overlap_of_transpose_3_whole_and_with_gaps(generator_of):
    # Input i reaches outputs 2i, 2i+1, 2i+2; the last of them is cut off at the right border.
    along = np.array([1, 1, 2, 1, 2, 1])
    layer = one_channel(generator_of("generator=transpose_k3"))
    np.testing.assert_array_equal(layer.overlap(3), np.outer(along, along))
    narrow = generator_of("generator=transpose", "generator.upsampling.kernel_size=2")
    np.testing.assert_array_equal(one_channel(narrow, (3, 2)).overlap(2), np.outer([1, 1, 0, 1, 1, 0], [1] * 4))


VARIANCE = {  # SCIENCE, acceptance checks 5 and 6: phases beside the largest; matched initialisation, mean 1
    "transpose_k3": np.array([[4, 2], [2, 1]]) / 2.25,
    "transpose_k5": np.array([[4, 6], [6, 9]]) / 6.25,
    "transpose": np.ones((2, 2)),
    "pixel_shuffle": np.ones((2, 2)),
    "upsample": np.ones((2, 2)),
    "upsample_bilinear": np.full((2, 2), 0.625**2),
}


@pytest.mark.parametrize("arm", VARIANCE)
def test_variance_by_phase_and_lattice_fraction_at_the_start(arm, generator_of):
    drawn = phases_of_draws(generator_of(f"generator={arm}"), 6, 32)
    np.testing.assert_allclose(np.mean([draw.variance for draw in drawn], axis=0), VARIANCE[arm], rtol=0.06)
    fractions = [lattice_fraction(draw.sums, 2) for draw in drawn]
    if arm in ("upsample", "upsample_bilinear"):
        assert max(fractions) < 1e-8
    else:
        assert np.mean(fractions) == pytest.approx(0.75, abs=0.02)
        assert np.std(fractions) > 1e-4  # the draws are different ones


@pytest.mark.parametrize(("name", "size", "scale"), [("transpose", 5, (2, 2)), ("transpose", 3, (2, 3)), ("transpose", 2, (3, 3)),
                                                     ("nearest", 3, (2, 3)), ("bilinear", 3, (2, 2)), ("fir", 3, (3, 2)),
                                                     ("pixel_shuffle", 3, (2, 3))])  # fmt: skip
def test_phases_from_the_kernel_are_those_that_are_measured(name, size, scale):
    layer = UPSAMPLERS[name](6, kernel_size=size, scale=scale, seed=1)
    layer.build((None, None, None, 4))
    layer.bias.assign(np.arange(layer.bias.shape[0], dtype=np.float32))  # must not matter
    exact, measured = anatomy.phases(layer), anatomy.measured_phases(layer, images=200)
    np.testing.assert_allclose(exact.sums, measured.sums, atol=1e-5)
    np.testing.assert_allclose(exact.variance, measured.variance, rtol=0.12)


def test_carafe_has_no_lattice_and_is_measured(generator_of):
    drawn = phases_of_draws(generator_of("generator=carafe"), 2, 8)
    assert all(lattice_fraction(draw.sums, 2) < 1e-6 and draw.variance.min() > 0 for draw in drawn)


# --- the network ----------------------------------------------------------------------------------------------------


def field_by_gradients(stages, side):
    """The widest extent, over the middle's phases, of the input pixels on which an output pixel depends."""
    widest = [0, 0]
    image = tf.Variable(np.random.default_rng(0).normal(size=(1, side, side, 2)).astype(np.float32))
    with tf.GradientTape(persistent=True) as tape:
        outputs = image
        for stage in stages:
            outputs = stage(outputs)
        period = [n // side for n in outputs.shape[1:3]]
        pixels = [outputs[0, side // 2 * period[0] + y, side // 2 * period[1] + x, 0] for y, x in np.ndindex(*period)]
    for pixel in pixels:
        slope = np.abs(tape.gradient(pixel, image, unconnected_gradients="zero").numpy())[0].sum(axis=-1)
        for axis in (0, 1):
            places = np.flatnonzero(slope.sum(axis=1 - axis))
            widest[axis] = max(widest[axis], int(places[-1] - places[0] + 1) if places.size else 0)
    return tuple(widest)


FIELDS = [
    [("nearest", 3, 2, {}), ("nearest", 3, 2, {})],
    [("nearest", 4, (2, 3), {"implementation": "plain"})],
    [("transpose", 4, 2, {}), ("transpose", 4, 2, {})],
    [("transpose", 3, 2, {}), ("transpose", 5, (3, 2), {})],
    [("transpose", 2, 3, {})],
    [("bilinear", 3, 2, {}), ("bilinear", 1, 3, {})],
    [("bilinear", 4, (1, 2), {})],
    [("pixel_shuffle", 3, 2, {}), ("pixel_shuffle", 5, (1, 2), {})],
    [("fir", 3, 2, {}), ("fir", 3, (3, 1), {"implementation": "plain"})],
    [("carafe", 3, 2, {"channels": 4, "init": "keras"})],
    [("carafe", 4, 2, {"channels": 4, "neighbourhood": 3, "encoder_size": 5, "init": "keras"})],
]


@pytest.mark.parametrize("operators", FIELDS, ids=lambda operators: "-".join(f"{o[0]}{o[1]}" for o in operators))
def test_receptive_field_is_what_gradients_say(operators):
    stages = [
        UPSAMPLERS[name](2, kernel_size=size, scale=scale, seed=place, **more)
        for place, (name, size, scale, more) in enumerate(operators)
    ]
    inputs = keras.Input((13, 13, 2))
    maps = keras.layers.Identity(name="base_map")(inputs)
    for stage in stages:
        maps = stage(maps)
    assert anatomy.receptive_field_of(keras.Model(inputs, maps), stages[-1]) == field_by_gradients(stages, 13)


def test_receptive_field_by_hand(settings):
    fields = {}
    for arm in ("transpose", "transpose_k3", "upsample"):
        generator = build_gan(settings(f"generator={arm}", *SMALL)).generator
        assert anatomy.receptive_field_of(generator, generator.get_layer("base_map")) == (1, 1)
        fields[arm] = anatomy.receptive_field_of(generator, anatomy.stages_of(generator)[-1])
    # Output o of 4x4 reads inputs (o-2)/2 ... (o+1)/2: two of them; two such outputs in a row read up to three.
    assert fields == {"transpose": (3, 3), "transpose_k3": (2, 2), "upsample": (3, 3)}


def test_parts_add_up_to_the_network(settings):
    generator = build_gan(settings("generator=upsample")).generator
    z = np.random.default_rng(0).normal(size=(50, 64)).astype(np.float32)
    parts = anatomy.parts(generator, z)
    cost = multiplications(generator)
    assert (sum(part.written for part in parts), sum(part.executed for part in parts)) == cost
    assert sum(part.parameters for part in parts) == generator.count_params() == 16640 + 18464 + 289
    by_name = {part.name: part for part in parts}
    assert by_name["stage1"].written == 9 * 64 * 32 * 16 and by_name["stage1"].executed == 16 * 64 * 32 * 4
    assert by_name["stage1"].kernel == "3×3 as 4×4" and by_name["stage2"].shape == (8, 8, 1)
    images = keras.ops.convert_to_numpy(generator(z))
    assert by_name["images"].std == pytest.approx(float(images.std()), rel=1e-4)
    assert [part.sees for part in parts][:2] == [None, (1, 1)]


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def inspect(monkeypatch, tmp_path, capsys):
    """`inspect("generator=fir")`: the command in this process and an empty folder; what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(views, "DRAWS", 2)
    monkeypatch.setattr(views, "IMAGES", 32)

    def run_it(*arguments):
        monkeypatch.setattr(sys, "argv", ["inspect", *arguments])
        command_line.main()
        return capsys.readouterr().out

    return run_it


def drawn_figure(pictured):
    """The figure of a picture of these views."""
    made = []

    class Kept(figures.Figure):
        def __init__(self, *arguments, **more):
            super().__init__(*arguments, **more)
            made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "Figure", Kept)
        picture(pictured)
    return made[0]


def drawn(path):
    """The picture's size, if there is something in it."""
    pixels = np.asarray(Image.open(path))
    assert pixels.dtype == np.uint8 and pixels.shape[2] == 3
    ink = np.mean(np.any(pixels < 250, axis=2))
    assert ink > 0.2, f"{path} is nearly blank"
    assert pixels.std() > 20
    for edge in (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]):
        assert (edge == 255).all(), f"{path}: something is cut off at an edge"
    return pixels.shape


@pytest.mark.parametrize("arm", options("generator"))
def test_every_arm_has_a_view(arm, settings, monkeypatch):
    monkeypatch.setattr(views, "DRAWS", 2)
    monkeypatch.setattr(views, "IMAGES", 8)
    config = settings(f"generator={arm}", *SMALL)
    view = views.before_training(config, views.side([config]))
    assert view.arm == arm and len(view.layers) == 9 and view.power is not None
    assert {row[-1] for row in view.layers if row[0].startswith("stage")} & {"0"} == (
        {"0"} if arm in ("carafe", "fir", "pixel_shuffle_icnr", "transpose_resize_init", "upsample", "upsample_bilinear")
        else set()
    )  # fmt: skip


def test_the_operator_is_shown_at_the_stage_that_has_it(settings, monkeypatch):
    monkeypatch.setattr(views, "DRAWS", 2)
    config = settings("generator=transpose_k3", "generator.placement=all_but_last", "generator.base_filters=4",
                      "generator.stages=[[4,[2,3]],[null,2]]", "dataset.size=[8,12]")  # fmt: skip
    view = views.before_training(config, views.side([config]))
    assert view.scale == (2, 3) and view.ones.shape == (4, 6)
    assert [row[1] for row in view.layers if row[0].startswith("stage")] == [
        "Conv2DTranspose",
        "UpSampling2D + Conv2D, fused",
    ]
    assert view.facts["its kernel"] == "3×3"


def compared(inspect, tmp_path, arms):
    output = inspect("--compare", ",".join(arms), *SMALL, "out=some.png")
    for arm in arms:
        assert arm in output
    assert "picture: some.png" in output
    height, width, _ = drawn(tmp_path / "some.png")
    assert width <= 1400
    return height


def test_two_arms_side_by_side(inspect, tmp_path):
    assert compared(inspect, tmp_path, ["transpose", "carafe"]) > 1000


@pytest.mark.slow
def test_every_arm_at_once(inspect, tmp_path):
    assert compared(inspect, tmp_path, options("generator")) > 2000


def test_one_arm(inspect, tmp_path):
    out = Path("outputs/inspect/transpose_k3-base_filters=4-stages=[[4,2],[null,2]]-seed=3.png")
    output = inspect("generator=transpose_k3", *SMALL, "seed=3")
    height, width, _ = drawn(tmp_path / out)
    assert width <= 1400 and height > 800
    for line in ("Conv2DTranspose", "seed 3", "4  4 10  6", "lattice fraction 0.7", "1.8", "picture: outputs/inspect/"):
        assert line in output
    assert "to train it: python -m ganlab.train generator=transpose_k3" in output


EVEN = anatomy.Phases(np.ones((2, 2)), np.ones((2, 2, 1, 1)))


def test_rectangles_have_a_spectrum(settings):
    config = settings("generator.stages=[[4,[2,3]],[null,2]]", "generator.base_filters=4", "dataset.size=[8,12]")
    view = views._view(config, build_gan(config).generator, "", 5, [EVEN])
    assert view.power is not None and view.power.shape == (8, 12)
    assert view.profile is not None and len(view.profile) == 5
    assert not view.no_spectrum
    assert picture([view, view]).std() > 10


def test_arms_have_the_colours_and_markers_of_reports(settings):
    config = settings("generator.stages=[[4,2],[null,2]]", "generator.base_filters=4")
    view = views._view(config, build_gan(config).generator, "", 5, [EVEN])
    arms = [dataclasses.replace(view, arm=arm) for arm in ("upsample", "transpose", "bicubic")]
    lines = drawn_figure(arms).axes[-1].get_lines()
    looks = {line.get_label(): (line.get_color(), line.get_marker()) for line in lines}
    assert looks["upsample"] == (ARMS["upsample"].light, ARMS["upsample"].marker)
    assert looks["transpose"] == (ARMS["transpose"].light, ARMS["transpose"].marker)
    assert len(set(looks.values())) == 3


def test_images_without_a_spectrum(settings):
    config = settings("generator.stages=[[4,[1,3]],[null,[1,2]]]", "generator.base_filters=4", "dataset.size=[1,12]")
    view = views._view(config, build_gan(config).generator, "", 5, [EVEN])
    assert view.power is view.profile is None
    assert "images of size 1x12 have no rings" in view.no_spectrum
    assert picture([view, view]).std() > 10


@pytest.mark.slow
def test_no_box_is_drawn_for_a_spectrum_that_is_not_there(settings, monkeypatch):
    monkeypatch.setattr(views, "DRAWS", 2)
    monkeypatch.setattr(views, "IMAGES", 16)
    whole = views.before_training(settings("generator=transpose", *SMALL), 5)
    view = dataclasses.replace(whole, power=None, profile=None, no_spectrum="No spectrum: images have no rings")
    for pictured in ([view], [view, view], [view, whole]):
        figure = drawn_figure(pictured)
        drawn_axes = [axes for axes in figure.axes if axes.axison]
        assert all(axes.images or axes.lines or axes.collections for axes in drawn_axes), "an empty box"
        titles = [axes.get_title() + axes.get_ylabel() for axes in drawn_axes]
        assert any("power" in title for title in titles) == any(each is whole for each in pictured)
        assert (
            sum(
                "No spectrum: images have no rings" in text.get_text() for part in figure.subfigs for text in part.texts
            )
            == 1
        )


def test_a_trained_run(inspect, settings, tmp_path):
    config, directory = settings(*TINY, "generator=transpose"), tmp_path / "run"
    directory.mkdir()
    write_json(directory / "config.json", config.model_dump(mode="json"))
    gan = build_gan(config)
    kernel = np.zeros((4, 4, 1, 4), np.float32)
    kernel[0, 0] = 1  # one phase of four has it all
    anatomy.stages_of(gan.ema)[-1].kernel.assign(kernel)
    checkpoints.save(directory / "checkpoints", 4, gan.tensors(), {}, 3)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    output = inspect(f"run={directory}")
    drawn(directory / "inspect-step-00000004.png")
    assert "averaged generator after 4 steps" in output
    assert "lattice fraction of stage2 0.750" in output  # exactly, and not of the generator, which was drawn
    lines = output.splitlines()  # variance: 4 channels of ones, and tap 0 lies in phase (1,1)
    at = next(number for number, line in enumerate(lines) if line.startswith(" variance by phase"))
    assert [line.split()[-2:] for line in lines[at : at + 2]] == [["0", "0"], ["0", "4"]]
    assert all(path.read_bytes() == content for path, content in before.items())  # the run is left as it was


WRONG = {
    ("generator=transposed",): "generator=transposed is unknown; did you mean transpose?",
    ("--compare", "upsample", "transposed"): "--compare=transposed is unknown; did you mean transpose?",
    ("--compare", "transpose kernel=3"): "kernel is not a setting",
    ("--compare", "transpose,fir kernel_size=3"): "has commas and settings; put each generator into its own quotes",
    ("--compare", "transpose kernel_size"): "has kernel_size, which is not a setting; write NAME=VALUE",
    ("--compare", "transpose kernel_size=3 init=keras", "transpose init=keras kernel_size=3"): "is named twice",
    ("--compare", "transpose 'kernel_size=3"): "cannot be read (No closing quotation); correct its quotes",
    ("--compare", "transpose kernel_size=x"): "generator.upsampling.kernel_size",
    ("--compare", "upsample,transposed"): "--compare=transposed is unknown; did you mean transpose?",
    ("--compare",): "--compare= is unknown; choose one of",
    ("--compare=upsample,upsample",): "--compare=upsample is named twice",
    ("--compare=upsample,fir", "generator=carafe"): "both choose the generator",
    ("generator=upsample,fir",): "use --compare upsample,fir",
    ("seed=1,2",): "seed=1,2 has several values",
    ("training.stepz=3",): "training.stepz is not a setting of training",
    ("run=nowhere",): "run=nowhere is not a directory",
    ("run=.",): ". has no config.json",
    ("run=.", "seed=3"): "leave out seed=3",
    ("run=.", "--compare=fir"): "leave out --compare",
    ("resume=there",): "use run=there",
    ("out=picture.jpg",): "out=picture.jpg does not end in .png, as this picture must; use out=picture.png",
    ("out=",): "out= is empty",
    ("--what",): "--what is not a flag",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_a_wrong_question_is_one_line(arguments, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["inspect", *arguments])
    with pytest.raises(SystemExit) as caught:
        command_line.main()
    output = capsys.readouterr()
    assert caught.value.code == 2 and output.out == ""
    assert WRONG[arguments] in output.err and len(output.err.splitlines()) == 1


@pytest.mark.parametrize(("argument", "place"), [
    ("out=mine.png", "mine.png"), ("generator=fir", "outputs/inspect/fir.png"),
    ("dataset=digits", "outputs/inspect/dataset=digits.png"),
])  # fmt: skip
def test_a_picture_of_others_is_left_as_it_is(monkeypatch, capsys, tmp_path, argument, place):
    monkeypatch.chdir(tmp_path)
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (3, 3)).save(place)
    before = Path(place).read_bytes()
    monkeypatch.setattr(sys, "argv", ["inspect", argument])
    with pytest.raises(SystemExit) as caught:
        command_line.main()
    printed = capsys.readouterr()
    assert (caught.value.code, printed.out) == (2, "")
    assert f"out={place} exists and is not a picture from ganlab" in printed.err
    assert Path(place).read_bytes() == before


@pytest.mark.parametrize(
    ("arms", "common", "name"),
    [
        (["upsample", "fir"], [], "upsample-fir"),
        ([], ["generator=transpose"], "transpose"),
        ([], ["generator=transpose", "generator.upsampling.kernel_size=5"], "transpose-kernel_size=5"),
        (["transpose kernel_size=3", "transpose kernel_size=5"], [], "transpose-kernel_size=3-transpose-kernel_size=5"),
        (["upsample"], ["seed=3", "experiment=mnist"], "upsample-experiment=mnist-seed=3"),
        ([], ["generator=fir", "dataset.size=[8,12]"], "fir-dataset.size=[8,12]"),
    ],
)
def test_a_picture_is_named_by_what_was_set(arms, common, name):
    assert picture_name(read_arms(arms), common) == name


def test_other_settings_never_have_the_same_picture():
    """All pairs of a few settings, long ones too; the order of a command line means nothing."""
    more = ["seed=1", "kernel_size=3", "kernel_size=5", "init=keras", "dataset.size=16", "precision=float32",
            "generator.stages=[[4,2],[4,2],[4,2],[4,2],[4,2],[4,2],[4,2],[4,2],[4,2],[4,2],[4,2],[4,2],[4,2],[null,2]]"]  # fmt: skip
    names, sets = (
        set(),
        [pair for pair in itertools.combinations(more, 2) if pair != ("kernel_size=3", "kernel_size=5")],
    )
    for each in [*sets, *((one,) for one in more)]:
        same = {
            picture_name([], ["generator=transpose", *map(whole_name, order)]) for order in itertools.permutations(each)
        }
        assert len(same) == 1 and len(min(same).encode()) <= 120
        names |= same
    assert len(names) == len(sets) + len(more)


def test_arms_with_settings_of_their_own(inspect, tmp_path):
    output = inspect(
        "--compare", "transpose kernel_size=3", *SMALL, "transpose generator.upsampling.kernel_size=5", "upsample"
    )
    name = "transpose-kernel_size=3-transpose-kernel_size=5-upsample-base_filters=4-stages=[[4,2],[null,2]].png"
    drawn(tmp_path / "outputs" / "inspect" / name)
    lines = output.splitlines()
    assert [line.split() for line in lines[2:4]] == [
        ["transpose", "transpose"],
        ["kernel_size=3", "kernel_size=5", "upsample"],
    ]
    (kernels,) = [line.split()[2:] for line in lines if line.startswith(" its kernel")]
    assert kernels == ["3×3", "5×5", "3×3", "as", "4×4"]
    assert "Conv2DTranspose" in output and "UpSampling2D + Conv2D, fused" in output


def test_settings_of_a_plugin_s_operator_need_no_prefix(tmp_path, plugins_forgotten):
    """Those that have the name of another setting do."""
    (tmp_path / "mine.py").write_text(
        "from typing import Literal\nfrom ganlab.config import Operator\n"
        "class Mine(Operator):\n    name: Literal['mine']\n    sharpness: float = 1\n    seed: int = 0\n"
        "UPSAMPLERS = {'mine': (Mine, print)}\n"
    )
    words = command_line.take_plugins(
        ["--plugin", str(tmp_path / "mine.py"), "generator=mine", "sharpness=2", "seed=3"]
    )
    read = command_line._read(words).overrides
    assert read == ["generator=mine", "generator.upsampling.sharpness=2", "seed=3"]
    assert picture_name([], read) == "mine-sharpness=2-seed=3"


WHAT_IT_IS = {
    ("upsample", "implementation=plain"): ("UpSampling2D + Conv2D", None),
    ("upsample", "implementation=fused"): ("UpSampling2D + Conv2D, fused", "UpSampling2D + Conv2D, fused = UpSampling2D (nearest) and Conv2D at once"),
    ("upsample_bilinear",): ("UpSampling2D (bilinear) + Conv2D", None),
    ("transpose",): ("Conv2DTranspose", None),
    ("fir", "implementation=plain"): ("FirConv2D, plain", "FirConv2D = zeros between the pixels"),
    ("pixel_shuffle",): ("PixelShuffle2D", "PixelShuffle2D = Conv2D"),
    ("carafe",): ("Carafe2D", "Carafe2D = weights read off the image by two Conv2D"),
}  # fmt: skip


@pytest.mark.parametrize("arm", WHAT_IT_IS, ids=" ".join)
def test_layers_are_called_what_they_are(arm, settings, monkeypatch):
    monkeypatch.setattr(views, "DRAWS", 2)
    monkeypatch.setattr(views, "IMAGES", 8)
    config = settings(*SMALL, f"generator={arm[0]}", *map(whole_name, arm[1:]))
    view = views.before_training(config, 5)
    kind, note = WHAT_IT_IS[arm]
    assert {row[1] for row in view.layers if row[0].startswith("stage")} == {kind} == {view.facts["its layers"]}
    assert [text for text in view.notes if " = " in text.partition(":")[0]] == [
        text for text in view.notes if note is not None and text.startswith(note)
    ]
    assert (note is None) == (not any(text.startswith(str(note)) for text in view.notes))


def test_a_residual_generator_is_looked_into(inspect, tmp_path):
    output = inspect("generator=transpose", "generator.body=residual", *SMALL, "out=some.png")
    for line in ("skip1", "repeat2", "image ", "lattice fraction 0.7"):
        assert line in output
    drawn(tmp_path / "some.png")


def test_a_wrong_setting_and_help_need_no_tensorflow():
    code = (
        "import sys; import ganlab.inspect as t, ganlab.inspection\n"
        "sys.argv = ['x', '--help']; t.main()\n"
        "sys.argv = ['x', '--compare', 'fir', 'training.stepz=3']\n"
        "try: t.main()\nexcept SystemExit as e: assert e.code == 2\n"
        "import inspect; assert inspect.signature(t.main)  # the standard library's own is not hidden\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--compare ARM" in done.stdout and "pixel_shuffle_icnr" in done.stdout
    assert "UpSampling2D (nearest) + Conv2D" in done.stdout and "Conv2DTranspose with even overlap" in done.stdout


def test_bars_share_one_range_and_leave_out_what_is_nothing():
    assert views._bars([np.array([9.0, 1, 10]), None, np.array([0.0, 100, 0])]) == ["▁▄", "", "█ "]


def test_a_run_without_a_checkpoint(settings, tmp_path):
    write_json(tmp_path / "config.json", settings(*TINY).model_dump(mode="json"))
    with pytest.raises(ConfigError, match="no checkpoint yet"):
        command_line._command(command_line._read([f"run={tmp_path}"]))
