"""What images of one's own cost: decoding a large folder once, and reading it from the disk in every step.

    python experiments/speed/images.py                      # 200,000 files of 64x64, ten minutes on two idle cores
    python experiments/speed/images.py --files 2000 --rounds 1      # does everything run?

Files are rendered into --folder first (kept for the next time). Decoding is measured in a process of its own with an
empty cache; its memory is that of all processes together. Steps are those of dcgan_32 widened for 64x64 RGB images:
streamed from the disk, and from as many random pixels that lie on the device, by turns.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from costs import network
from PIL import Image
from turns import ratios, spread, table, take_turns

SIDE, FOLDERS = 64, 10
_SETTINGS = [*network(SIDE, 1), "dataset=folder", "dataset.channels=3"]


def render(folder: Path, first: int, count: int) -> None:
    """Smooth colour images with a little grain, so that a PNG is about as large as that of a photograph."""
    random = np.random.default_rng(first)
    for number in range(first, first + count):
        small = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8)).resize(
            (SIDE, SIDE), Image.Resampling.BICUBIC
        )
        grain = random.integers(-4, 5, (SIDE, SIDE, 3))
        pixels = np.clip(np.asarray(small, np.int16) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / str(number % FOLDERS) / f"{number:06d}.png", compress_level=1)


def render_all(folder: Path, count: int) -> None:
    """The files that are missing."""
    if (folder / "rendered").exists():
        return
    for number in range(FOLDERS):
        (folder / str(number)).mkdir(parents=True, exist_ok=True)
    block = 2000
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(
            render, *zip(*[(folder, n, min(block, count - n)) for n in range(0, count, block)], strict=True)
        ):
            pass
    (folder / "rendered").touch()


def family_memory(process: int) -> float:
    """MB that a process and its children have resident, pages that they share counted once each (PSS)."""
    total, todo = 0.0, [process]
    while todo:
        number = todo.pop()
        try:
            lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
            todo += map(int, Path(f"/proc/{number}/task/{number}/children").read_text().split())
        except OSError:
            continue
    return total


def prepare(folder: Path) -> tuple[float, float]:
    """Seconds to look into and decode everything with an empty cache, and the peak of memory in MB."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as cache:
        line = [sys.executable, __file__, "--prepare", str(folder)]
        start, peak = time.perf_counter(), 0.0
        child = subprocess.Popen(line, env=os.environ | {"GANLAB_CACHE": cache}, stderr=subprocess.DEVNULL)
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.2):
                peak = max(peak, family_memory(child.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        if child.wait():
            raise SystemExit("decoding failed")
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
    return seconds, peak


def steps(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a step, streamed from the disk and from the device, in a process of their own."""
    line = [sys.executable, __file__, "--steps", str(folder), "--rounds", str(rounds)]
    kept = os.environ | {"GANLAB_CACHE": str(folder.parent / "kept")}
    child = subprocess.run(line, stdout=subprocess.PIPE, check=True, text=True, env=kept)
    return json.loads(child.stdout.splitlines()[-1])


def _steps(folder: Path, rounds: int) -> None:
    from ganlab import device
    from ganlab.cli.hydra import plan

    config = plan([*_SETTINGS, f"dataset.path={folder}"], multirun=False).cells[0].config
    device.start("float32")
    from ganlab.data.images import Images
    from ganlab.data.sources import DATASETS
    from ganlab.launch.dry_run import time_step

    own = DATASETS["folder"](config.dataset).train
    synthetic = np.random.default_rng(0).integers(0, 256, (4096, *own.pixels.shape[1:]), np.uint8)
    told = {
        "from the disk": (own, "always"),
        "on the device": (Images(synthetic, own.labels, "noise", "drawn"), "never"),
    }

    def side(images: Images, how: str) -> float:
        training = config.training.model_copy(update={"stream_images": how})
        settings = config.model_copy(update={"training": training})
        return 1000 * time_step(settings, images, xla=False, seconds=10.0)[1]

    said = take_turns({name: lambda each=each: side(*each) for name, each in told.items()}, rounds)
    print(json.dumps(said))


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("outputs/images"), help="where files are rendered")
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        from ganlab.cli.hydra import plan

        plan([*_SETTINGS, f"dataset.path={arguments.prepare}"], multirun=False)
        return
    if arguments.steps:
        _steps(arguments.steps, arguments.rounds)
        return
    folder = arguments.folder.absolute() / f"{arguments.files}x{SIDE}"
    render_all(folder, arguments.files)
    turns = take_turns({"decoding": lambda: prepare(folder)}, max(1, min(3, arguments.rounds)))["decoding"]
    rates = [arguments.files / seconds for seconds, _ in turns]
    found = steps(folder, arguments.rounds)
    rows = [
        [f"{arguments.files:,} PNG files {SIDE}x{SIDE}: seconds", spread([seconds for seconds, _ in turns], 1)],
        ["files a second, from the command to decoded", spread(rates, 0)],
        ["peak memory of all its processes, MB", spread([peak for _, peak in turns], 0)],
        ["a step, images from the disk, ms", spread(found["from the disk"], 1)],
        ["a step, as many random pixels on the device, ms", spread(found["on the device"], 1)],
        ["disk / device", ratios(found["from the disk"], found["on the device"])],
    ]
    print("\n".join(table(("what", "figure"), rows)))


if __name__ == "__main__":
    main()
