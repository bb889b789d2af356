"""What does the one published matched table say, asked with ganlab's statistics?

    python experiments/published_table/analyse.py            prints the tables, seconds
    python experiments/published_table/analyse.py --write    and puts them and the figure into README.md

Chandrasegaran, Tran and Cheung 2021, arXiv:2103.17195: FID of three GANs whose last upsampling layer was exchanged.
"""

import argparse
import csv
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganlab.study.statistics import Comparison, holm, paired_comparison

HERE = Path(__file__).parent
TABLE = HERE / "fid.csv"
sys.path.append(str(HERE.parent / "speed"))

from turns import table, write_into  # noqa: E402 - found there

GANS = ("DCGAN", "LSGAN", "WGAN-GP")
TAILS = ("1.3", "1.5", "1.7", "3.5")
"""How many convolutions follow the enlargement, and how wide they are."""
NAMES = {"N": "nearest", "Z": "zero insertion", "B": "bilinear", "Baseline": "baseline"}
AMONG = (("N", "Z"), ("B", "Z"), ("N", "B"))
AGAINST = (("N", "Baseline"), ("Z", "Baseline"), ("B", "Baseline"))
LEVEL = 0.95


def read_table() -> dict[str, np.ndarray]:
    """Fréchet Inception distances by set-up, one for each GAN: {"N.1.3": [3]}."""
    with TABLE.open(newline="") as lines:
        return {row["set_up"]: np.array([float(row[gan]) for gan in GANS]) for row in csv.DictReader(lines)}


def blocks(fid: dict[str, np.ndarray], arm: str) -> np.ndarray:
    """What an arm scored in the twelve blocks, [GAN, tail]; the baseline has one tail, which stands for all four."""
    return np.stack([fid["Baseline" if arm == "Baseline" else f"{arm}.{tail}"] for tail in TAILS], axis=1)


class Answer(NamedTuple):
    """A pair of arms: what `paired_comparison` says of their log ratios, and p after Holm over the family."""

    arm: str
    reference: str
    ratios: np.ndarray
    comparison: Comparison
    adjusted: float

    @property
    def verdict(self) -> str:
        """That of the comparison, unless Holm takes it back."""
        return self.comparison.verdict if self.adjusted <= 1 - LEVEL else "inconclusive"

    def row(self) -> list[str]:
        """The cells under HEADS."""
        c = self.comparison
        agree = np.count_nonzero(self.ratios * math.copysign(1, c.mean) > 0)
        return [
            f"{NAMES[self.arm]} / {NAMES[self.reference]}",
            f"{math.exp(c.mean):.2f}",
            " ".join(f"{math.exp(mean):.2f}" for mean in self.ratios.mean(axis=1)),
            f"{agree} of {c.runs}",
            f"{c.mean:+.3f} ({c.low:+.3f} to {c.high:+.3f})",
            f"{c.p_value:.4f}",
            f"{self.adjusted:.4f}",
            f"{c.effect_size:+.2f}",
            self.verdict,
        ]


HEADS = ("FID of", "ratio", f"in {', '.join(GANS)}", "blocks with that sign", "log ratio (95 % interval)", "exact p",
         "Holm", "effect size", "the first is")  # fmt: skip


def compare(fid: dict[str, np.ndarray], pairs: Sequence[tuple[str, str]]) -> list[Answer]:
    """Each pair of arms over the twelve blocks; p values adjusted for all pairs that are given."""
    ratios = [np.log(blocks(fid, arm) / blocks(fid, reference)) for arm, reference in pairs]
    said = [paired_comparison(values.ravel(), level=LEVEL) for values in ratios]
    adjusted = holm([comparison.p_value for comparison in said])
    return [
        Answer(*pair, values, comparison, float(p))
        for pair, values, comparison, p in zip(pairs, ratios, said, adjusted, strict=True)
    ]


def cuts(fid: dict[str, np.ndarray]) -> list[list[str]]:
    """The pairs of AMONG on other choices of blocks: rows of the choice, and ratio, interval and exact p of each."""
    every = [answer.ratios for answer in compare(fid, AMONG)]
    choices = {
        "all 12": np.ravel,
        "9, without the wider tail 3.5": lambda ratios: ratios[:, :3].ravel(),
        "4 tails, mean over GANs": lambda ratios: ratios.mean(axis=0),
        "3 GANs, mean over tails": lambda ratios: ratios.mean(axis=1),
    }
    rows = []
    for name, cut in choices.items():
        said = [paired_comparison(cut(ratios), level=LEVEL) for ratios in every]
        rows.append([name, *(f"{_ratio(c)}, {c.p_value:.3f}" for c in said)])
    return rows


def _ratio(c: Comparison) -> str:
    return f"{math.exp(c.mean):.2f} ({math.exp(c.low):.2f} to {math.exp(c.high):.2f})"


def results() -> dict[str, list[str]]:
    """The lines of the page's three places."""
    fid = read_table()
    told = {
        name: table(HEADS, [answer.row() for answer in compare(fid, pairs)])
        for name, pairs in (("among", AMONG), ("against", AGAINST))
    }
    heads = [f"{NAMES[arm]} / {NAMES[reference]}" for arm, reference in AMONG]
    return told | {"cuts": table(["pairs", *heads], cuts(fid))}


def draw(path: Path) -> None:
    """The paired plot: a panel for each GAN, a line for each tail from arm to arm, the baseline across.

    The table goes into the file, so that a test can see whether the figure is current.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    fid = read_table()
    figure, axes = plt.subplots(1, 3, figsize=(10, 4), layout="constrained")
    styles = {"1.3": ("#0072b2", "-"), "1.5": ("#d55e00", "--"), "1.7": ("#009e73", "-."), "3.5": ("#7f3c8d", ":")}
    for number, (axis, gan) in enumerate(zip(axes, GANS, strict=True)):
        axis.axhline(fid["Baseline"][number], color="0.75", linewidth=4, label="baseline")
        for tail, (colour, style) in styles.items():
            values = [fid[f"{arm}.{tail}"][number] for arm in "ZNB"]
            axis.plot(range(3), values, style, color=colour, marker="o", linewidth=1.8, label=tail)
        axis.set_xticks(range(3), [NAMES[arm].replace(" ", "\n") for arm in "ZNB"])
        axis.set_xlim(-0.25, 2.25)
        axis.set_title(gan)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("FID (smaller is better)")
    figure.legend(*axes[0].get_legend_handles_labels(), title="convolutions\nand kernel", loc="outside right center",
                  handlelength=3.5, frameon=False)  # fmt: skip
    figure.savefig(path, dpi=110, metadata={"Description": TABLE.read_text()})
    plt.close(figure)


def main() -> None:
    """Print the tables; with --write put them and the figure into the folder."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put tables and figure into README.md")
    chosen = parser.parse_args()
    for name, lines in results().items():
        print("\n".join(lines), end="\n\n")
        if chosen.write:
            write_into(HERE / "README.md", name, lines)
    if chosen.write:
        draw(HERE / "paired.png")


if __name__ == "__main__":
    main()
