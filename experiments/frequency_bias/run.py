"""Which frequencies does a generator learn first? The generator testbed of Schwarz, Liao and Geiger (2021), reduced.

    python experiments/frequency_bias/run.py            all arms, eight seeds, on one thread
    python experiments/frequency_bias/run.py --write    and puts the figure and the tables into README.md

Runs that stand in results.json are not made again. No GAN: a generator learns ten toy images by heart, by squared
error, so that only the operator and the descent decide which frequencies come when.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from ganlab import device

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "metrics"))

from page import machine  # noqa: E402 - found there

RESULTS = HERE / "results.json"
SIDE, IMAGES, LATENT, WIDTH, BASE = 32, 10, 64, 32, 4
BANDS = ((0.05, 0.15), (0.75, 0.85))
RATE = 1e-3
EVERY = 20
ARMS = {
    "nearest": ("nearest", {}),
    "bilinear": ("bilinear", {}),
    "zeros": ("transpose", {"kernel_size": 3}),
    "shuffle": ("pixel_shuffle", {}),
    "transpose": ("transpose", {"kernel_size": 4}),
    "transpose_resize": ("transpose", {"kernel_size": 4, "init": "resize"}),
    "shuffle_icnr": ("pixel_shuffle", {"icnr": True}),
    "fir": ("fir", {}),
}
"""Arm: operator and settings. The first four are Schwarz's; kernel 3 where nothing else is said."""


def toy_images(seed: int) -> np.ndarray:
    """Ten images [10,32,32,1] that hold power in two rings of the spectrum only; the largest pixel of each is +-1.

    Each ring has a radius of f sqrt(2) times the Nyquist frequency, f uniform in its band, a Gaussian profile of the
    magnitude with deviation 2/64, and random phases. Rings are drawn on 64x64 pixels, scaled to unit deviation, summed,
    and cut to the middle 32x32, so that frequencies do not fall on the grid. The outer ring lies beyond the Nyquist
    frequency of the axes, in the corners of the spectrum.
    """
    random, size = np.random.default_rng([seed, 0]), 2 * SIDE
    axis = np.fft.fftfreq(size) * 2  # 1 is the Nyquist frequency
    radius = np.hypot(axis[:, None], axis[None, :])
    images = np.zeros((IMAGES, size, size))
    for image in images:
        for low, high in BANDS:
            ring = np.exp(-(((radius - random.uniform(low, high) * np.sqrt(2)) * size / 2) ** 2) / 2)
            noise = np.fft.fft2(random.normal(size=(size, size)))  # of a real image, so its phases fit each other
            wave = np.fft.ifft2(ring * noise / np.abs(noise)).real
            image += wave / wave.std()
    images = images[:, SIDE // 2 : -SIDE // 2, SIDE // 2 : -SIDE // 2, None]
    return (images / np.abs(images).max((1, 2, 3), keepdims=True)).astype("float32")


def high_band() -> np.ndarray:
    """Which bins of the DFT lie farther than half the Nyquist frequency from the mean, [32,32]."""
    axis = np.fft.fftfreq(SIDE) * SIDE
    return np.hypot(axis[:, None], axis[None, :]) > SIDE / 4


def spectra(images: np.ndarray) -> np.ndarray:
    """Discrete Fourier transforms [B,32,32] of images [B,32,32,1]."""
    return np.fft.fft2(np.asarray(images, "float64")[..., 0])


def band_errors(drawn: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Power of the difference by that of the targets, in the low and in the high band: 0 learned, 1 nothing yet."""
    wrong, there = np.abs(spectra(drawn) - spectra(targets)) ** 2, np.abs(spectra(targets)) ** 2
    low, high = (float(wrong[:, band].sum() / there[:, band].sum()) for band in (~high_band(), high_band()))
    return low, high


def nyquist_peak(drawn: np.ndarray) -> float:
    """Power at the three bins of the stride-2 lattice by that of the high band, means of both over bins and images."""
    power = np.mean(np.abs(spectra(drawn)) ** 2, axis=0)
    half = SIDE // 2
    return float(np.mean([power[0, half], power[half, 0], power[half, half]]) / power[high_band()].mean())


def build(arm: str, seed: int):
    """Latents [B,64] -> images [B,32,32,1]: dense to 4x4x32, three times (operator, conv 3), conv 1, leaky ReLU 0.2.

    Kernels of equal shape start equal in every arm.
    """
    import keras

    from ganlab.nets.initializers import gain_of, initializer
    from ganlab.nets.upsampling import UPSAMPLERS

    seeds = iter(range(100 * seed, 100 * seed + 100))

    def drawn(fan_in: int, gain: float):
        return initializer("matched", fan_in, gain=gain, seed=next(seeds))

    def convolve(maps, filters: int, size: int, gain: float):
        draw = drawn(size * size * WIDTH, gain)
        return keras.layers.Conv2D(filters, size, padding="same", kernel_initializer=draw)(maps)

    operator, settings = ARMS[arm]
    settings = {"kernel_size": 3, "gain": gain_of(0.2), **settings}
    latents = keras.Input((LATENT,))
    maps = keras.layers.Dense(BASE * BASE * WIDTH, use_bias=False, kernel_initializer=drawn(LATENT, 1.0))(latents)
    maps = keras.layers.Reshape((BASE, BASE, WIDTH))(maps)
    while maps.shape[1] < SIDE:
        maps = keras.layers.LeakyReLU(0.2)(UPSAMPLERS[operator](WIDTH, seed=next(seeds), **settings)(maps))
        maps = keras.layers.LeakyReLU(0.2)(convolve(maps, WIDTH, 3, gain_of(0.2)))
    return keras.Model(latents, convolve(maps, 1, 1, 1.0))


def learn(arm: str, seed: int, steps: int = 800) -> dict:
    """Learn the toy images of a seed from its latents, all ten in each step: errors by step, and the power before.

    Adam with rate 0.001 on the mean squared error. The images and latents of a seed are the same for every arm.
    """
    import keras
    import tensorflow as tf

    targets = toy_images(seed)
    latents = np.random.default_rng([seed, 1]).normal(size=(IMAGES, LATENT)).astype("float32")
    generator = build(arm, seed)
    optimizer = keras.optimizers.Adam(RATE, epsilon=1e-8)
    optimizer.build(generator.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((generator(latents, training=True) - targets) ** 2)
        weights = generator.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    before = np.asarray(generator(latents))
    errors = {0: band_errors(before, targets)}
    start = time.perf_counter()
    for number in range(1, steps + 1):
        step()
        if number % EVERY == 0 or number == steps:
            errors[number] = band_errors(np.asarray(generator(latents)), targets)
    return {
        "arm": arm,
        "seed": seed,
        "parameters": generator.count_params(),
        "nyquist_peak": nyquist_peak(before),
        "steps": list(errors),
        "low": [round(low, 5) for low, _ in errors.values()],
        "high": [round(high, 5) for _, high in errors.values()],
        "seconds": round(time.perf_counter() - start, 1),
    }


def read(path: Path, steps: int) -> dict:
    """What a file of results holds: the machine that made them, and the runs; none where there is no file."""
    if not path.exists():
        return {"machine": machine("tensorflow", "keras", "numpy"), "runs": []}
    held = json.loads(path.read_text())
    others = {run["steps"][-1] for run in held["runs"]} - {steps}
    if others:
        raise SystemExit(f"--steps={steps} but {path} has runs of {sorted(others)}; use these, or another --results")
    return held


def save(path: Path, held: dict) -> None:
    """One line for each run; a file that is being written never stands in the place of the old one."""
    runs = ",\n".join(json.dumps(run) for run in held["runs"])
    beside = path.with_suffix(".part")
    beside.write_text(f'{{"machine": {json.dumps(held["machine"])}, "runs": [\n{runs}\n]}}\n')
    beside.replace(path)


def main() -> None:
    """Make the runs that are missing; with --write put what they say into README.md."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)), help="default: 0 to 7")
    parser.add_argument("--steps", type=int, default=800, help="default: %(default)s")
    parser.add_argument("--arms", choices=ARMS, nargs="+", default=list(ARMS), help="default: all of them")
    parser.add_argument("--results", type=Path, default=RESULTS, help="default: %(default)s")
    parser.add_argument("--write", action="store_true", help="put figure and tables into README.md")
    chosen = parser.parse_args()
    held = read(chosen.results, chosen.steps)
    there = {(run["arm"], run["seed"]) for run in held["runs"]}
    wanted = [(arm, seed) for seed in chosen.seeds for arm in chosen.arms if (arm, seed) not in there]
    if wanted:
        device.start("float32", threads=1)
    start = time.perf_counter()
    for number, (arm, seed) in enumerate(wanted, start=1):
        run = learn(arm, seed, chosen.steps)
        held["runs"].append(run)
        save(chosen.results, held)
        left = (time.perf_counter() - start) / number * (len(wanted) - number) / 60
        errors = f"low {run['low'][-1]:.4f}, high {run['high'][-1]:.4f}"
        print(f"{number} of {len(wanted)}: {arm}, seed {seed}: {errors}; {left:.0f} minutes left", flush=True)
    if chosen.write:
        from tell import tell

        tell(held)


if __name__ == "__main__":
    main()
