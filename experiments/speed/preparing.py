"""What it takes to prepare the quick measures, once for a data set: seconds and peak memory by size of the images.

    python experiments/speed/preparing.py --npz cifar.npz

Each line is measured in a process of its own without TensorFlow, with an empty cache. Images are smooth random ones;
of an .npz file with x_train and x_test also its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from turns import spread, table, take_turns

if TYPE_CHECKING:
    from ganlab.evaluation.features import Features
    from ganlab.evaluation.protocols import Measures

SIZES = ((32, 50_000), (64, 20_000), (128, 5_000))  # sides, and numbers of training images


def smooth(side: int, count: int, seed: int) -> np.ndarray:
    """Colour images uint8 [count,side,side,3] with about the spectrum of photographs: noise on ever finer grids."""
    random, images = np.random.default_rng(seed), np.empty((count, side, side, 3), np.uint8)
    for start in range(0, count, 1000):
        block = np.full((min(1000, count - start), side, side, 3), 128, np.float32)
        grid = 2
        while grid <= side:
            enlarge = np.stack(
                [np.interp(np.linspace(0, grid - 1, side), np.arange(grid), row) for row in np.eye(grid)]
            )
            noise = random.standard_normal((len(block), grid, grid, 3), np.float32) * (80 / grid)
            block += np.einsum("ngkc,gy,kx->nyxc", noise, *[enlarge.astype(np.float32)] * 2, optimize=True)
            grid *= 2
        images[start : start + 1000] = np.clip(block, 0, 255)
    return images


def memory(which: str) -> float:
    """MB of this process: VmRSS now, VmHWM at most."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(which)]
    return int(line.split()[1]) / 1024


def prepare(folder: Path, mapped: bool) -> dict[str, Any]:
    """Seconds, memory and all values in this process."""
    from ganlab.evaluation.features import FEATURES, RealImages
    from ganlab.evaluation.protocols import Counts, Measures

    alone = memory("VmRSS")
    real = RealImages(*(np.load(folder / f"{name}.npy", "r" if mapped else None) for name in ("train", "held_out")))

    def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
        start, worked = time.perf_counter(), time.process_time()
        return work(), time.perf_counter() - start, time.process_time() - worked

    def measures() -> "tuple[Features, Measures]":
        features = FEATURES["pca"](real, say=lambda line: print(line, file=sys.stderr))
        return features, Measures("quick", [features], real, Counts(2000, 5))

    (features, quick), seconds, worked = timed(measures)
    peak = memory("VmHWM") - alone
    fake = np.ascontiguousarray(real.train[-quick.n_fake :, :, ::-1])
    found, once, _ = timed(lambda: quick([fake]))
    assert "tensorflow" not in sys.modules
    figures = {
        "prepared, s": seconds,
        "of one core, s": worked,
        "again, s": timed(measures)[1],
        "one evaluation, s": once,
        "pixels, MB": sum(each.nbytes for each in (real.train, real.held_out)) / 2**20,
        "peak memory with pixels, MB": peak,
    }
    values = {"generated": found.values, "real": quick.real_against_real, "nulls": quick.nulls}
    return {"figures": figures, "values": values, "facts": features.facts, "hash": quick.protocol["hash"]}


def draw(folder: Path, npz: Path | None) -> dict[str, Path]:
    """Put the images of each line into folders of their own."""
    places = {}

    def put(name: str, train: np.ndarray, held_out: np.ndarray) -> None:
        places[f"{name}, {len(train):,}"] = place = folder / name
        place.mkdir()
        np.save(place / "train.npy", train)
        np.save(place / "held_out.npy", held_out)

    if npz:
        with np.load(npz) as file:
            put(npz.stem, file["x_train"], file["x_test"])
    for side, count in SIZES:
        put(f"{side}x{side}x3", smooth(side, count, 0), smooth(side, count // 5, 1))
    return places


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--npz", type=Path, help="a file with x_train and x_test, uint8 [N,H,W,3]")
    parser.add_argument("--repeats", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--mapped", action="store_true", help="leave the pixels on the disk; then they count as used")
    parser.add_argument("--record", type=Path, help="a file for all that was found, the measures too, as JSON")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(prepare(chosen.one, chosen.mapped)))
        return
    with tempfile.TemporaryDirectory() as temporary:

        def ask(place: Path) -> dict[str, Any]:
            line = [sys.executable, __file__, "--one", str(place), *["--mapped"] * chosen.mapped]
            with tempfile.TemporaryDirectory() as cache:
                own = os.environ | {"GANLAB_CACHE": cache}
                return json.loads(subprocess.run(line, env=own, stdout=subprocess.PIPE, text=True, check=True).stdout)

        places = draw(Path(temporary), chosen.npz)
        said = take_turns({name: lambda place=place: ask(place) for name, place in places.items()}, chosen.repeats)
    if chosen.record:
        chosen.record.write_text(json.dumps(said, indent=1))
    heads = list(next(iter(said.values()))[0]["figures"])
    rows = [
        [name, *(spread([run["figures"][head] for run in runs], 1) for head in heads)] for name, runs in said.items()
    ]
    print("\n".join(table(("images", *heads), rows)))


if __name__ == "__main__":
    main()
