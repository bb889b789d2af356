"""A sweep whose processes are killed again and again, against the same sweep left alone: are all bits the same?

    python experiments/reliability/soak.py --minutes 120 --every 60 --write     # over lunch
    python experiments/reliability/soak.py --minutes 3 --every 12               # does everything run?

The sweep is started, all of its processes are killed with SIGKILL after so many seconds, and the same command is given
again, until it ends; then a sweep of other seeds, until the time is over. Each is also run quietly, and every run of
the one must equal that of the other. Memory and open files are those of the sweep's leader, at each kill.
"""

import argparse
import contextlib
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from faults import bits

ROOT = Path(__file__).parent.parent.parent
ARMS = "generator=upsample,transpose"
LENGTH = ("training.steps=600", "training.save_every_steps=100", "training.sample_every_steps=300",
          "metrics.every_steps=200", "metrics.images=200")  # fmt: skip


def start(folder: Path, seeds: str, launcher: str) -> subprocess.Popen:
    """The sweep, in a folder of its own."""
    line = [sys.executable, "-m", "ganlab.train", "-m", ARMS, f"seed={seeds}", f"hydra/launcher={launcher}",
            f"hydra.sweep.dir={folder}", *LENGTH]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(line, cwd=folder.parent, env=environment, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip


def processes(folder: Path) -> list[int]:
    """Those that have the sweep's folder in their command line or their surroundings."""
    found, sign = [], str(folder).encode()
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(place.name) != os.getpid() and sign in (place / "cmdline").read_bytes():
                found.append(int(place.name))
    return found


def burden(process: int) -> tuple[float, int]:
    """Resident MB and open files of a process; nothing once it is gone."""
    with contextlib.suppress(OSError, StopIteration):
        status = (Path("/proc") / str(process) / "status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        return resident / 1024, len(list((Path("/proc") / str(process) / "fd").iterdir()))
    return 0.0, 0


def disturbed(folder: Path, seeds: str, launcher: str, every: float, loads: list[tuple[float, int]]) -> int:
    """Run a sweep to its end, killed every so many seconds; how often that was."""
    kills = 0
    while True:
        leader = start(folder, seeds, launcher)
        try:
            if leader.wait(timeout=every):
                raise SystemExit(f"the sweep in {folder} ended with status {leader.returncode}")
            return kills
        except subprocess.TimeoutExpired:
            loads.append(burden(leader.pid))
            for process in {leader.pid, *processes(folder)}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            leader.wait()
            kills += 1


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=120, help="no new sweep is begun after so many")
    options.add_argument("--every", type=float, default=60, help="seconds from a start to the kill")
    options.add_argument("--launcher", default="basic", help="basic or joblib")
    options.add_argument("--write", action="store_true", help="put the figures into README.md")
    chosen = options.parse_args()
    began, kills, runs, same, sweeps = time.monotonic(), 0, 0, 0, 0
    loads: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        while not sweeps or time.monotonic() - began < 60 * chosen.minutes:
            seeds = f"{3 * sweeps},{3 * sweeps + 1},{3 * sweeps + 2}"
            quiet, loud = Path(name, f"quiet{sweeps}"), Path(name, f"loud{sweeps}")
            if start(quiet, seeds, chosen.launcher).wait():
                raise SystemExit("the quiet sweep failed")
            kills += disturbed(loud, seeds, chosen.launcher, chosen.every, loads)
            for cell in sorted(path for path in quiet.iterdir() if (path / "result.json").exists()):
                runs += 1
                same += bits(cell) == bits(loud / cell.name)
            sweeps += 1
            print(f"{sweeps} sweeps, {kills} kills, {same} of {runs} runs the same", flush=True)
    halves = loads[: len(loads) // 2], loads[len(loads) // 2 :]
    memory, files = (
        " then ".join(f"{max((load[n] for load in half), default=0):.0f}" for half in halves) for n in (0, 1)
    )
    minutes = (time.monotonic() - began) / 60
    said = (
        f"{sweeps} sweeps of 6 runs (`{chosen.launcher}`) in {minutes:.0f} minutes, all killed {kills} times, "
        f"{chosen.every:g} seconds after each start: {same} of {runs} runs have the same bits as in a sweep left alone"
        f". The leader's memory, at most, in the first half and the second: {memory} MB; open files: {files}. "
        f"{platform.machine()}, {os.cpu_count()} cores; {time.strftime('%Y-%m-%d')}."
    )
    print(said)
    if chosen.write:
        page = Path(__file__).with_name("README.md")
        before, _, rest = page.read_text().partition("<!-- soak -->")
        page.write_text(f"{before}<!-- soak -->\n{said}\n<!-- end soak -->{rest.partition('<!-- end soak -->')[2]}")
    if same != runs:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
