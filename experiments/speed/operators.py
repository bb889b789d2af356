"""How much faster is the fused nearest + convolution than the plain one? With a transposed 4x4 beside them.

    python experiments/speed/operators.py            prints the machine and a table
    python experiments/speed/operators.py --write    and puts it into README.md

One run, one process, three sides in turn (A B C A B C ...), so that whatever else the machine does falls on all.
"""

import argparse
import datetime
import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from ganlab import device

HERE = Path(__file__).parent
SHAPES = ((8, 8, 256, 128), (4, 4, 256, 128), (16, 16, 128, 64))  # height, width, channels in, channels out
SIDES = ("plain", "fused", "transpose")
FEWEST = 7  # repetitions behind a median that is written down
BATCH = 64


def compiled(layer, images, upstream) -> Callable:
    """Forward and backward pass of one layer as a graph; calling it returns when the device is done.

    The image is among what it returns: no gradient needs it, and TensorFlow would leave the forward pass out.
    """
    import tensorflow as tf

    @tf.function
    def both(images, upstream):
        with tf.GradientTape() as tape:
            tape.watch(images)
            enlarged = layer(images, training=True)
        sources = [images, *layer.trainable_variables]
        return enlarged, tape.gradient(enlarged, sources, output_gradients=upstream)

    def run():
        result = both(images, upstream)
        tf.test.experimental.sync_devices()
        return result

    return run


def measure(shape: tuple[int, int, int, int], batch: int, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each side, repetition by repetition. Raises AssertionError if plain and fused disagree."""
    import numpy as np
    import tensorflow as tf

    from ganlab.nets.upsampling import UPSAMPLERS

    height, width, channels, filters = shape
    images = tf.random.stateless_normal((batch, height, width, channels), (0, 0))
    upstream = tf.random.stateless_normal((batch, 2 * height, 2 * width, filters), (0, 1))
    layers = {
        "plain": UPSAMPLERS["nearest"](filters, kernel_size=3, seed=0, implementation="plain"),
        "fused": UPSAMPLERS["nearest"](filters, kernel_size=3, seed=0, implementation="fused"),
        "transpose": UPSAMPLERS["transpose"](filters, kernel_size=4, seed=0),
    }
    runs = {side: compiled(layers[side], images, upstream) for side in SIDES}
    first = {side: tf.nest.flatten(run()) for side, run in runs.items()}  # traces, and warms up
    for plain, fused in zip(first["plain"], first["fused"], strict=True):
        scale = float(tf.reduce_max(tf.abs(plain)))
        # Loose, since GPUs multiply in TF32; another function is off by far more.
        np.testing.assert_allclose(fused, plain, rtol=0, atol=1e-2 * scale, err_msg="plain and fused disagree")
    for run in (*runs.values(), *runs.values()):
        run()
    times = {side: [] for side in SIDES}
    for _ in range(repeats):
        for side in SIDES:
            start = time.perf_counter()
            runs[side]()
            times[side].append(1000 * (time.perf_counter() - start))
    return times


def row(shape: tuple[int, int, int, int], times: dict[str, list[float]]) -> str:
    """A line of the table: medians, and the median of the ratios within each repetition with their quartiles."""
    height, width, channels, filters = shape
    cells = [f"{height}x{width}x{channels} -> {2 * height}x{2 * width}x{filters}"]
    cells += [f"{statistics.median(times[side]):.1f}" for side in SIDES]
    for other in ("plain", "transpose"):
        ratios = [slow / fused for slow, fused in zip(times[other], times["fused"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
    return "| " + " | ".join(cells) + " |"


def machine(name: str) -> str:
    """What the figures were taken on, in one line."""
    import keras
    import tensorflow as tf

    threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()
    onednn = "off" if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0" else "on"
    return (
        f"{name}; {threads} threads; TensorFlow {tf.__version__}, Keras {keras.__version__}, oneDNN {onednn}; "
        f"Python {platform.python_version()}; {datetime.date.today()}"
    )


def main() -> None:
    """Measure every shape and print the table; with --write put it into README.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=BATCH, help="images (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=15, help="timed repetitions of each side (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads for one operation; 0: all")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    chosen = parser.parse_args()
    if chosen.batch < 1 or chosen.repeats < 1:
        parser.error(f"--batch={chosen.batch} --repeats={chosen.repeats} measures nothing; use at least 1")
    if chosen.write and (chosen.repeats < FEWEST or chosen.batch != BATCH):
        parser.error(f"--write keeps only figures of --batch={BATCH} and --repeats={FEWEST} or more; leave it out")
    started = device.start("float32", threads=chosen.threads)
    lines = [
        machine(started.name),
        "",
        f"Forward and backward in float32, batch {chosen.batch}: medians of {chosen.repeats} repetitions in "
        "milliseconds; ratios with their quartiles.",
        "",
        "| shape | plain | fused | transposed 4x4 | plain / fused | transposed / fused |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for shape in SHAPES:
        lines.append(row(shape, measure(shape, chosen.batch, chosen.repeats)))
        print(lines[-1], flush=True)
    if chosen.write:
        page = HERE / "README.md"
        place = re.compile(r"(<!-- operators table -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = place.subn(lambda mark: mark[1] + "\n".join(lines) + "\n" + mark[2], page.read_text())
        if not found:
            raise SystemExit(f"{page} has no place for the table; put <!-- operators table --> and <!-- end --> there")
        page.write_text(text)


if __name__ == "__main__":
    main()
