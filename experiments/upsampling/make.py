"""Keep a study: its report, its rows on the page beside this file, and what `compare` reads of its runs.

python -m ganlab.train experiment=upsampling_photos
python -m ganlab.compare outputs/upsampling_photos
python experiments/upsampling/make.py outputs/upsampling_photos photos
python experiments/upsampling/make.py experiments/upsampling/photos/runs.tar.xz photos
"""

import contextlib
import sys
from pathlib import Path

from ganlab.report.figures import shown_files
from ganlab.report.sentences import answer, leading, shown_effect, shown_interval
from ganlab.report.writing import write_report
from ganlab.study.archive import open_archive, write_archive
from ganlab.study.compare import compare_study
from ganlab.study.values import ArmComparison, Study

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "speed"))
from turns import write_into  # noqa: E402  (beside the experiments on speed)


def effect(comparison: ArmComparison) -> str:
    """The verdict, the effect and its interval."""
    mean, low, high = comparison.own
    interval = shown_interval(comparison.endpoint, low, high)
    return f"**{comparison.verdict}** {shown_effect(comparison.endpoint, mean)} ({interval})"


def rows(study: Study) -> list[str]:
    """A row for each arm: what it scores in the primary metric, and how it stands in each endpoint."""
    endpoints = leading(study)
    head = ["arm", endpoints[0].metric, *(f"{endpoint.title}" for endpoint in endpoints)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for summary in study.summaries[endpoints[0].metric]:
        cells = [f"`{summary.arm}`", f"{summary.mean:.3g} ± {summary.sd:.2g}"]
        for endpoint in endpoints:
            found = [each for each in study.comparisons[endpoint.metric] if each.arm == summary.arm]
            cells.append(effect(found[0]) if found else "reference")
        lines.append(f"| {' | '.join(cells)} |")
    return [answer(study), "", *lines]


def main() -> None:
    source, name = Path(sys.argv[1]), sys.argv[2]
    with open_archive(source) if source.is_file() else contextlib.nullcontext(source) as folder:
        study = compare_study(folder)
        write_report(study, HERE / name)
        write_archive(folder, HERE / name / "runs.tar.xz", shown_files(study))
        write_into(HERE / "README.md", name, rows(study))


if __name__ == "__main__":
    main()
