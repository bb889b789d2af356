"""ganlab against PyTorch, against stock Keras, and against what this machine could do; and what a run costs.

    python experiments/speed/race.py --torch PYTHON            all sections, printed
    python experiments/speed/race.py --only gemm --write       one section, put into README.md too
    python experiments/speed/race.py --quick                   does everything run? the figures mean nothing

PYTHON is an interpreter with PyTorch, which may know nothing of ganlab. Every figure comes from a fresh process, sides
take turns, and nothing else should run meanwhile.
"""

import argparse
import datetime
import os
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

from contests import Race, bfloat16, gemm, guides, logging, peers, threads
from costs import growth, measuring, start
from sides import commit, torch_version
from turns import write_into

PAGE = Path(__file__).parent / "README.md"
SECTIONS = {each.__name__: each for each in (peers, guides, bfloat16, gemm, logging, threads, measuring, growth, start)}
FEWEST = 5  # rounds behind a median that is written down; growth's figures are medians of one run's records


def processor() -> str:
    """The processor's name, as its maker has it, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine(torch: str | None, state: str) -> str:
    """What the figures were taken on, in one line; `state` is that of the checkout."""
    versions = [f"TensorFlow {version('tensorflow')}", f"Keras {version('keras')}"]
    if torch:
        versions.append(f"PyTorch {torch_version(torch)}")
    return "; ".join(
        [f"{processor()}, {os.cpu_count()} cores", ", ".join(versions), f"Python {platform.python_version()}"]
        + ([f"ganlab at {state}"] if state else [])
        + [str(datetime.date.today())]
    )


def main() -> None:
    """Run the sections that are asked for, one after the other; each is printed and written when it is done."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter with PyTorch; without it, no PyTorch")
    parser.add_argument("--only", action="append", choices=tuple(SECTIONS), help="a section; may be given again")
    parser.add_argument("--rounds", type=int, default=FEWEST, help="turns of each side (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="hardly any steps: does it run?")
    parser.add_argument("--also", action="append", default=[], metavar="SETTING", help="for every run of ganlab")
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    chosen = parser.parse_args()
    names = chosen.only or list(SECTIONS)
    if chosen.rounds < 1:
        parser.error(f"--rounds={chosen.rounds} measures nothing; use at least 1")
    if chosen.write and ((chosen.rounds < FEWEST and names != ["growth"]) or chosen.quick or chosen.also):
        parser.error(f"--write keeps only figures of --rounds={FEWEST} or more, without --quick and --also")
    if chosen.write and {"peers", "guides", "bfloat16"} & set(names) and not chosen.torch:
        parser.error("--write of peers, guides or bfloat16 would lose rows; give --torch PYTHON or leave them out")
    python = shutil.which(chosen.torch) if chosen.torch else None
    if chosen.torch and not python:
        parser.error(f"--torch={chosen.torch} is no interpreter; give the path of a python that has PyTorch")
    python = os.path.abspath(python) if python else None  # noqa: PTH100 - a link, as in an environment, stays one
    if not python:
        print("PyTorch is skipped: no --torch PYTHON was given.", flush=True)
    race = Race(chosen.rounds, python, tuple(chosen.also), chosen.quick)
    state = commit()  # before the first table is written, which changes it
    for name in names:
        count = f"Medians of {race.rounds} rounds with their quartiles." if race.rounds > 1 else "One round."
        quick = " Hardly any steps: these figures mean nothing." if race.quick else ""
        heading = [machine(python if name in ("peers", "bfloat16") else None, state), "", count + quick, ""]
        lines = [*heading, *SECTIONS[name](race)]
        print("\n".join(["", f"## {name}", "", *lines]), flush=True)
        if chosen.write:
            write_into(PAGE, name, lines)


if __name__ == "__main__":
    main()
