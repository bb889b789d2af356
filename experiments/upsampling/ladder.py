"""Which metrics may decide on the data sets of the studies? Known faults of real images, under the studies' protocol.

    python experiments/upsampling/ladder.py digits shapes mnist=mnist.npz cifar10=cifar10.zip --write

No GAN is trained. Runs of a study make the same table in their reports.
"""

import argparse
import json
import sys
from pathlib import Path

from ganlab import device
from ganlab.cli.hydra import plan
from ganlab.evaluation.registry import RUNG_NOISE, WITHOUT_CLASS, Rungs
from ganlab.run.measuring import open_images, prepare
from ganlab.study.compare import admitted, missed_fault

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "speed"))
from turns import write_into  # noqa: E402  (beside the experiments on speed)

SHOWN = ("mean", "classifier", "pca", "random")


def climb(name: str, path: str) -> dict[str, Rungs]:
    """What each metric makes of each rung, with the protocol of experiment=upsampling_NAME."""
    files = [f"dataset.path={path}", *(["dataset=folder"] if path.endswith(".zip") else [])] if path else []
    settings = [f"experiment=upsampling_{name}", "hydra.mode=RUN", *files]
    config = plan(settings, multirun=False).cells[0].config
    return prepare(config, open_images(config), say=print).ladder


def rows(name: str, ladder: dict[str, Rungs]) -> list[str]:
    """A Markdown table of the Fréchet distances, and the names of all metrics that are admitted."""
    distances = {kind: ladder[f"full/{kind}/frechet_distance"] for kind in SHOWN}
    rungs = [rung for rung in distances["mean"] if rung != RUNG_NOISE and not rung.startswith(WITHOUT_CLASS)]
    lines = [f"**{name}**", "", f"| Fréchet distance of | {' | '.join(SHOWN)} |", "|---" * (len(SHOWN) + 1) + "|"]
    lines += [f"| {rung} | {' | '.join(f'{distances[kind][rung]:.3g}' for kind in SHOWN)} |" for rung in rungs]
    classes = {
        kind: [value for rung, value in distances[kind].items() if rung.startswith(WITHOUT_CLASS)] for kind in SHOWN
    }
    if classes["mean"]:
        cells = [f"{sum(of) / len(of):.3g} ({min(of):.3g} to {max(of):.3g})" for of in classes.values()]
        lines.append(f"| a missing class, mean of {len(classes['mean'])} | {' | '.join(cells)} |")
    verdicts = []
    for kind in SHOWN:
        against = missed_fault(f"full/{kind}/frechet_distance", distances[kind])
        verdicts.append("yes" if against is None else f"no: {against[0]} against {against[1]}")
    lines.append(f"| may decide | {' | '.join(verdicts)} |")
    return [*lines, "", f"All that may decide: {', '.join(f'`{metric}`' for metric in admitted(ladder))}."]


def main() -> None:
    """Climb the ladders of the data sets that are named, print the tables, and write them where asked to."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "datasets", nargs="+", metavar="NAME[=PATH]", help="digits, shapes, mnist=FILE.npz, cifar10=FILE"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the tables into README.md, the values into ladders.json"
    )
    chosen = parser.parse_args()
    device.start("float32")
    for each in chosen.datasets:
        name, _, path = each.partition("=")
        ladder = climb(name, path)
        told = rows(name, ladder)
        print("\n".join(told), flush=True)
        if chosen.write:
            kept = HERE / "ladders.json"
            ladders = json.loads(kept.read_text()) if kept.exists() else {}
            kept.write_text(json.dumps(ladders | {name: ladder}, indent=1, sort_keys=True) + "\n")
            write_into(HERE / "README.md", f"ladder {name}", told)


if __name__ == "__main__":
    main()
