"""Disturb runs and sweeps, and count those that end in the same bits: see README.md.

python experiments/reliability/run.py [--every N] [--only calls power processes] [--write]
"""

import argparse
import collections
import errno
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import power
import processes

import faults

OVERRIDES = [
    "seed=3", "training.steps=6", "training.log_every_steps=2", "training.sample_every_steps=3",
    "training.save_every_steps=2", "training.batch_size=16", "training.keep_checkpoints=2", "metrics.every_steps=3",
    "metrics.images=60", "generator.base_filters=4", "generator.stages=[[4,2],[null,2]]", "discriminator.filters=[4,4]",
]  # fmt: skip
KINDS = ("calls", "power", "processes")


def disturbances(calls: int, every: int):
    """Each kind of disturbance with the calls at which it comes."""
    yield "kill", "kill", 0, range(1, calls + 1, every)
    yield "kill, twice", "kill", 0, range(3, calls + 1, 4 * every)
    yield "one call fails (EIO)", "fail", errno.EIO, range(1, calls + 1, every)
    yield "one call fails (EINTR)", "fail", errno.EINTR, range(2, calls + 1, 4 * every)
    yield "the disk is full from there on", "full", errno.ENOSPC, range(1, calls + 1, 4 * every)
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"):
        yield name, name, 0, range(5, calls + 1, 8 * every)


def disturbed(folder: Path, run: faults.Runner, whole: dict[str, str], calls: int, every: int) -> list[tuple]:
    """Rows of the first table: each disturbance, how often it was tried, ended the run, and cost no bit."""
    rows, odd = [], collections.Counter()
    for title, mode, error, places in disturbances(calls, every):
        tried = struck = same = 0
        for at in places:
            directory = folder / "run"
            answer = [run(directory, mode, at, error) for _ in range(2 if "twice" in title else 1)][-1]
            tried += 1
            struck += answer["status"] != 0
            if answer["said"]:
                odd[answer["said"].replace(str(folder), "...")[:150]] += 1
            same += goes_on(run, directory, whole, f"{title} at {at}")
            shutil.rmtree(directory)
        rows.append((title, tried, struck, same))
        print(*rows[-1], flush=True)
    for said, count in odd.most_common():
        print(f"{count:4} {said}")
    return [*rows, ("all", *(sum(row[n] for row in rows) for n in (1, 2, 3)))]


def without_power(folder: Path, run: faults.Runner, whole: dict[str, str], calls: int, every: int) -> list[tuple]:
    """Rows of the second table: what is lost, how often it was tried, how often something was, and cost no bit."""
    counts = {loss: [0, 0, 0] for loss in power.LOSSES}
    for at in range(2, calls + 2, every):  # at 1 there is no folder yet; the last is when the run has ended
        directory, record = folder / "run", folder / "record"
        record.mkdir()
        run(directory, "kill", at if at + every < calls + 2 else calls + 1, record=record)
        cut = power.Cut(directory, record)
        for loss, count in counts.items():
            count[0] += 1
            count[1] += cut.leave(loss, random.Random(at))
            count[2] += goes_on(run, directory, whole, f"power cut at {at}, {loss}")
        shutil.rmtree(directory)
        shutil.rmtree(record)
        print(at, counts, flush=True)
    return [(loss, *count) for loss, count in counts.items()]


def goes_on(run: faults.Runner, directory: Path, whole: dict[str, str], what: str) -> bool:
    """Whether the same run given once more ends in the same bits; else that is printed."""
    end = run(directory)
    found = faults.bits(directory) if end["status"] == 0 else {}
    if found != whole:
        print(what, end, {name for name in whole.keys() | found.keys() if found.get(name) != whole.get(name)})
    return found == whole


def write(mark: str, head: tuple[str, ...], rows: list[tuple], began: float, more: str = "") -> str:
    """A table under a line that says on what and when; the text between two marks of README.md."""
    words = {True: "yes", False: "no"}
    lines = [head, ("---",) * len(head), *rows]
    lines = [f"| {' | '.join(words[x] if isinstance(x, bool) else str(x) for x in line)} |" for line in lines]
    where = (
        f"{more}{platform.processor() or platform.machine()}, {os.cpu_count()} cores; Python "
        f"{platform.python_version()}; {time.strftime('%Y-%m-%d')}; {time.monotonic() - began:.0f} s in all."
    )
    print(table := "\n".join([where, "", *lines]))
    page = Path(__file__).with_name("README.md")
    before, _, rest = page.read_text().partition(f"<!-- {mark} -->")
    _, after, rest = rest.partition("<!-- end -->")
    return f"{before}<!-- {mark} -->\n{table}\n{after}{rest}"


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--every", type=int, default=1, help="disturb every so many calls")
    options.add_argument("--only", choices=KINDS, nargs="+", default=KINDS, help="the tables to make (default: all)")
    options.add_argument("--write", action="store_true", help="put the tables into README.md")
    chosen = options.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # runs would inherit that a shell's background ignores it

    def done(*table, more: str = "") -> None:
        text = write(*table, more=more)
        if chosen.write:
            Path(__file__).with_name("README.md").write_text(text)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if {"calls", "power"} & {*chosen.only}:
            with faults.runner(faults.build(folder), OVERRIDES) as run:
                calls = run(folder / "whole")["calls"]
                whole = faults.bits(folder / "whole")
                told = f"{calls} calls a run; "
                for kind, make, head in (("calls", disturbed, ("disturbance", "tried", "ended the run")),
                                         ("power", without_power, ("lost", "tried", "lost something"))):  # fmt: skip
                    if kind in chosen.only:
                        began = time.monotonic()
                        rows = make(folder, run, whole, calls, chosen.every)
                        done(kind, (*head, "the same bits afterwards"), rows, began, more=told)
                shutil.rmtree(folder / "whole")
        if "processes" in chosen.only:
            began = time.monotonic()
            rows = list(processes.doubled(folder, OVERRIDES))
            done("doubled", ("twice at once", "one line at most", "the same bits", "what the second said"), rows, began)
            began = time.monotonic()
            rows = list(processes.broken(folder, OVERRIDES))
            done(
                "broken", ("what happened", "status", "status of the same command again", "the same bits"), rows, began
            )


if __name__ == "__main__":
    main()
