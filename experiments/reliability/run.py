"""Disturb runs at their calls to the system, and count those that end in the same bits: see README.md.

python experiments/reliability/run.py [--every N] [--write]
"""

import argparse
import collections
import errno
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import faults

OVERRIDES = [
    "seed=3", "training.steps=6", "training.log_every_steps=2", "training.sample_every_steps=3",
    "training.save_every_steps=2", "training.batch_size=16", "training.keep_checkpoints=2", "metrics.every_steps=3",
    "metrics.images=60", "generator.base_filters=4", "generator.stages=[[4,2],[null,2]]", "discriminator.filters=[4,4]",
]  # fmt: skip
TIMED = ("seconds", "speed/images_per_second", "images_per_second", "started", "ended", "commit")


def bits(directory: Path) -> dict[str, str]:
    """A hash of all that a run leaves but for its clock: result, records, samples, generator, newest tensors."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and not name.startswith((".lock", "log.txt", "events.", "error.txt", "generator.keras")):
            content = path.read_bytes()
            if name.endswith(("result.json", "metrics.jsonl")):
                content = json.dumps([_untimed(json.loads(text)) for text in _objects(name, content)]).encode()
            if name.endswith("manifest.json"):
                content = json.dumps(json.loads(content)["manifest"]["files"]).encode()
            found[name] = hashlib.sha256(content).hexdigest()
    assert (directory / "generator.keras").exists()
    return found


def _objects(name: str, content: bytes) -> list[str]:
    return content.decode().splitlines() if name.endswith("jsonl") else [content.decode()]


def _untimed(tree: dict) -> dict:
    return {key: value for key, value in tree.items() if key not in TIMED}


def disturbances(calls: int, every: int):
    """Each kind of disturbance with the calls at which it comes."""
    yield "kill", "kill", 0, range(1, calls + 1, every)
    yield "kill, twice", "kill", 0, range(3, calls + 1, 4 * every)
    yield "one call fails (EIO)", "fail", errno.EIO, range(1, calls + 1, every)
    yield "one call fails (EINTR)", "fail", errno.EINTR, range(2, calls + 1, 4 * every)
    yield "the disk is full from there on", "full", errno.ENOSPC, range(1, calls + 1, 4 * every)
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"):
        yield name, name, 0, range(5, calls + 1, 8 * every)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--every", type=int, default=1, help="disturb every so many calls")
    options.add_argument("--write", action="store_true", help="put the table into README.md")
    chosen = options.parse_args()
    began, rows, odd = time.monotonic(), [], collections.Counter()
    with tempfile.TemporaryDirectory() as name, faults.runner(faults.build(Path(name)), OVERRIDES) as run:
        folder = Path(name)
        calls = run(folder / "whole")["calls"]
        whole = bits(folder / "whole")
        for title, mode, error, places in disturbances(calls, chosen.every):
            tried = struck = same = 0
            for at in places:
                directory = folder / "run"
                for _ in range(2 if "twice" in title else 1):
                    answer = run(directory, mode, at, error)
                tried += 1
                struck += answer["status"] != 0
                if answer["said"]:
                    odd[answer["said"].replace(str(folder), "...")[:150]] += 1
                end = run(directory)
                same += end["status"] == 0 and bits(directory) == whole
                if end["status"] or bits(directory) != whole:
                    print(title, at, answer, end, {k for k in whole if bits(directory).get(k) != whole[k]}
                          | (bits(directory).keys() - whole.keys()), file=sys.stderr)  # fmt: skip
                shutil.rmtree(directory)
            rows.append((title, tried, struck, same))
            print(*rows[-1], flush=True)
    lines = ["| disturbance | tried | ended the run | the same bits afterwards |", "|---|---|---|---|"]
    lines += [f"| {title} | {tried} | {struck} | {same} |" for title, tried, struck, same in rows]
    lines.append(f"| all | {sum(r[1] for r in rows)} | {sum(r[2] for r in rows)} | {sum(r[3] for r in rows)} |")
    head = (
        f"{calls} calls a run; {platform.processor() or platform.machine()}, {os.cpu_count()} cores; Python "
        f"{platform.python_version()}; {time.strftime('%Y-%m-%d')}; {time.monotonic() - began:.0f} s in all."
    )
    table = "\n".join([head, "", *lines])
    print(table)
    for said, count in odd.most_common():
        print(f"{count:4} {said}")
    if chosen.write:
        page = Path(__file__).with_name("README.md")
        before, _, rest = page.read_text().partition("<!-- table -->")
        page.write_text(f"{before}<!-- table -->\n{table}\n<!-- end -->{rest.partition('<!-- end -->')[2]}")


if __name__ == "__main__":
    main()
