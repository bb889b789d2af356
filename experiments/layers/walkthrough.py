"""From doubling rows and columns to a generator of 10x10 images, in twelve small steps.

    python experiments/layers/walkthrough.py            prints every step and draws figures/
    python experiments/layers/walkthrough.py --write    makes README.md of them, too

A step is a function: its docstring tells the story, its body is the code, what it returns are the numbers.
"""

import argparse
import ast
import inspect
import io
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganlab import device

device.start("float32")  # before the first import of Keras: TensorFlow starts quietly

import keras  # noqa: E402
import matplotlib  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402
from PIL import Image  # noqa: E402
from PIL.PngImagePlugin import PngInfo  # noqa: E402

from ganlab.cli.hydra import plan  # noqa: E402
from ganlab.nets.generator import build_generator  # noqa: E402

HERE = Path(__file__).parent
Numbers = dict[str, Any]

IMAGE = np.array([[1, 2], [3, 4]], "float32")


def through(layer, image):
    """[H,W] -> [H,W]: Keras takes batches of images with channels, so one image of one channel goes in."""
    return np.asarray(layer(image[None, :, :, None]))[0, :, :, 0]


def layers_of(model):
    """What each layer gives and holds: {layer: (shape of its output, parameters)}."""
    return {type(layer).__name__: (layer.output.shape[1:], layer.count_params()) for layer in model.layers}


def summary_of(model):
    """What `model.summary()` prints: each layer, the shape of its output, its parameters."""
    lines = []
    model.summary(line_length=72, print_fn=lambda text, line_break=False: lines.append(text))
    return "\n".join(lines)


def ganlab_generator(arm):
    """ganlab's generator with the settings that make 10x10 images from 100 numbers through one stage."""
    shape = ["dataset.size=10", "generator.latent_size=100", "generator.base_filters=128"]
    config = plan([f"generator={arm}", *shape, "generator.stages=[[null,2]]"], multirun=False).cells[0].config
    return build_generator(config.generator, (10, 10, 1), seed_of=lambda name: 0)


# --- the steps ------------------------------------------------------------------------------------------------------


def nearest() -> Numbers:
    """Double the rows and the columns.

    A generator starts from a small image and has to end with a large one. The simplest way to enlarge is to say
    everything twice: each row is repeated, then each column, and a pixel becomes a block of 2x2 equal pixels. This is
    called *nearest*, because every new pixel takes the value of the old pixel that lies nearest. Nothing is computed
    and nothing is learned.
    """
    layer = keras.layers.UpSampling2D(size=2)
    return {"image": IMAGE, "enlarged": through(layer, IMAGE)}


def nearest_pair() -> Numbers:
    """Rows and columns by different factors.

    The two directions have nothing to do with each other. `size=(2, 3)` repeats each row twice and each column three
    times: rows come first, as in the shape of an array.
    """
    layer = keras.layers.UpSampling2D(size=(2, 3))
    return {"image": IMAGE, "enlarged": through(layer, IMAGE)}


def bilinear() -> Numbers:
    """Slopes instead of blocks.

    *Bilinear* enlargement draws a straight line from each old pixel to the next and reads the new pixels off it. An
    old pixel lies in the middle of its 2x2 block, so a new one sits a quarter of the way towards a neighbour: it takes
    3/4 of its own old pixel and 1/4 of the neighbour, in each direction. Where there is no neighbour, at the border,
    the outermost pixel is used again. Smooth, a little dull, and still nothing learned.
    """
    layer = keras.layers.UpSampling2D(size=2, interpolation="bilinear")
    return {"image": IMAGE, "enlarged": through(layer, IMAGE)}


def zero_insertion() -> Numbers:
    """Move the pixels apart and leave zeros between them.

    A transposed convolution with stride 2 enlarges in another way. It first moves pixel [i, j] to place [2i, 2j]; what
    lies between stays zero, as if nobody had said yet what belongs there. With the smallest kernel, a single weight
    of 1, the layer shows this and nothing else. Doing it by hand gives the same.
    """
    by_hand = np.zeros((4, 4), "float32")
    by_hand[::2, ::2] = IMAGE
    layer = keras.layers.Conv2DTranspose(1, kernel_size=1, strides=2, padding="same", kernel_initializer="ones")
    return {"image": IMAGE, "by hand": by_hand, "the layer": through(layer, IMAGE)}


def one_weight() -> Numbers:
    """A 1x1 kernel cannot fill the gaps.

    The kernel decides what each pixel paints around its new place. A 1x1 kernel paints that one place: with stride 1
    and a weight of 1 the image stays as it is, with stride 2 three pixels of four stay zero. Another weight changes
    the four numbers, never the zeros. So a kernel has to be at least as large as the stride.
    """
    one = keras.layers.Conv2DTranspose(1, kernel_size=1, strides=1, padding="same", kernel_initializer="ones")
    two = keras.layers.Conv2DTranspose(1, kernel_size=1, strides=2, padding="same", kernel_initializer="ones")
    twice = keras.initializers.Constant(2)
    more = keras.layers.Conv2DTranspose(1, kernel_size=1, strides=2, padding="same", kernel_initializer=twice)
    return {
        "image": IMAGE,
        "stride 1": through(one, IMAGE),
        "stride 2": through(two, IMAGE),
        "stride 2, weight 2": through(more, IMAGE),
    }


def uneven_overlap() -> Numbers:
    """A 3x3 kernel fills the gaps, unevenly.

    Now each pixel stamps a square of 3x3, its value times the kernel, here all ones. The stamps lie 2 apart and are 3
    wide, so neighbours overlap by one row or column, and where stamps overlap they add up: the 10 is 1+2+3+4. With
    'same' padding the result is cut to twice the image's size; here the last row and column of stamps fall off.

    An image of nothing but ones lets us count the stamps: 1, 2 or 4 on each pixel, in a regular pattern. A flat image
    came in, and some pixels come out four times as bright as others. This is the *checkerboard* that transposed
    convolutions are known for. It comes from 3 being no multiple of 2.
    """
    layer = keras.layers.Conv2DTranspose(1, kernel_size=3, strides=2, padding="same", kernel_initializer="ones")
    ones = np.ones((4, 4), "float32")
    return {"image": IMAGE, "3x3 stamps": through(layer, IMAGE), "how many stamps": through(layer, ones)}


def even_overlap() -> Numbers:
    """A 4x4 kernel fills them evenly.

    With a kernel of 4, a multiple of the stride, every pixel inside gets the same number of stamps: 4. Only the border
    has fewer, since no pixels lie beyond it. 'same' padding now cuts one row and column off on each side.

    That the counts are even does not mean that the image must be. The sixteen weights are free, and those that paint
    even pixels may grow different from those that paint odd ones: this layer *can* avoid the checkerboard, and has to
    learn to. Doubling and then convolving makes a flat image flat, but for the border, whatever the weights.
    """
    layer = keras.layers.Conv2DTranspose(1, kernel_size=4, strides=2, padding="same", kernel_initializer="ones")
    ones = np.ones((4, 4), "float32")
    return {"image": IMAGE, "4x4 stamps": through(layer, IMAGE), "how many stamps": through(layer, ones)}


def valid_padding() -> Numbers:
    """Nothing cut off: 5x5 becomes 11x11.

    The stamps of five pixels in a row begin at 0, 2, 4, 6 and 8, and the last is 3 wide: together they are
    (5-1)*2 + 3 = 11 pixels wide. With 'valid' padding the layer gives all of it; 'same' cuts it to 5*2 = 10. Inside,
    the counts are the same uneven ones. What 'valid' changes is the size: 11 is no multiple of 5, and the next stage
    would make (11-1)*2 + 3 = 23 of it. To end at a size that was asked for, generators use 'same', and so does ganlab.
    """
    same = keras.layers.Conv2DTranspose(1, kernel_size=3, strides=2, padding="same", kernel_initializer="ones")
    valid = keras.layers.Conv2DTranspose(1, kernel_size=3, strides=2, padding="valid", kernel_initializer="ones")
    ones = np.ones((5, 5), "float32")
    return {
        "image": ones,
        "how many stamps, 'same'": through(same, ones),
        "how many stamps, 'valid'": through(valid, ones),
    }


def parameters() -> Numbers:
    """What there is to learn: 0, 2 or 10 numbers.

    Repeating pixels has no weights. A transposed convolution has one for each place of its kernel, and one bias, which
    is added to every pixel: 1 + 1 and 9 + 1. That is why UpSampling2D is followed by a convolution: the one enlarges,
    the other learns, and together they hold as many numbers as the transposed convolution, which does both at once.
    """
    stride = {"strides": 2, "padding": "same"}
    doubling = keras.layers.UpSampling2D(size=2)
    smallest = keras.layers.Conv2DTranspose(1, kernel_size=1, **stride)
    usual = keras.layers.Conv2DTranspose(1, kernel_size=3, **stride)
    both = keras.Sequential([keras.layers.UpSampling2D(size=2), keras.layers.Conv2D(1, kernel_size=3, padding="same")])
    for layer in (doubling, smallest, usual, both):
        through(layer, IMAGE)  # a layer makes its weights when it sees its first image
    return {
        "UpSampling2D": doubling.count_params(),
        "Conv2DTranspose 1x1": smallest.count_params(),
        "Conv2DTranspose 3x3": usual.count_params(),
        "UpSampling2D + Conv2D 3x3": both.count_params(),
    }


def resize_generator() -> Numbers:
    """A generator that doubles, then convolves: 100 numbers become a 10x10 image.

    A dense layer turns 100 random numbers into 3200, which are laid out as 128 small maps of 5x5. UpSampling2D doubles
    them to 10x10, and a 3x3 convolution mixes the 128 maps into one image. Nearly all parameters sit in the dense
    layer: 100 * 3200 + 3200 = 323,200. The convolution has 128 * 9 + 1 = 1,153, and doubling has none.

    `ganlab` builds the same network from its settings: as many parameters, and with the same weights the same images.
    The last table counts, as in steps 6 and 7, how many weights meet in each pixel: all nine, but for the border.
    """
    model = keras.Sequential(
        [
            keras.Input((100,)),
            keras.layers.Dense(5 * 5 * 128, activation="relu"),
            keras.layers.Reshape((5, 5, 128)),
            keras.layers.UpSampling2D(size=2),
            keras.layers.Conv2D(1, kernel_size=3, padding="same", activation="tanh"),
        ]
    )
    ours = ganlab_generator("upsample")
    ours.set_weights(model.get_weights())
    latents = np.random.default_rng(0).normal(size=(4, 100)).astype("float32")
    difference = np.abs(model(latents) - ours(latents)).max()

    doubled = through(keras.layers.UpSampling2D(size=2), np.ones((5, 5), "float32"))
    ones = keras.layers.Conv2D(1, kernel_size=3, padding="same", kernel_initializer="ones")
    return {
        **layers_of(model),
        "all parameters": model.count_params(),
        "all parameters, generator=upsample": ours.count_params(),
        "images differ by": round(float(difference), 4),
        "weights in each pixel": through(ones, doubled),
    }


def transposed_generator() -> Numbers:
    """The same generator with a transposed convolution in their place.

    Doubling and convolving are replaced by one transposed convolution, 3x3 with stride 2. Everything else stays, and so
    does the number of parameters, to the last one. So these two differ in nothing but how they enlarge, and to ask
    which is better is fair. The last table shows what the answer may depend on: 1, 2 or 4 weights meet in a pixel.

    Equal parameters are one way to be fair. `generator=transpose`, with its even 4x4 kernel, has 128 * 16 + 1 = 2,049
    in this place, and needs exactly as many multiplications as `generator=upsample`, which doubles and convolves in
    one go.
    """
    model = keras.Sequential(
        [
            keras.Input((100,)),
            keras.layers.Dense(5 * 5 * 128, activation="relu"),
            keras.layers.Reshape((5, 5, 128)),
            keras.layers.Conv2DTranspose(1, kernel_size=3, strides=2, padding="same", activation="tanh"),
        ]
    )
    ours = ganlab_generator("transpose_k3")
    ours.set_weights(model.get_weights())
    latents = np.random.default_rng(0).normal(size=(4, 100)).astype("float32")
    difference = np.abs(model(latents) - ours(latents)).max()

    ones = keras.layers.Conv2DTranspose(1, kernel_size=3, strides=2, padding="same", kernel_initializer="ones")
    return {
        **layers_of(model),
        "all parameters": model.count_params(),
        "all parameters, generator=transpose_k3": ours.count_params(),
        "images differ by": round(float(difference), 4),
        "weights in each pixel": through(ones, np.ones((5, 5), "float32")),
    }


def chained() -> Numbers:
    """Two doublings in a row, as Keras tells them.

    Most generators enlarge more than once. `model.summary()` shows the two ways side by side: UpSampling2D and Conv2D
    take turns, or one Conv2DTranspose does both. They hold the same parameters, 128*9*64 + 64 = 73,792 and
    64*9 + 1 = 577, and with 'same' padding they give the same shapes, 10x10 and 20x20. With 'valid' padding the
    shapes are those of step 8, 11x11 and 23x23.

    `python -m ganlab.inspect` prints such a table of any of ganlab's generators, with what each layer costs and what
    it sees.
    """
    resize = [
        keras.Input((5, 5, 128)),
        keras.layers.UpSampling2D(size=2, name="up1"),
        keras.layers.Conv2D(64, kernel_size=3, padding="same", activation="relu", name="conv1"),
        keras.layers.UpSampling2D(size=2, name="up2"),
        keras.layers.Conv2D(1, kernel_size=3, padding="same", activation="tanh", name="conv2"),
    ]
    summaries = {"UpSampling2D + Conv2D": summary_of(keras.Sequential(resize, name="resize"))}
    for padding in ("same", "valid"):
        transposed = [
            keras.Input((5, 5, 128)),
            keras.layers.Conv2DTranspose(64, 3, strides=2, padding=padding, activation="relu", name="stage1"),
            keras.layers.Conv2DTranspose(1, 3, strides=2, padding=padding, activation="tanh", name="stage2"),
        ]
        model = keras.Sequential(transposed, name=f"transposed_{padding}")
        summaries[f"Conv2DTranspose, '{padding}'"] = summary_of(model)
    return summaries


# --- the pictures ---------------------------------------------------------------------------------------------------

COLOURS = matplotlib.colormaps["YlGnBu"]
CELL = 0.36  # inches: the side of a number's square, in every picture
INK, EMPTY = "#222222", (1.0, 1.0, 1.0, 1.0)


def draw_cells(numbers: Numbers) -> Figure:
    """The images of a step side by side, numbers in squares of their colour; only counts have a scale of their own."""
    images = {name: value for name, value in numbers.items() if isinstance(value, np.ndarray)}
    tallest = max(len(image) for image in images.values())
    gap = 1.6
    width = sum(image.shape[1] for image in images.values()) + gap * (len(images) - 1)
    figure, axes = _canvas(width, tallest + 0.9)
    left, highest = 0.0, max(image.max() for name, image in images.items() if not name.startswith("how many"))
    for name, image in images.items():
        top = (tallest - len(image)) / 2 + 0.9
        _grid(axes, image, left, top, image.max() if name.startswith("how many") else highest, name)
        left += image.shape[1] + gap
        if name == "image":
            arrow = {"arrowstyle": "->", "color": INK}
            middle = tallest / 2 + 0.9
            axes.annotate("", (left - 0.3, middle), (left - gap + 0.3, middle), arrowprops=arrow)
    return figure


def draw_weights(numbers: Numbers) -> Figure:
    """Every parameter as a square: kernels as they lie, the bias beside them."""
    figure, axes = _canvas(18.3, 5.1)
    for (name, count), left in zip(numbers.items(), (0.0, 4.2, 8.4, 13.8), strict=True):
        for line, text in enumerate(name.split(" ", 1)):
            axes.text(left, 0.3 + 0.6 * line, text, va="center", size=8, color=INK)
        if not count:
            axes.text(left, 2, "nothing", va="center", size=8, style="italic", color=INK)
        side = {0: 0, 2: 1, 10: 3}[count]
        for place in range(side * side):
            _square(axes, left + place % side, 1.5 + place // side, f"w{place + 1}" if side > 1 else "w", COLOURS(0.25))
        if count:
            axes.text(left + side + 0.25, 2, "+", ha="center", va="center", size=9, color=INK)
            _square(axes, left + side + 0.5, 1.5, "b", COLOURS(0.55))
        axes.text(left, 4.9, f"{count} parameters", va="center", size=8, weight="bold", color=INK)
    return figure


def draw_generator(numbers: Numbers) -> Figure:
    """The layers from top to bottom with shapes and parameters; beside them, how many weights meet in each pixel."""
    layers = {name: value for name, value in numbers.items() if isinstance(value, tuple)}
    figure, axes = _canvas(22.5, 11)
    boxes = [("", "100 random numbers", "")]
    boxes += [(name, _shape(shape), f"{count:,} parameters") for name, (shape, count) in layers.items()]
    step = (10 - 1.25) / (len(boxes) - 1)
    for place, (name, shape, count) in enumerate(boxes):
        top = 0.9 + place * step
        colour = COLOURS(0.08 if count.startswith("0 ") or not count else 0.3)
        axes.add_patch(Rectangle((0, top), 10.6, 1.25, facecolor=colour, edgecolor="white"))
        for across, text, side in ((0.25, name, "left"), (10.35, count, "right")):
            axes.text(across, top + 0.4, text, ha=side, va="center", size=8, color=INK)
        axes.text(0.25, top + (0.86 if name else 0.63), shape, va="center", size=8, weight="bold", color=INK)
        if place + 1 < len(boxes):
            arrow = {"arrowstyle": "->", "color": INK}
            axes.annotate("", (5.3, top + step), (5.3, top + 1.25), arrowprops=arrow)
    axes.text(0, 0.45, f"{numbers['all parameters']:,} parameters in all", va="center", size=8, color=INK)
    meeting = numbers["weights in each pixel"]
    _grid(axes, meeting, 12.5, 0.9, meeting.max(), "how many weights meet in each pixel")
    return figure


def rows_of(summary: str) -> list[tuple[str, str, tuple[int, ...], int]]:
    """Name, kind, shape of the output and parameters of each layer in a summary."""
    found = re.findall(r"(\w+) \((\w+)\) +│ \(None, ([\d, ]+)\) +│ +([\d,]+) │", summary)
    return [
        (name, kind, tuple(int(size) for size in shape.split(", ")), int(count.replace(",", "")))
        for name, kind, shape, count in found
    ]


def draw_chains(numbers: Numbers) -> Figure:
    """Every chain from top to bottom, layers with shapes and parameters, stages at the same height."""
    figure, axes = _canvas(3 * 9 + 2 * 1.2, 11)
    for (name, summary), left in zip(numbers.items(), (0.0, 10.2, 20.4), strict=True):
        axes.text(left, 0.35, name, va="center", size=8, weight="bold", color=INK)
        layers = [("", (5, 5, 128), None), *((kind, shape, count) for _, kind, shape, count in rows_of(summary))]
        step = (11 - 0.9 - 1.25) / (len(layers) - 1)
        for place, (kind, shape, count) in enumerate(layers):
            top = 0.9 + place * step
            colour = COLOURS(0.3 if count else 0.08)
            axes.add_patch(Rectangle((left, top), 9, 1.25, facecolor=colour, edgecolor="white"))
            axes.text(left + 0.25, top + 0.4, kind or "maps", va="center", size=8, color=INK)
            axes.text(left + 0.25, top + 0.86, _shape(shape), va="center", size=8, weight="bold", color=INK)
            if count is not None:
                axes.text(left + 8.75, top + 0.4, f"{count:,}", ha="right", va="center", size=8, color=INK)
            if place + 1 < len(layers):
                arrow = {"arrowstyle": "->", "color": INK}
                axes.annotate("", (left + 4.5, top + step), (left + 4.5, top + 1.25), arrowprops=arrow)
    return figure


def _canvas(width: float, height: float) -> tuple[Figure, Any]:
    """Axes in units of one cell, the origin at the top left."""
    figure = Figure(((width + 0.4) * CELL, (height + 0.4) * CELL), dpi=144)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.2, width + 0.2), ylim=(height + 0.2, -0.2))
    axes.axis("off")
    return figure, axes


def _grid(axes: Any, image: np.ndarray, left: float, top: float, highest: float, caption: str) -> None:
    axes.text(left + image.shape[1] / 2, top - 0.45, caption, ha="center", va="center", size=8, color=INK)
    for (row, column), value in np.ndenumerate(image):
        _square(axes, left + column, top + row, f"{value:g}", COLOURS(0.1 + 0.7 * value / highest) if value else EMPTY)


def _square(axes: Any, left: float, top: float, text: str, colour: Any) -> None:
    axes.add_patch(Rectangle((left, top), 1, 1, facecolor=colour, edgecolor="#999999", linewidth=0.6))
    dark = np.dot(colour[:3], (0.3, 0.59, 0.11)) < 0.55
    size = 8 if len(text) < 4 else 6.5
    ink = "white" if dark else INK
    axes.text(left + 0.5, top + 0.53, text, ha="center", va="center", size=size, color=ink)


# Every step in its order, and what draws it.
STEPS: dict[Callable[[], Numbers], Callable[[Numbers], Figure]] = {
    nearest: draw_cells,
    nearest_pair: draw_cells,
    bilinear: draw_cells,
    zero_insertion: draw_cells,
    one_weight: draw_cells,
    uneven_overlap: draw_cells,
    even_overlap: draw_cells,
    valid_padding: draw_cells,
    parameters: draw_weights,
    resize_generator: draw_generator,
    transposed_generator: draw_generator,
    chained: draw_chains,
}


# --- the words ------------------------------------------------------------------------------------------------------


def title(step: Callable) -> str:
    """`3. Slopes instead of blocks`."""
    return f"{list(STEPS).index(step) + 1}. {inspect.getdoc(step).splitlines()[0].rstrip('.')}"


def story(step: Callable) -> str:
    """The docstring without its first line."""
    return inspect.getdoc(step).split("\n", 1)[1].strip()


def code(thing: Callable) -> str:
    """The body of a step without its docstring, as it stands in this file."""
    lines = inspect.getsource(thing).splitlines()
    first = ast.parse("\n".join(lines)).body[0].body[0]
    return textwrap.dedent("\n".join(lines[first.end_lineno :])).strip()


def say(numbers: Numbers) -> str:
    """The numbers of a step as text."""
    lines = []
    for name, value in numbers.items():
        if isinstance(value, np.ndarray):
            cells = [[f"{number:g}" for number in row] for row in value]
            across = max(len(cell) for row in cells for cell in row)
            lines += [f"{name} ({_shape(value.shape)}):"]
            lines += ["  " + "  ".join(cell.rjust(across) for cell in row) for row in cells]
        elif isinstance(value, tuple):
            lines.append(f"{name}: {_shape(value[0])}, {value[1]:,} parameters")
        elif isinstance(value, str):
            lines += [f"{name}:", *(line.rstrip() for line in value.splitlines() if line.strip())]
        else:
            lines.append(f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value:g}")
    return "\n".join(lines)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)


def figure_path(step: Callable) -> Path:
    """Where a step's picture lies."""
    return HERE / "figures" / f"{list(STEPS).index(step) + 1:02}_{step.__name__}.png"


def draw(step: Callable, numbers: Numbers) -> None:
    """Draw and save a step's picture; the numbers go into the file, so that a test can see whether it is current."""
    path = figure_path(step)
    path.parent.mkdir(exist_ok=True)
    drawn = io.BytesIO()
    STEPS[step](numbers).savefig(drawn)
    with_numbers = PngInfo()
    with_numbers.add_text("Description", say(numbers))
    Image.open(drawn).convert("RGB").quantize(64).save(path, optimize=True, pnginfo=with_numbers)  # a third of the size


def readme(every: dict[Callable, Numbers]) -> str:
    """The whole walk as Markdown."""
    helpers = ['IMAGE = np.array([[1, 2], [3, 4]], "float32")']
    helpers += [inspect.getsource(helper).strip() for helper in (through, layers_of, summary_of, ganlab_generator)]
    parts = [PREFACE.format(helpers="\n\n\n".join(helpers))]
    for step, numbers in every.items():
        picture = figure_path(step).relative_to(HERE)
        parts.append(
            f"## {title(step)}\n\n{story(step)}\n\n```python\n{code(step)}\n```\n\n```text\n{say(numbers)}\n```\n\n"
            f"![{title(step)}]({picture})\n"
        )
    return "\n".join([*parts, EPILOGUE])


PREFACE = """\
# From doubling rows and columns to a generator

**How does a small image become a large one inside a generator, and what can go wrong?** Twelve steps, each with its
code, its numbers and a picture. The code is stock Keras; nothing is trained.

```sh
python experiments/layers/walkthrough.py            # prints all of this, seconds
python experiments/layers/walkthrough.py --write    # makes this page and its pictures
```

This page is written by that command, and a test fails when it is no longer what the code gives. Each block
is the body of one function there; all of them use:

```python
import keras
import numpy as np

from ganlab.cli.hydra import plan
from ganlab.nets.generator import build_generator

{helpers}
```
"""

EPILOGUE = """\
## From here

Which of the two learns to make better images? That is what the rest of this repository is for:

```sh
python -m ganlab.train generator=upsample dataset.size=10 generator.latent_size=100 \\
  generator.base_filters=128 'generator.stages=[[null,2]]'
```
"""


def main() -> None:
    """Print every step and draw it; with --write also make the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="also write README.md")
    chosen = parser.parse_args()
    every = {}
    for step in STEPS:
        every[step] = numbers = step()
        draw(step, numbers)
        print(f"{title(step)}\n\n{story(step)}\n\n{textwrap.indent(code(step), '    ')}\n\n{say(numbers)}\n")
    if chosen.write:
        (HERE / "README.md").write_text(readme(every))


if __name__ == "__main__":
    main()
