"""A study as a sweep leaves it, without training: results, curves and samples whose numbers are known functions."""

import json
from pathlib import Path

import numpy as np

from ganlab.runs import grids

ARMS = {
    "transpose": (4, 1.0),
    "upsample": (3, 1.3),
    "upsample_bilinear": (3, 0.8),
    "transpose_k3": (3, 1.0),
    "pixel_shuffle": (3, 1.02),
    "fir": (3, 0.7),
    "carafe": (3, 1.1),
}
STEPS = (250, 500, 1000, 2000, 4000)
PROTOCOL = {"name": "quick", "n_real": 359, "n_fake": 359, "features": "pca", "split": "held_out", "hash": "abc"}
QUICK = ("frechet_distance", "kernel_distance", "coverage", "recall", "spectral_distance", "checkerboard_index_2")


REAL = np.random.default_rng(7).integers(0, 255, (64, 8, 8, 1), dtype=np.uint8)


def settings(name, seed, **comparison):
    return {
        "seed": seed,
        "study": "made",
        "generator": {"name": name, "upsampling": {"name": name, "kernel_size": ARMS[name][0]}},
        "dataset": {"name": "digits", "path": "/somewhere/else/digits.npz"},
        "training": {"steps": 4000, "batch_size": 64, "deterministic": False},
        "comparison": comparison,
    }


def value(metric, factor, noise, done=1.0):
    """A metric of an arm that is `factor` as bad, after a share of training."""
    late = factor * np.exp(0.05 * noise) * (1 + 3 * (1 - done))
    if metric.endswith(("coverage", "recall", "precision", "density")):
        return float(0.8 / late)
    if "checkerboard" in metric:
        return float(0.2 * (factor - 1) + 0.03 * noise)
    return float(late)


class Made:
    """Writes runs into folders; what is left out of one can be chosen."""

    def __init__(self, directory: Path):
        self.directory = directory

    def run(
        self,
        arm,
        seed,
        *,
        status="finished",
        metrics=QUICK,
        curves=True,
        samples=True,
        real=False,
        facts=True,
        **comparison,
    ):
        folder = self.directory / f"{arm}-seed{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        factor, place = ARMS[arm][1], list(ARMS).index(arm)
        random = np.random.default_rng([seed, place])
        noise = dict(zip(metrics, random.normal(size=len(metrics)), strict=True))
        result = {"status": status, "variant": arm, "seed": seed, "config": settings(arm, seed, **comparison)}
        if status == "finished":
            result |= {"metrics": {name: value(name, factor, noise[name]) for name in metrics}, "protocol": PROTOCOL}
        if facts:
            profile = np.linspace(10, 1, 5)
            result |= {
                "parameters": {"generator": 30_000 + 4_000 * place, "discriminator": 1},
                "macs": {"generator": 150_000 - 9_000 * place, "generator_as_written": 160_000, "discriminator": 1},
                "images_seen": 256_000,
                "seconds": 60.0 + 3 * place + seed / 10,
                "images_per_second": 4000.0,
                "versions": {"ganlab": "0.1.0", "keras": "3.15.1"},
                "device": "cpu: made up, float32",
                "real_against_real": dict.fromkeys(metrics, 0.36),
                "nulls": {"frechet_distance": 0.3},
                "profiles": {
                    "real": list(profile),
                    "generated": list(profile * factor * np.exp(0.1 * random.normal(size=5))),
                },
            }
        (folder / "result.json").write_text(json.dumps(result))
        if curves and status == "finished":
            lines = []
            for step in STEPS:
                found = {f"metric/{name}": value(name, factor, noise[name], step / STEPS[-1]) for name in metrics[:6]}
                lines.append({"step": step, "images": 64 * step, "seconds": step / 60 + place} | found)
                lines.append({"step": step, "images": 64 * step, "seconds": step / 60, "loss/generator": float("nan")})
            (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        if samples and status == "finished":
            pixels = random.integers(0, 255, (64, 8, 8, 1), dtype=np.uint8)
            for step in (0, 4000):
                grids.save_png(folder / "samples" / f"step-{step:08d}.png", grids.grid(pixels))
            if real:
                grids.save_png(folder / "samples" / "real.png", grids.grid(REAL))
        return folder

    def arms(self, names, seeds, **more):
        for arm in names:
            for seed in range(seeds):
                self.run(arm, seed, **more)
