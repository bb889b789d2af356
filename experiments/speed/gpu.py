"""ganlab on a GPU: whether it computes the right thing, how fast, against PyTorch, and how many runs at once pay.

    python experiments/speed/gpu.py --torch PYTHON --write      # under eight minutes with nothing else on the card
    python experiments/speed/gpu.py --only speed                # speed, sweep or checks
    python experiments/speed/gpu.py --tiny                      # does everything run? on a CPU, no figures

Everything is timed in a process of its own, one after the other; PyTorch's side (`peers/torch_gpu.py`) captures its
whole step as one CUDA graph. --write puts the tables into README.md and all figures into gpu.json, with the device's
name. The checks: each precision trains; with training.deterministic two runs, and one that was stopped and resumed, end
with the same bits; one step of each operator has the gradients that it has on the CPU, in the graph and under XLA, to
1e-3 in float32 without TF32; graph and XLA agree.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from costs import network
from turns import table, write_into

HERE = Path(__file__).parent
SIZES = [(32, 64, "transpose"), (32, 256, "upsample"), (64, 64, "transpose"), (128, 64, "transpose"),
         (128, 64, "upsample")]  # fmt: skip
AT_ONCE = (1, 2, 4, 8)
OPERATORS = sorted(path.stem for path in (HERE.parent.parent / "conf" / "generator").glob("*.yaml"))
PARTS = 3  # processes that share the operators in the checks


# --- in a child: one line of JSON each --------------------------------------------------------------------------------


def built(settings: list[str], size: int, *, channels: int = 3, way: str = "xla") -> tuple[Any, Any]:
    """A GAN of these settings and what takes its steps, on random pixels."""
    import numpy as np

    from ganlab.cli.hydra import plan
    from ganlab.data.images import Images
    from ganlab.run.build import build_gan, build_steps

    config = plan([*settings, "dataset=shapes", f"dataset.size={size}"], multirun=False).cells[0].config
    pixels = np.random.default_rng(0).integers(0, 256, (1438, size, size, channels), np.uint8)
    gan = build_gan(config)
    return gan, build_steps(gan, config, Images(pixels, None, "random pixels", "drawn here"), xla=way == "xla")


def timed(gan: Any, steps: Any, *, seconds: float, call: int = 50) -> float:
    """Milliseconds a step: the median of five rounds."""
    import tensorflow as tf

    def go(calls: int) -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            steps(tf.constant(call, tf.int64))
            gan.sums.numpy()  # as a run looks whether they are finite
        return time.perf_counter() - begin

    calls = max(1, int(seconds / 5 / go(1)))
    return statistics.median(go(calls) / calls / call for _ in range(5)) * 1e3


def case(size: int, batch: int, generator: str, way: str, width: float, seconds: float) -> dict[str, Any]:
    """Seconds of the first call, and milliseconds of a step after it."""
    import tensorflow as tf

    begin = time.perf_counter()
    settings = [*network(size, width), f"training.batch_size={batch}", f"generator={generator}"]
    gan, steps = built(settings, size, way=way)
    steps(tf.constant(50, tf.int64))
    gan.sums.numpy()
    first = time.perf_counter() - begin
    return {"first_s": round(first, 1), "step_ms": round(timed(gan, steps, seconds=seconds), 3)}


def _versions() -> str:
    return f"TensorFlow {version('tensorflow')}, Keras {version('keras')}"


def _peak() -> int:
    import tensorflow as tf

    if not tf.config.list_logical_devices("GPU"):
        return 0
    return round(tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20)


def child_table(options: Any) -> None:
    """Milliseconds a step of one case after the other, with the default settings."""
    from ganlab import device

    machine = device.start(options.precision)
    for size, batch, generator in options.cases:
        way = options.way or ("xla" if machine.xla("auto", 4000) else "graph")
        figures = case(size, batch, generator, way, options.width, options.seconds)
        _tell(side="ganlab", case=[size, batch, generator], way=way, precision=machine.precision,
              device=machine.name, peak_mb=_peak(), **figures)  # fmt: skip


def child_checks(options: Any) -> None:
    """What needs TensorFlow's determinism or its exact float32, each in a process of its own."""
    from ganlab import device

    what = options.part
    precision = "auto" if what == "deterministic" else "float32"
    machine = device.start(precision, deterministic=what == "deterministic")
    _tell(device=machine.name)
    import keras
    import numpy as np
    import tensorflow as tf

    from ganlab.training import checkpoints

    small = ["generator.base_filters=16", "generator.stages=[[8,2],[null,2]]", "discriminator.filters=[8,16]",
             "training.batch_size=16", "metrics=none"]  # fmt: skip

    def weights(gan: Any) -> list[Any]:
        return [tensor.numpy() for name, tensor in sorted(gan.tensors().items()) if "sums" not in name]

    def go(gan: Any, steps: Any, count: int) -> Any:
        steps(tf.constant(count, tf.int64))
        return weights(gan)

    if what == "precisions":
        gpu = bool(tf.config.list_logical_devices("GPU"))
        for precision in ["float32", "mixed_bfloat16", *(["mixed_float16"] if gpu else [])]:
            keras.config.set_dtype_policy(precision)
            gan, steps = built(small, 16)
            before = weights(gan)
            after = go(gan, steps, 60)
            moved = max(float(np.abs(a - b).max()) for a, b in zip(before, after, strict=True) if a.ndim)
            right = bool(np.isfinite(gan.sums.numpy()).all()) and moved > 0
            _tell(check=f"{precision} trains, 60 steps under XLA", right=right, figure=round(moved, 4))
    elif what == "deterministic":
        for way in ("graph", "xla"):
            straight = [go(*built(small, 16, way=way), 60) for _ in range(2)]
            stopped, steps = built(small, 16, way=way)
            go(stopped, steps, 25)
            resumed, more = built(small, 16, way=way)
            with tempfile.TemporaryDirectory() as folder:
                checkpoints.save(Path(folder), 25, stopped.tensors(), {}, keep=1)
                checkpoints.restore(Path(folder), resumed.tensors())
            ends = [straight[1], go(resumed, more, 35)]
            for name, end in zip(("twice", "stopped and resumed"), ends, strict=True):
                same = all(np.array_equal(a, b) for a, b in zip(straight[0], end, strict=True))
                _tell(check=f"deterministic, {way}: {name}, the same bits after 60 steps", right=same)
    else:
        tf.config.experimental.enable_tensor_float_32_execution(False)
        for name in options.operators[int(what) :: options.parts]:
            line = [f"generator={name}", *small]

            def gradients(way: str, line: list[str] = line) -> list[Any]:
                """Of the discriminator and of the generator, each as one vector."""
                gan, steps = built(line, 16, way=way)
                go(gan, steps, 1)
                first = [each.first for each in (gan.d_optimizer, gan.g_optimizer)]
                return [np.concatenate([m.numpy().ravel() for m in moments]) for moments in first]

            with tf.device("CPU:0"):
                cpu = gradients("graph")
            for way in ("graph", "xla"):
                apart = max(
                    float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(gradients(way), cpu, strict=True)
                )
                _tell(check=f"{name}: gradients of one step, {way} against the CPU", right=apart <= 1e-3, figure=apart)


def child_sweep(options: Any) -> None:
    """Compile, wait until all are ready, and train for so many seconds; images a second."""
    from ganlab import device

    machine = device.start(options.precision)
    import tensorflow as tf

    size, batch, generator = options.cases[0]
    settings = [*network(size, options.width), f"training.batch_size={batch}", f"generator={generator}"]
    gan, steps = built(settings, size, way="xla")
    steps(tf.constant(50, tf.int64))
    gan.sums.numpy()
    _tell(ready=True)
    sys.stdin.readline()
    begin, done = time.perf_counter(), 0
    while time.perf_counter() - begin < options.seconds:
        steps(tf.constant(50, tf.int64))
        gan.sums.numpy()
        done += 50
    _tell(images_s=done * batch / (time.perf_counter() - begin), peak_mb=_peak(), device=machine.name)


def _tell(**row: Any) -> None:
    print("\n" + json.dumps(row), flush=True)


CHILDREN = {"table": child_table, "checks": child_checks, "sweep": child_sweep}


# --- the parent -------------------------------------------------------------------------------------------------------


def ask(child: str, options: argparse.Namespace, environment: dict[str, str] | None = None, **more: Any) -> Any:
    """Start a child; its lines come by `rows`."""
    told = {
        "operators": options.operators,
        "parts": options.parts,
        "precision": "auto",
        "width": options.width,
        "seconds": options.seconds,
        "way": "",
        "cases": [],
    } | more
    return subprocess.Popen(
        [sys.executable, __file__, "--child", child, json.dumps(told)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | (environment or {}),
    )  # fmt: skip


def rows(process: Any) -> list[dict[str, Any]]:
    """What a child has told until its end; SystemExit where it failed."""
    text = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"a measuring process failed with status {process.returncode}")
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    for row in found:
        print(json.dumps(row), file=sys.stderr, flush=True)
    return found


def checks(options: argparse.Namespace) -> tuple[list[str], list[dict[str, Any]]]:
    """All of them side by side: nothing is timed."""
    parts = ["precisions", "deterministic", *(str(n) for n in range(options.parts))]
    children = [ask("checks", options, part=part) for part in parts]
    found = [row for child in children for row in rows(child)]
    lines = [[row["check"], "yes" if row["right"] else "NO", f"{row['figure']:.2g}" if "figure" in row else ""]
             for row in found if "check" in row]  # fmt: skip
    return table(("check", "holds", "figure"), lines), found


def speeds(options: argparse.Namespace) -> tuple[list[str], list[dict[str, Any]]]:
    """Ours by default, ours in the graph, and PyTorch's graph."""
    found = rows(ask("table", options, cases=options.cases))
    if not options.tiny:
        found += rows(ask("table", options, cases=options.cases[:1], precision="float32"))
    found += rows(ask("table", options, cases=options.cases[:1], way="graph"))
    if options.torch:
        names = [f"{size},{batch},graph,{generator},bf16" for size, batch, generator in options.cases]
        size, batch, generator = options.cases[0]
        names.append(f"{size},{batch},graph,{generator},tf32")
        clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LD_LIBRARY_PATH")}
        done = subprocess.run([options.torch, HERE / "peers" / "torch_gpu.py", *names], capture_output=True,
                              text=True, env=clean, check=True)  # fmt: skip
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                row = json.loads(line)
                row["case"] = [row["size"], row["batch"], row["ups"]]
                row["precision"] = {"bf16": "mixed_bfloat16", "tf32": "float32"}[row["precision"]]
                found.append(row)
                print(line, file=sys.stderr, flush=True)
    lines = []
    for row in [row for row in found if row["side"] == "ganlab"]:
        same = (r for r in found if (r["side"], r["case"], r["precision"]) == ("torch", row["case"], row["precision"]))
        theirs = next(same, None)
        size, batch, generator = row["case"]
        lines.append([
            f"{size}, {batch}, {generator}", row["precision"], row["way"], f"{row['first_s']:.1f} s",
            f"{row['step_ms']:.2f}", f"{theirs['step_ms']:.2f}" if theirs else "",
            f"{row['step_ms'] / theirs['step_ms']:.2f}" if theirs else "", str(row["peak_mb"]),
        ])  # fmt: skip
    heads = ("images, batch, operator", "precision", "compiled", "first call", "a step, ms", "PyTorch, ms",
             "ours / theirs", "peak, MB")  # fmt: skip
    return table(heads, lines), found


def sweep(options: argparse.Namespace) -> tuple[list[str], list[dict[str, Any]]]:
    """Images a second of so many processes together."""
    found = []
    for count in options.at_once:
        children = [ask("sweep", options, cases=options.cases[:1], seconds=options.seconds * 3) for _ in range(count)]
        for child in children:
            while not child.stdout.readline().startswith("{"):
                if child.poll() is not None:
                    raise SystemExit("a process of the sweep ended early")
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        told = [rows(child)[-1] for child in children]
        found.append({"at_once": count, "images_s": round(sum(row["images_s"] for row in told)),
                      "peak_mb": max(row["peak_mb"] for row in told), "device": told[0]["device"]})  # fmt: skip
    one = found[0]["images_s"]
    lines = [[str(row["at_once"]), f"{row['images_s']:,}", f"{row['images_s'] / one:.2f}", str(row["peak_mb"])]
             for row in found]  # fmt: skip
    return table(("runs at once", "images a second in sum", "times one", "peak of each, MB"), lines), found


SECTIONS = {"speed": speeds, "sweep": sweep, "checks": checks}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--torch", metavar="PYTHON", help="an interpreter with PyTorch and CUDA; without it that side is empty"
    )
    parser.add_argument("--only", choices=SECTIONS, action="append", help="a section; again for more; default: all")
    parser.add_argument("--tiny", action="store_true", help="small networks, hardly any steps: does everything run?")
    parser.add_argument("--write", action="store_true", help="into README.md and gpu.json")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, told = options.child
        CHILDREN[name](argparse.Namespace(**json.loads(told)))
        return
    options.cases = [(16, 8, "transpose")] if options.tiny else SIZES
    options.width, options.seconds = (0.125, 0.2) if options.tiny else (1, 1.5)
    options.operators, options.parts = (["transpose"], 1) if options.tiny else (OPERATORS, PARTS)
    options.at_once = (2,) if options.tiny else AT_ONCE
    file = HERE / "gpu.json"
    kept: dict[str, Any] = json.loads(file.read_text()) if options.write and file.exists() else {}
    for name in options.only or SECTIONS:
        lines, found = SECTIONS[name](options)
        heading = f"{next(row['device'] for row in found if 'device' in row)}; {_versions()}; {date.today()}"
        lines, kept[name] = [heading, "", *lines], {"on": heading, "rows": found}
        print("\n".join(["", f"## {name}", "", *lines]), flush=True)
        if options.write:
            write_into(HERE / "README.md", f"gpu {name}", lines)
            file.write_text(json.dumps(kept, indent=1) + "\n")
    wrong = [row["check"] for row in kept.get("checks", {"rows": []})["rows"] if not row.get("right", True)]
    if wrong:
        raise SystemExit("does not hold: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
