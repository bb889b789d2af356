"""What takes part in a race: each call starts a fresh process, waits for it, and returns what it said of itself.

TensorFlow and PyTorch are never imported here: the memory of this process would count as its children's.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LIMIT = 1800.0  # seconds for any one process
UNCOUNTED = 2  # records at the start of a run that are not counted: one traces, one warms up


@dataclass(frozen=True)
class Ended:
    """A process that went well: what it printed, its wall time in seconds, and its largest memory in MB."""

    text: str
    seconds: float
    peak: float


@dataclass(frozen=True)
class Trained:
    """A run of `ganlab.train`.

    rate: images per second between records, the median after the first two; nan where there are no more.
    whole: images over the seconds of training, everything in between included.
    first: seconds from the command to the first record. seconds: from the command to its end.
    peak: largest memory of the process in MB. gflop: operations an image, counted from the networks.
    evaluation: seconds that the measures of one evaluation took, the median; nan where records do not tell.
    """

    rate: float
    whole: float
    first: float
    seconds: float
    peak: float
    gflop: float
    evaluation: float


def launch(line: list[str], *, limit: float = LIMIT, tick=lambda: None) -> Ended:
    """Run a command in the root of the checkout; `tick` is called every few milliseconds meanwhile.

    oneDNN is left to the command: what this shell says of it is hidden. Raises subprocess.TimeoutExpired after `limit`
    seconds, RuntimeError with the command's last words where it fails.
    """
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(line, cwd=ROOT, env=environment, stdout=out, stderr=err)
        try:
            done, status, used = os.wait4(process.pid, os.WNOHANG)
            while not done:
                if time.perf_counter() - start > limit:
                    raise subprocess.TimeoutExpired(line, limit)
                time.sleep(0.01)
                tick()
                done, status, used = os.wait4(process.pid, os.WNOHANG)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            words = (out.read() + err.read()).strip().splitlines() or ["it said nothing"]
            raise RuntimeError(f"{' '.join(line)} ended with status {process.returncode}: {words[-1]}")
        kilobytes = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
        return Ended(out.read(), seconds, kilobytes / 1000)


def train(*settings: str, limit: float = LIMIT) -> Trained:
    """One run, as a user starts it, into a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "run"
        record = home / "metrics.jsonl"
        start = time.perf_counter()
        first: list[float] = []

        def note_first() -> None:
            if not first and record.exists() and record.stat().st_size:
                first.append(time.perf_counter() - start)

        line = [sys.executable, "-m", "ganlab.train", *settings, f"hydra.run.dir={home}"]
        ended = launch(line, limit=limit, tick=note_first)
        note_first()
        records = [json.loads(text) for text in record.read_text().splitlines()]
        result = json.loads((home / "result.json").read_text())
    rates = [each["speed/images_per_second"] for each in records if "speed/images_per_second" in each][UNCOUNTED:]
    config, macs = result["config"], result["macs"]
    passes = 3 if config["training"].get("share_fakes") else 4  # of the generator; the discriminator's are 8
    return Trained(
        rate=statistics.median(rates) if rates else float("nan"),
        whole=result["images_per_second"],
        first=first[0],
        seconds=ended.seconds,
        peak=ended.peak,
        gflop=2 * (passes * macs["generator"] + 8 * macs["discriminator"]) / 1e9,
        evaluation=_evaluation(records),
    )


def _evaluation(records: list[dict[str, float]]) -> float:
    """From the record of a step's losses to that of its measures; the first and the last evaluation do not count."""
    ready = {each["step"]: each["seconds"] for each in records if "loss/generator" in each}
    done = {each["step"]: each["seconds"] for each in records if "metric/frechet_distance" in each}
    took = [seconds - ready[step] for step, seconds in done.items() if step in ready][1:-1]
    return statistics.median(took) if took else float("nan")


def torch_rate(python: str, *arguments: str, limit: float = LIMIT) -> float:
    """Images per second of PyTorch, or GFLOP per second with `--gemm`: the median of the script's repeats."""
    return _median(launch([python, str(HERE / "peers" / "torch_dcgan.py"), *arguments], limit=limit))


def keras_rate(*arguments: str, limit: float = LIMIT) -> float:
    """Images per second of Model.fit: the median of the script's repeats."""
    return _median(launch([sys.executable, str(HERE / "peers" / "keras_fit.py"), *arguments], limit=limit))


def matmul_rate(*arguments: str, limit: float = LIMIT) -> float:
    """GFLOP per second of TensorFlow's matrix multiplication: the median of the script's repeats."""
    return _median(launch([sys.executable, str(HERE / "matmul.py"), *arguments], limit=limit))


def torch_version(python: str) -> str:
    """The version in an interpreter; raises RuntimeError where it has none, OSError where there is no interpreter."""
    return launch([python, "-c", "import torch; print(torch.__version__)"]).text.strip()


def commit() -> str:
    """Which state of the checkout this is; empty outside of git."""
    with contextlib.suppress(OSError, RuntimeError):
        return launch(["git", "describe", "--always", "--dirty", "--exclude=*"]).text.strip()
    return ""


def _median(ended: Ended) -> float:
    facts = json.loads(ended.text.strip().splitlines()[-1])
    return statistics.median(facts.get("gflop_per_second") or facts["images_per_second"])
