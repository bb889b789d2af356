"""What a generator is made of, and what its operator does: the numbers behind `ganlab.inspect`. Nothing is trained."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import keras
import numpy as np

from ganlab.config import Generator, Pair, pair
from ganlab.nets.cost import multiplications
from ganlab.nets.fields import scale_of, seen_by, sources
from ganlab.nets.upsampling import UPSAMPLERS, transposed_kernel
from ganlab.nets.upsampling.layers import BilinearConv2D, Carafe2D, FirConv2D, NearestConv2D, PixelShuffle2D

ops: Any = keras.ops  # what a type checker infers of it, over all backends, is wrong
TWO_BY_TWO = np.array([[1.0, 2.0], [3.0, 4.0]])
_LOUD = 100.0  # a bias that makes a softmax choose: exp(-100) is nothing beside 1


class Part(NamedTuple):
    """One layer of a generator. What it lacks is empty, None or 0.

    sees: how many pixels of the base map, vertical and horizontal, the best-connected pixel of this layer's output is
    computed from; the base map's border, which may leave fewer, is not regarded. deviation: standard deviation of
    all its outputs over the latents that were given.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    kernel: str
    parameters: int
    written: int
    executed: int
    sees: Pair | None
    deviation: float


class Phases(NamedTuple):
    """What an operator makes of its phases, the scale x scale positions that repeat over its output.

    variance: of an output pixel where the input is white noise of variance 1, mean over channels, [sy,sx].
    sums: what each input channel of ones gives in each output channel, far from the border and without the bias,
    [sy,sx,Co,Ci]: a kernel of the size of the scale, as `lattice_fraction` takes it.
    """

    variance: np.ndarray
    sums: np.ndarray


# --- the network ----------------------------------------------------------------------------------------------------


def parts(generator: keras.Model, latents: np.ndarray) -> list[Part]:
    """The layers from the first weights to the image, in order; latents [B,Z] decide the deviations."""
    layers = [layer for layer in generator.layers if not isinstance(layer, keras.layers.InputLayer)]
    outputs = keras.Model(generator.inputs[0], [layer.output for layer in layers])(latents, training=False)
    found = []
    for layer, output in zip(layers, outputs, strict=True):
        values = np.asarray(ops.convert_to_numpy(ops.cast(output, "float32")), np.float64)
        cost = multiplications(SimpleNamespace(layers=[layer]))  # type: ignore[arg-type] - it reads nothing else
        found.append(
            Part(
                layer.name,
                _kind(layer),
                tuple(layer.output.shape[1:]),
                _kernel(layer),
                layer.count_params(),
                cost.written,
                cost.executed,
                seen_by(generator, layer) if values.ndim == 4 else None,
                float(values.std()),
            )
        )
    return found


def stages_of(generator: keras.Model) -> list[Any]:
    """The operators in a generator, first to last."""
    return [layer for layer in generator.layers if layer.name.startswith("stage")]


def equals(layer: Any) -> str:
    """What an operator is in layers that people know, as a sentence; empty where its kind says so already."""
    if isinstance(layer, NearestConv2D) and layer.implementation == "fused":
        return (
            "NearestConv2D = UpSampling2D (nearest) + Conv2D, fused: both at once, as the transposed convolution that "
            "gives the same image and the same gradients."
        )
    if isinstance(layer, FirConv2D):
        fused = ", fused into one transposed convolution" if layer.implementation == "fused" else ""
        return f"FirConv2D = zeros between the pixels, a smoothing filter along both axes, Conv2D{fused}."
    if isinstance(layer, PixelShuffle2D):
        return "PixelShuffle2D = Conv2D to as many channels for each output pixel, laid out as pixels (depth to space)."
    if isinstance(layer, Carafe2D):
        return "Carafe2D = weights read off the image by two Conv2D, weighted means of neighbourhoods, Conv2D."
    return ""


def _kind(layer: Any) -> str:
    kind = type(layer).__name__
    if kind == "Activation":
        return layer.activation.__name__
    if isinstance(layer, NearestConv2D):
        return "UpSampling2D + Conv2D" + (", fused" if layer.implementation == "fused" else "")
    if isinstance(layer, BilinearConv2D):
        return "UpSampling2D (bilinear) + Conv2D"
    return f"{kind}, {layer.implementation}" if hasattr(layer, "implementation") else kind


def _kernel(layer: Any) -> str:
    if not hasattr(layer, "kernel_size"):
        return ""
    if getattr(layer, "implementation", "plain") == "fused":
        return f"{_times(layer.kernel_size)} as {_times(transposed_kernel(layer).shape[:2])}"
    return _times(layer.kernel_size)


def _times(size: Any) -> str:
    return f"{size[0]}×{size[1]}"


# --- the operator ---------------------------------------------------------------------------------------------------


def operator(settings: Generator, channels: int, filters: int, *, scale: Pair, seed: int = 0, use_bias: bool = False):
    """The operator of a generator's settings by itself, built for images of any size: [B,H,W,channels] -> filters."""
    options = settings.upsampling.model_dump()
    layer = UPSAMPLERS[options.pop("name")](filters, scale=scale, seed=seed, use_bias=use_bias, **options)
    layer.build((None, None, None, channels))
    return layer


def with_a_single_one(settings: Generator, scale: Pair) -> Any:
    """The operator with weights that change nothing: a kernel of zeros with one 1, where the pixel meets itself.

    What is left is how it enlarges: repeated, interpolated, or set between zeros (transpose). Pixel shuffle has the 1
    in every phase, and carafe is made to choose the source pixel itself.
    """
    layer = operator(settings, 1, 1, scale=scale)
    kernel = np.zeros(layer.kernel.shape, np.float32)
    places = [(k - 1) // 2 for k in kernel.shape[:2]]
    if isinstance(layer, keras.layers.Conv2DTranspose):
        places = [max(k - s, 0) // 2 for k, s in zip(kernel.shape[:2], scale, strict=True)]
    kernel[places[0], places[1]] = 1
    layer.kernel.assign(kernel)
    if isinstance(layer, Carafe2D):
        near = layer.neighbourhood**2
        choice = np.zeros((layer.phases, near), np.float32)
        choice[:, near // 2] = _LOUD
        layer.encoder.assign(np.zeros(layer.encoder.shape, np.float32))
        layer.encoder_bias.assign(choice.ravel())
    return layer


def with_all_ones(settings: Generator, scale: Pair) -> Any:
    """The operator with every weight 1 and no bias."""
    layer = operator(settings, 1, 1, scale=scale)
    for weight in layer.weights:
        weight.assign(np.full(weight.shape, "bias" not in weight.name, np.float32))
    return layer


def enlarge(layer: Any, image: np.ndarray) -> np.ndarray:
    """One image through an operator of one channel: [H,W] -> [sH,sW]."""
    return ops.convert_to_numpy(layer(np.asarray(image, np.float32)[None, :, :, None]))[0, :, :, 0]


def overlap(settings: Generator, scale: Pair, side: int) -> np.ndarray:
    """How many taps of the kernel reach each output pixel of a side x side image without zeros: whole [s*side,s*side].

    Counted one tap at a time: a kernel with a single 1 reaches a pixel if it makes it anything but 0. For operators
    that enlarge before they convolve, the taps are those of the convolution.
    """
    taps = int(np.prod(pair(settings.upsampling.kernel_size)))
    layer = operator(settings, 1, taps, scale=scale)
    size = layer.kernel.shape[:2]
    single = np.eye(taps, dtype=np.float32).reshape(*size, 1, taps)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        single = single.transpose(0, 1, 3, 2)
    elif isinstance(layer, PixelShuffle2D):
        single = np.tile(single, (1, 1, 1, layer.phases))  # phase-major: every phase has each tap once
    layer.kernel.assign(single)
    reached = ops.convert_to_numpy(layer(np.ones((1, side, side, 1), np.float32)))[0]
    return np.count_nonzero(np.abs(reached) > 1e-6, axis=-1)


def reach(layer: Any) -> int:
    """From how many input pixels away an output pixel sees: what is nearer to the border is affected by it."""
    distance = 0
    for axis, s in enumerate(scale_of(layer)):
        for pixel in range(s):
            low, high = sources(layer, axis, pixel, pixel)
            distance = max(distance, -low, high)
    return distance


def inside(values: np.ndarray, scale: Pair) -> np.ndarray:
    """The phases at the middle of a map of an odd number of input pixels: [sH,sW,...] -> [sy,sx,...]."""
    top, left = (n // s // 2 * s for n, s in zip(values.shape[:2], scale, strict=True))
    return values[top : top + scale[0], left : left + scale[1]]


def phases(layer: Any) -> Phases:
    """From the kernel where the operator is a transposed convolution, exactly; else measured (carafe, even kernels)."""
    try:
        kernel = transposed_kernel(layer).astype(np.float64)
    except ValueError:
        return measured_phases(layer)
    scale = scale_of(layer)
    first = [max(k - s, 0) // 2 for k, s in zip(kernel.shape[:2], scale, strict=True)]
    variance, sums = np.zeros(scale), np.zeros((*scale, *kernel.shape[2:]))
    for y, x in np.ndindex(*scale):
        taps = kernel[(y + first[0]) % scale[0] :: scale[0], (x + first[1]) % scale[1] :: scale[1]]
        variance[y, x] = np.mean(np.sum(taps**2, axis=(0, 1, 3)))
        sums[y, x] = taps.sum(axis=(0, 1))
    return Phases(variance, sums)


def measured_phases(layer: Any, images: int = 8) -> Phases:
    """The same by trying: white noise for the variance, flat images of one channel each for the sums."""
    scale, border = scale_of(layer), reach(layer)
    channels = layer.kernel.shape[3 if isinstance(layer, keras.layers.Conv2DTranspose) else 2]

    def respond(inputs: np.ndarray) -> np.ndarray:
        unmoved = layer(np.zeros_like(inputs[:1]))
        outputs = ops.convert_to_numpy(layer(inputs)) - ops.convert_to_numpy(unmoved)
        return outputs.astype(np.float64)

    side = 2 * border + 1
    flat = np.zeros((channels, side, side, channels), np.float32)
    flat[np.arange(channels), :, :, np.arange(channels)] = 1
    sums = inside(respond(flat).transpose(1, 2, 3, 0), scale)
    side = 2 * border + 6
    noise = np.random.default_rng(0).normal(size=(images, side, side, channels)).astype(np.float32)
    first, last = np.multiply(border, scale), np.multiply(side - border, scale)
    heard = respond(noise)[:, first[0] : last[0], first[1] : last[1]]
    variance = np.zeros(scale)
    for y, x in np.ndindex(*scale):
        variance[y, x] = np.mean(heard[:, y :: scale[0], x :: scale[1]] ** 2)
    return Phases(variance, sums)


def draws(settings: Generator, scale: Pair, count: int, channels: int = 32) -> list[Phases]:
    """The phases of an operator as it is before training, drawn anew `count` times: seeds 0, 1, ..."""
    return [phases(operator(settings, channels, channels, scale=scale, seed=seed)) for seed in range(count)]
