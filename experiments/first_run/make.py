"""The picture and tables of the tutorial and the page about operators, from the runs of their own sweep:

python -m ganlab.train -m study=first generator=upsample,transpose seed=0,1,2
python experiments/first_run/make.py outputs/first

Without a study it writes the table of the operators alone, from their YAML files.
"""

import re
import sys
from pathlib import Path

import matplotlib
import yaml

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from ganlab.cli.choices import CONF, options
from ganlab.config import Digits
from ganlab.data.digits import digits
from ganlab.run.sampler import open_sampler
from ganlab.runs.grids import grid
from ganlab.runs.result import find_results

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs"
NAMES = {"frechet_distance": 2, "precision": 2, "recall": 2, "density": 2, "coverage": 2}


def picture_of(pixels: np.ndarray) -> np.ndarray:
    """Images in a grid, [rows,across]."""
    return grid(pixels)[..., 0]


def picture(study: Path) -> None:
    """Samples of both arms, seed 0, beside real digits."""
    results = {result.variant: result for result in find_results(study) if result.seed == 0}
    panels = {}
    for arm, words in (("upsample", "UpSampling2D + Conv2D"), ("transpose", "Conv2DTranspose")):
        sampler, _ = open_sampler(results[arm].path.parent)
        panels[f"{words}\n{results[arm].seconds:.0f} s of training, 2 CPU cores"] = picture_of(
            sampler.sample("latents/samples", 48)
        )
    real = digits(Digits(name="digits", size=8, channels=1, held_out=0.2)).held_out.pixels
    chosen = np.random.default_rng(0).permutation(len(real))[:48]
    panels["real digits, never shown\n8 x 8 pixels, scikit-learn"] = picture_of(real[chosen])
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
    for axis, (title, pixels) in zip(axes, panels.items(), strict=True):
        axis.imshow(pixels, cmap="gray", interpolation="nearest")
        axis.set_title(title, fontsize=11)
        axis.axis("off")
    figure.savefig(HERE / "digits.png", dpi=110)


def table(study: Path) -> str:
    """A row for each run, and one for real images under the same protocol."""
    head = [name.replace("_", " ").replace("frechet", "Fréchet") for name in NAMES]
    lines = [f"| | {' | '.join(head)} | seconds |", "|---" * (len(head) + 2) + "|"]
    results = sorted(find_results(study), key=lambda result: (result.variant, result.seed))
    for result in results:
        cells = [f"{result.metrics[name]:.{places}f}" for name, places in NAMES.items()]
        lines.append(f"| {result.variant}, seed {result.seed} | {' | '.join(cells)} | {result.seconds:.0f} |")
    floor = results[0].real_against_real
    cells = [f"{floor[name]:.{places}f}" for name, places in NAMES.items()]
    return "\n".join([*lines, f"| real training digits | {' | '.join(cells)} | |"])


def arms() -> str:
    """A row for each choice of generator, with the first comment of its YAML."""
    lines = ["| `generator=` | operator |", "|---|---|"]
    for name in options("generator"):
        text = (CONF / "generator" / f"{name}.yaml").read_text()
        settings = yaml.safe_load(text)["upsampling"]
        kernel = f"{settings['name']}, kernel {settings['kernel_size']}"
        lines.append(f"| `{name}` | {text.splitlines()[0].lstrip('# ')} ({kernel}) |")
    return "\n".join(lines)


def main() -> None:
    tables = [("arms", DOCS / "operators.md", arms())]
    if len(sys.argv) > 1:
        study = Path(sys.argv[1])
        picture(study)
        tables.append(("table", DOCS / "tutorial.md", table(study)))
    for name, page, content in tables:
        block = f"<!-- {name} -->\n{content}\n<!-- end -->"
        text, found = re.subn(rf"<!-- {name} -->.*?<!-- end -->", lambda _, b=block: b, page.read_text(), flags=re.S)
        assert found == 1, name
        page.write_text(text)


if __name__ == "__main__":
    main()
