"""Keep a study: its report, and its rows on the page beside this file.

python -m ganlab.train experiment=upsampling_digits
python -m ganlab.compare outputs/upsampling_digits
python experiments/upsampling/make.py outputs/upsampling_digits digits
"""

import shutil
import sys
from pathlib import Path

from ganlab.reporting.judge import judge
from ganlab.reporting.study import Judgement, Study
from ganlab.reporting.words import answer, directed, leading, shown_effect

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "speed"))
from turns import write_into  # noqa: E402  (beside the experiments on speed)


def effect(judgement: Judgement) -> str:
    """The verdict, the effect and its interval."""
    mean, low, high = (shown_effect(judgement.endpoint, value) for value in directed(judgement))
    return f"**{judgement.verdict}** {mean} ({low} to {high})"


def rows(study: Study) -> list[str]:
    """A row for each arm: what it scores in the primary metric, and how it stands in each endpoint."""
    endpoints = leading(study)
    head = ["arm", endpoints[0].metric, *(f"{endpoint.title}" for endpoint in endpoints)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for summary in study.summaries[endpoints[0].metric]:
        cells = [f"`{summary.arm}`", f"{summary.mean:.3g} ± {summary.sd:.2g}"]
        for endpoint in endpoints:
            found = [each for each in study.judgements[endpoint.metric] if each.arm == summary.arm]
            cells.append(effect(found[0]) if found else "reference")
        lines.append(f"| {' | '.join(cells)} |")
    return [answer(study), "", *lines]


def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    shutil.rmtree(HERE / name, ignore_errors=True)
    shutil.copytree(folder / "report", HERE / name)
    write_into(HERE / "README.md", name, rows(judge(folder)))


if __name__ == "__main__":
    main()
