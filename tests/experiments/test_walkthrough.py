"""The walk-through in experiments/layers: every step against numbers worked by hand, its page against its code."""

import ast
import functools
import importlib.util
import inspect
import re
import shlex
import sys

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT

FOLDER = ROOT / "experiments" / "layers"


@pytest.fixture(scope="module")
def walk():
    """The script as a module; TensorFlow has been started before."""
    spec = importlib.util.spec_from_file_location("walkthrough", FOLDER / "walkthrough.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def numbers_of():
    """`numbers_of(step)`: its numbers, computed once."""
    return functools.cache(lambda step: step())


IMAGE = [[1, 2], [3, 4]]
ZEROS_BETWEEN = [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
UNEVEN = [1, 1, 2, 1, 2, 1, 2, 1, 2, 1]  # stamps of width 3, two apart, on a line of ten pixels
BORDER = [2, 3, 3, 3, 3, 3, 3, 3, 3, 2]  # a window of width 3 around each of ten pixels
EVEN = [1, 2, 2, 2, 2, 2, 2, 1]  # stamps of width 4, two apart, the first cut off on its left

# Worked by hand: what every step has to give, complete and in this order.
BY_HAND = {
    "nearest": {"image": IMAGE, "enlarged": [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]},
    "nearest_pair": {
        "image": IMAGE,
        "enlarged": [[1, 1, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2], [3, 3, 3, 4, 4, 4], [3, 3, 3, 4, 4, 4]],
    },
    "bilinear": {
        "image": IMAGE,
        "enlarged": [[1, 1.25, 1.75, 2], [1.5, 1.75, 2.25, 2.5], [2.5, 2.75, 3.25, 3.5], [3, 3.25, 3.75, 4]],
    },
    "zero_insertion": {"image": IMAGE, "by hand": ZEROS_BETWEEN, "the layer": ZEROS_BETWEEN},
    "one_weight": {
        "image": IMAGE,
        "stride 1": IMAGE,
        "stride 2": ZEROS_BETWEEN,
        "stride 2, weight 2": [[2, 0, 4, 0], [0, 0, 0, 0], [6, 0, 8, 0], [0, 0, 0, 0]],
    },
    "uneven_overlap": {
        "image": IMAGE,
        "3x3 stamps": [[1, 1, 3, 2], [1, 1, 3, 2], [4, 4, 10, 6], [3, 3, 7, 4]],
        "how many stamps": np.outer(UNEVEN[:8], UNEVEN[:8]),
    },
    "even_overlap": {
        "image": IMAGE,
        "4x4 stamps": [[1, 3, 3, 2], [4, 10, 10, 6], [4, 10, 10, 6], [3, 7, 7, 4]],
        "how many stamps": np.outer(EVEN, EVEN),
    },
    "valid_padding": {
        "image": np.ones((5, 5)),
        "how many stamps, 'same'": np.outer(UNEVEN, UNEVEN),
        "how many stamps, 'valid'": np.outer([*UNEVEN, 1], [*UNEVEN, 1]),
    },
    "parameters": {
        "UpSampling2D": 0,
        "Conv2DTranspose 1x1": 2,
        "Conv2DTranspose 3x3": 10,
        "UpSampling2D + Conv2D 3x3": 10,
    },
    "resize_generator": {
        "Dense": ((3200,), 323_200),
        "Reshape": ((5, 5, 128), 0),
        "UpSampling2D": ((10, 10, 128), 0),
        "Conv2D": ((10, 10, 1), 1_153),
        "all parameters": 324_353,
        "all parameters, generator=upsample": 324_353,
        "images differ by": 0,
        "weights in each pixel": np.outer(BORDER, BORDER),
    },
    "transposed_generator": {
        "Dense": ((3200,), 323_200),
        "Reshape": ((5, 5, 128), 0),
        "Conv2DTranspose": ((10, 10, 1), 1_153),
        "all parameters": 324_353,
        "all parameters, generator=transpose_k3": 324_353,
        "images differ by": 0,
        "weights in each pixel": np.outer(UNEVEN, UNEVEN),
    },
    "chained": {
        "UpSampling2D + Conv2D": [
            ("up1", "UpSampling2D", (10, 10, 128), 0),
            ("conv1", "Conv2D", (10, 10, 64), 73_792),
            ("up2", "UpSampling2D", (20, 20, 64), 0),
            ("conv2", "Conv2D", (20, 20, 1), 577),
        ],
        "Conv2DTranspose, 'same'": [
            ("stage1", "Conv2DTranspose", (10, 10, 64), 73_792),
            ("stage2", "Conv2DTranspose", (20, 20, 1), 577),
        ],
        "Conv2DTranspose, 'valid'": [
            ("stage1", "Conv2DTranspose", (11, 11, 64), 73_792),
            ("stage2", "Conv2DTranspose", (23, 23, 1), 577),
        ],
    },
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_step_gives_what_was_worked_by_hand(walk, numbers_of, name):
    numbers = numbers_of(getattr(walk, name))
    assert list(numbers) == list(BY_HAND[name])
    for key, expected in BY_HAND[name].items():
        if isinstance(numbers[key], str):
            assert walk.rows_of(numbers[key]) == expected, key
        elif isinstance(expected, list | np.ndarray):
            np.testing.assert_array_equal(numbers[key], expected, err_msg=key)
        else:
            assert numbers[key] == expected, key


def test_the_steps_are_told_in_order(walk):
    assert [step.__name__ for step in walk.STEPS] == list(BY_HAND)


def test_generators_are_images_of_their_latents_not_constants(walk):
    # "images differ by 0" would hold for a generator that gives nothing but zeros, too.
    for arm in ("upsample", "transpose_k3"):
        images = np.asarray(walk.ganlab_generator(arm)(np.eye(2, 100, dtype="float32")))
        assert images.shape == (2, 10, 10, 1) and np.std(images[0] - images[1]) > 0.01


def test_the_readme_is_what_the_script_writes(walk, numbers_of):
    assert (FOLDER / "README.md").read_text() == walk.readme({step: numbers_of(step) for step in walk.STEPS}), (
        "experiments/layers/README.md is not what the code gives; "
        "run python experiments/layers/walkthrough.py --write and look at what changed"
    )


@pytest.mark.parametrize("name", BY_HAND)
def test_a_step_has_its_code_its_numbers_and_its_picture(walk, numbers_of, name):
    """Read from the page itself, so that a mistake in the writer shows as well."""
    step = getattr(walk, name)
    number = list(BY_HAND).index(name) + 1
    page = (FOLDER / "README.md").read_text()
    (section,) = re.findall(rf"^## {number}\. .*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    head, *lines = inspect.getdoc(step).splitlines()
    assert section.startswith(f"## {number}. {head.rstrip('.')}\n") and "\n".join(lines).strip() in section

    (block,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    body = ast.parse(inspect.getsource(step)).body[0].body[1:]
    shown = ast.parse("def step():\n" + "\n".join(f"    {line}" for line in block.splitlines())).body[0].body
    assert [ast.dump(line) for line in shown] == [ast.dump(line) for line in body]

    (block,) = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    told = [float(value.replace(",", "")) for value in re.findall(r"(?<![\w.])\d[\d,]*\.?\d*(?![\w,]|\.\d)", block)]
    for value in numbers_of(step).values():
        if isinstance(value, str):
            assert all(line.strip() in block for line in value.splitlines())
        elif not isinstance(value, tuple):
            assert set(np.ravel(value)) <= set(told)

    (picture,) = re.findall(r"!\[.*?\]\((.*?)\)", section)
    with Image.open(FOLDER / picture) as image:
        assert image.text["Description"] == walk.say(numbers_of(step)), f"{picture} is old; run walkthrough.py --write"
        assert image.format == "PNG" and len(np.unique(np.asarray(image.convert("L")))) > 10
    assert (FOLDER / picture).stat().st_size < 40_000


def test_no_picture_is_left_over(walk):
    wanted = {walk.figure_path(step) for step in walk.STEPS}
    assert set((FOLDER / "figures").iterdir()) == wanted


@pytest.mark.parametrize("name", BY_HAND)
def test_a_picture_can_be_drawn_with_nothing_cut_off(walk, numbers_of, name):
    step = getattr(walk, name)
    figure = walk.STEPS[step](numbers_of(step))
    width, height = figure.canvas.get_width_height()
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text.get_text()


def test_its_last_command_is_a_run_of_this_generator(walk, settings):
    (line,) = re.findall(r"^python -m ganlab.train (.*?)^```", walk.EPILOGUE, re.MULTILINE | re.DOTALL)
    config = settings(*shlex.split(line.replace("\\\n", " ")))
    assert (config.generator.name, config.dataset.size, config.generator.scale) == ("upsample", 10, (2, 2))


@pytest.mark.slow
def test_the_script_prints_every_step_without_chatter(tmp_path):
    """In a copy, so that the test leaves the checkout as it was."""
    import shutil
    import subprocess

    copy = shutil.copy(FOLDER / "walkthrough.py", tmp_path)
    done = subprocess.run([sys.executable, copy, "--write"], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^(\d+)\. ", done.stdout, re.MULTILINE) == [str(n + 1) for n in range(len(BY_HAND))]
    assert (tmp_path / "README.md").read_text() == (FOLDER / "README.md").read_text()
    assert len(list((tmp_path / "figures").glob("*.png"))) == len(BY_HAND)
