"""The pictures that a run writes: grids of samples, spectra and artifacts of real and generated images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial.distance import cdist

from ganlab.config import RunConfig
from ganlab.data.images import Images
from ganlab.evaluation.spectrum import Spectrum, phase_moments, radial_profile, strides
from ganlab.run.sampler import Sampler, with_classes
from ganlab.runs import grids

_SAMPLES, _NEAREST = 8, 5
_BYTES = 2**26  # of training images, as floats, that are compared at a time


def draw(real: Spectrum | None, fake: Spectrum | None, train: np.ndarray, samples: np.ndarray) -> dict[str, np.ndarray]:
    """`neighbours`: some samples with the training images nearest to them; where images have a spectrum also
    `spectrum`: its profile and both axes, and `means`: mean images and how strong detail is at each phase.

    train, samples: pixels uint8 [N,H,W,C].
    """
    pictures = {"neighbours": _neighbours(train, samples[:_SAMPLES])}
    if real is not None and fake is not None:
        # more marks would hide what they mark
        marked = [stride for stride in strides(*real.size) if real.side >= 4 * stride]
        pictures["spectrum"] = draw_spectrum(real, fake, marked)
        fits = [stride for stride in (2, 4) if all(side % stride == 0 and side >= 3 * stride for side in real.size)]
        phases = {stride: (phase_moments(real, stride), phase_moments(fake, stride)) for stride in fits}
        pictures["means"] = draw_means(real.mean, fake.mean, phases)
    return pictures


def _neighbours(train: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Nearest by the root mean squared difference of pixels, 0 ... 255."""
    vectors = samples.reshape(len(samples), -1).astype(np.float64)
    rows = max(1, _BYTES // (8 * vectors.shape[1]))
    blocks = (train[start : start + rows] for start in range(0, len(train), rows))
    distances = np.hstack([cdist(vectors, block.reshape(len(block), -1)) for block in blocks])
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :_NEAREST]
    distances = np.take_along_axis(distances, nearest, axis=1) / np.sqrt(vectors.shape[1])
    return draw_neighbours(samples, np.asarray(train[nearest]), distances)


# --- grids of samples, of a conditional run a row for each class ------------------------------------------------------


_COUNT = 64
_PER_CLASS = 8
_MOST_ROWS = 32
"""Up to so many classes a grid has a row each; with more, its images are a mixture in the training images' shares."""


def sample_grid(sampler: Sampler, config: RunConfig) -> np.ndarray:
    """A grid of the run's fixed latents, the same for all arms: uint8 [rows,across,C]."""
    if not _has_rows(config):
        return grids.grid(sampler.sample("latents/samples", _COUNT))
    labels = [label for label in range(config.classes) for _ in range(_PER_CLASS)]
    z = sampler.latents("latents/samples", len(labels))[:, : config.generator.latent_size]
    pixels = sampler.generate(with_classes(z, labels, config.classes))
    return grids.by_class(pixels, labels, range(config.classes), _PER_CLASS)


def real_grid(images: Images, config: RunConfig) -> np.ndarray:
    """A grid of real images in the same layout: uint8 [rows,across,C]."""
    if not _has_rows(config) or images.labels is None:
        return grids.grid(grids.some_of(images.pixels, _COUNT))
    places_by_class = [
        grids.some_of(np.flatnonzero(images.labels == label), _PER_CLASS) for label in range(config.classes)
    ]
    places = np.concatenate(places_by_class)
    return grids.by_class(images.pixels[places], images.labels[places], range(config.classes), _PER_CLASS)


def _has_rows(config: RunConfig) -> bool:
    return 1 < config.classes <= _MOST_ROWS


# --- spectra and artifacts, uint8 [H,W,3] -----------------------------------------------------------------------------


_REAL, _FAKE = "#0072B2", "#D55E00"  # blue and vermilion: apart for every kind of colour blindness, and in grey
_MARKS = {2: ("o", 9, "○"), 4: ("s", 8, "□"), 8: ("D", 5, "◇")}  # shape, points, sign
_WIDE = 7.6  # inches of 100 pixels: letters stay legible where a card shows half of it
_DECADES = 6  # that shades can tell apart; weaker power is shown as the darkest


def draw_spectrum(real: Spectrum, fake: Spectrum, strides: Sequence[int] = (2, 4)) -> np.ndarray:
    """Profiles above, spectra below: about 760 x 720, for TensorBoard's `spectrum`.

    Above: power by cycles per pixel, each with the band of its single images, which is their spread, not the error of
    the mean. Below: log power over both frequencies, and its signed difference; strides: of 2, 4 and 8, those whose
    lattice bins are marked.
    """
    figure = _figure(7.2)
    top, bottom = figure.subfigures(2, 1, height_ratios=[4.2, 3.0])
    _profiles(top, real, fake)
    _powers(bottom, real, fake, strides)
    return grids.render(figure)


def draw_means(
    real_mean: np.ndarray, fake_mean: np.ndarray, moments: Mapping[int, tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """What all images share: mean images, their difference, and the strength of detail by phase; about 760 wide.

    real_mean, fake_mean: luminance [H,W]. moments: for each stride the second moment of detail by phase, real and
    fake, each [stride,stride].
    """
    figure = _figure(2.8 + (2.1 if moments else 0))
    top, bottom = figure.subfigures(2, 1, height_ratios=[2.8, 2.1]) if moments else (figure, figure)
    axes = top.subplots(1, 3)
    limits = min(real_mean.min(), fake_mean.min()), max(real_mean.max(), fake_mean.max())
    for axis, mean, name in ((axes[0], real_mean, "mean real image"), (axes[1], fake_mean, "mean fake image")):
        image = _map(axis, mean, name, "gray", limits)
    _bar(top, image, axes[:2])
    difference = fake_mean - real_mean
    limit = np.abs(difference).max() or 1.0
    _bar(top, _map(axes[2], difference, "fake - real", "PuOr_r", (-limit, limit)), axes[2])
    if moments:
        axes = bottom.subplots(1, 2 * max(3, len(moments)))
        for unused in axes[2 * len(moments) :]:
            unused.set_axis_off()
        for place, (stride, pair) in enumerate(moments.items()):
            relative = [moment / (moment.mean() or 1.0) for moment in pair]
            for axis, values, name in zip(axes[2 * place :], relative, ("real", "fake"), strict=False):
                _phases(axis, values, f"stride {stride}, {name}", max(map(np.max, relative)))
        bottom.supxlabel("second moment of fine detail by phase, relative to its mean", fontsize=12)
    return grids.render(figure)


def draw_neighbours(samples: np.ndarray, nearest: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Each row a sample and, right of a bar, its nearest training images with their distances below.

    samples: uint8 [N,H,W,C]. nearest: uint8 [N,k,H,W,C], closest first. distances: [N,k], of any kind.
    Pixels become squares; nothing is interpolated.
    """
    rows, columns, height, width, _ = nearest.shape
    enlarge = max(1, -(-64 // width))  # so that a distance fits below
    tall, wide, gap, line, head = enlarge * height, enlarge * width, 8, 20, 24
    lefts = [gap, *(3 * gap + (wide + gap) * column for column in range(1, columns + 1))]
    canvas = Image.new("RGB", (lefts[-1] + wide + gap, head + rows * (tall + line) + gap), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)

    def write(text: str, left: int, middle: float) -> None:
        pen.text((left + wide / 2, middle), text, fill="black", font=font, anchor="mm")

    for left, text in zip(lefts, ("sample", "nearest", *map(str, range(2, columns + 1))), strict=False):
        write(text, left, head / 2)
    for row in range(rows):
        top = head + row * (tall + line)
        for left, image in zip(lefts, [samples[row], *nearest[row]], strict=True):
            tile = image.repeat(enlarge, axis=0).repeat(enlarge, axis=1)
            canvas.paste(Image.fromarray(np.broadcast_to(tile, (tall, wide, 3))), (left, top))
        for left, distance in zip(lefts[1:], distances[row], strict=True):
            write(f"{distance:.3g}", left, top + tall + line / 2)
    bar = lefts[1] - 2 * gap
    pen.rectangle((bar, head, bar + 1, canvas.height - line - gap - 1), fill="black")
    return np.asarray(canvas)


def draw_raster(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Log power of real and fake side by side in grey, drawn in a millisecond: a view during training.

    real, fake: [H,W], in the order of `numpy.fft.fftfreq`; the mean, which has none, is in the middle. White is the
    strongest of both, black a millionth of it.
    """
    logs = np.stack([np.fft.fftshift(log) for log in _logs(real, fake)])
    span = (logs - logs.max() + _DECADES) / _DECADES
    pixels = np.rint(255 * span).astype(np.uint8)[..., None]
    return grids.grid(pixels, columns=2).repeat(3, axis=2)


def _profiles(part: Any, real: Spectrum, fake: Spectrum) -> None:
    axis = part.subplots()
    side = min(real.power.shape)
    cycles = np.arange(1, side // 2 + 1) / side
    profiles = radial_profile(real.power), radial_profile(fake.power)
    floor = 10.0**-_DECADES * max(map(np.max, profiles)) or 1.0

    def logs(power: np.ndarray) -> np.ndarray:
        return np.log10(np.maximum(power[..., 1:], floor))

    every = max(1, side // 32)
    axis.fill_between(cycles, *logs(real.band), color=_REAL, alpha=0.2, linewidth=0, label="95 % of single real images")
    styles = (("real", real.count, "-o", _REAL, 8), ("fake", fake.count, "--^", _FAKE, 5))
    for profile, (name, images, style, color, size) in zip(profiles, styles, strict=True):
        label = f"{name}, mean of {images:,}"
        axis.plot(cycles, logs(profile), style, color=color, label=label, markersize=size, markevery=every)
    for edge, name in zip(logs(fake.band), ("95 % of single fake images", None), strict=True):
        axis.plot(cycles, edge, ":", color=_FAKE, label=name, linewidth=1.8)
    for period in (8, 4, 2):
        axis.axvline(1 / period, color="0.6", linewidth=0.8, zorder=0)
    axis.set_xlim(0, 0.51)
    axis.set_xlabel("cycles per pixel", fontsize=12)
    axis.set_ylabel("log10 power", fontsize=12)
    axis.tick_params(labelsize=11)
    top = axis.secondary_xaxis("top")
    top.set_xticks([1 / 8, 1 / 4, 1 / 2], ["8 px", "4 px", "2 px"], fontsize=11)
    part.legend(loc="outside upper center", ncols=2, fontsize=12, frameon=False)


def _powers(part: Any, real: Spectrum, fake: Spectrum, strides: Sequence[int]) -> None:
    size = real.power.shape
    axes = part.subplots(1, 3)
    logs = _logs(real.power, fake.power)
    difference = logs[1] - logs[0]
    logs[:, 0, 0] = np.nan  # the mean has no power
    limits = np.nanmin(logs), np.nanmax(logs)
    for axis, log, name in ((axes[0], logs[0], "real"), (axes[1], logs[1], "fake")):
        image = _map(axis, _centred(log), f"{name}\nlog10 power", "magma", limits, size)
    _bar(part, image, axes[:2])
    limit = max(0.3, float(np.quantile(np.abs(difference), 0.99)))
    image = _map(axes[2], _centred(difference), "log10 fake/real", "PuOr_r", (-limit, limit), size)
    _bar(part, image, axes[2], extend="both" if np.abs(difference).max() > limit else "neither")
    for stride in strides:
        shape, size, _ = _MARKS[stride]
        for axis in axes:
            for color, width in (("black", 2.2), ("white", 1.0)):  # one of them is seen on any shade
                axis.plot(*_lattice(stride), shape, ms=size, mfc="none", mec=color, mew=width, clip_on=False, zorder=3)
    names = [f"{_MARKS[stride][2]} lattice of stride {stride}" for stride in strides]
    part.supxlabel("; ".join(["cycles per pixel, both ways", *names]), fontsize=11)


def _lattice(stride: int) -> np.ndarray:
    """Multiples of 1/stride that are none of half the stride, ends included: [2,marks], cycles per pixel."""
    steps = np.indices((stride + 1, stride + 1)).reshape(2, -1) - stride // 2
    return steps[:, (steps % 2).any(axis=0)] / stride


def _centred(power: np.ndarray) -> np.ndarray:
    """The mean in the middle; along even sides the Nyquist frequency at both ends: [N,N] -> [N+1,N+1]."""
    return np.pad(np.fft.fftshift(power), [(0, 1 - side % 2) for side in power.shape], mode="wrap")


def _logs(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """log10 of both, [2,H,W], at most six decades below the maximum."""
    powers = np.stack([real, fake]).astype(np.float64)
    return np.log10(np.maximum(powers, 10.0**-_DECADES * powers.max() or 1.0))


def _map(
    axis: Any, values: np.ndarray, title: str, colours: str, limits: tuple, size: tuple[int, ...] | None = None
) -> Any:
    """Shades of values; with a `size`, of a centred spectrum of images of that size, over its frequencies."""
    extent = None
    if size is not None:
        down, across = (0.5 if side % 2 else 0.5 + 0.5 / side for side in size)
        extent = (-across, across, down, -down)
    image = axis.imshow(values, colours, vmin=limits[0], vmax=limits[1], extent=extent, interpolation="nearest")
    axis.set_title(title, fontsize=11, pad=9)
    ticks = [-0.5, -0.25, 0, 0.25, 0.5] if size else []
    names = ["−½", "−¼", "0", "¼", "½"] if size else []
    axis.set_xticks(ticks, names)
    axis.set_yticks(ticks, names if axis.get_subplotspec().is_first_col() else [""] * len(names))
    axis.tick_params(labelsize=11)
    return image


def _phases(axis: Any, values: np.ndarray, title: str, top: float) -> None:
    ratio = f"{values.max() / values.min():.2f}" if values.min() > 0 else "infinite"
    _map(axis, values, f"{title}\nmax/min {ratio}", "Blues", (0, 1.25 * top))
    if len(values) <= 4:
        for (row, column), value in np.ndenumerate(values):
            color = "white" if value > 0.75 * top else "black"
            size = 14 if len(values) == 2 else 7.5
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=size)


def _bar(part: Any, image: Any, axes: Any, extend: str = "neither") -> None:
    part.colorbar(image, ax=axes, shrink=0.75, pad=0.02, extend=extend).ax.tick_params(labelsize=10)


def _figure(height: float) -> Any:
    from matplotlib.figure import Figure  # half a second

    return Figure(figsize=(_WIDE, height), dpi=100, layout="constrained")
