"""Keep a study: its report, its rows on the page beside this file, and what `compare` reads of its runs.

python -m ganlab.train experiment=upsampling_cifar10
python -m ganlab.compare outputs/upsampling_cifar10
python experiments/upsampling/make.py outputs/upsampling_cifar10 cifar10
python experiments/upsampling/make.py experiments/upsampling/cifar10/runs.tar.xz cifar10
"""

import contextlib
import sys
from pathlib import Path

from ganlab.report.figures import shown_files
from ganlab.report.sentences import answer, show_effect, show_interval
from ganlab.report.writing import write_report
from ganlab.study.archive import open_archive, write_archive
from ganlab.study.compare import ArmComparison, Study, compare_study

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "speed"))
from turns import write_into  # noqa: E402  (beside the experiments on speed)


def effect(comparison: ArmComparison) -> str:
    """The verdict, the effect and its interval; where runs collapsed, how many instead: no mean is shown there."""
    if not comparison.has_interval:
        ours, theirs = comparison.worst("collapsed")
        return f"**{comparison.verdict}** by ranks: {ours} collapsed, {theirs} of the reference"
    mean, low, high = comparison.effect
    interval = show_interval(comparison.endpoint, low, high)
    return f"**{comparison.verdict}** {show_effect(comparison.endpoint, mean)} ({interval})"


def rows(study: Study) -> list[str]:
    """A row for each arm: what it scores in the primary metric, and how it stands in each endpoint."""
    endpoints = study.leading
    head = ["arm", endpoints[0].metric, *(f"{endpoint.title}" for endpoint in endpoints)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for summary in study.summaries[endpoints[0].metric]:
        (arm,) = [each for each in study.arms if each.label == summary.arm]
        of = f" ({summary.runs} of {len(arm.runs)} runs)" if summary.runs < len(arm.runs) else ""
        cells = [f"`{summary.arm}`", f"{summary.mean:.3g} ± {summary.sd:.2g}{of}"]
        for endpoint in endpoints:
            found = [each for each in study.comparisons[endpoint.metric] if each.arm == summary.arm]
            cells.append(effect(found[0]) if found else "reference")
        lines.append(f"| {' | '.join(cells)} |")
    return [answer(study), "", *lines, *kinds(study)]


def kinds(study: Study) -> list[str]:
    """Another table where kinds of features decide together: what each of them says, and what others would."""
    comparisons = study.comparisons[study.leading[0].metric]
    if not comparisons[0].kinds:
        return []
    deciding = [kind.endpoint.metric for kind in comparisons[0].kinds]
    beside = [metric for metric in study.comparisons if metric.split("/")[-1] == deciding[0].split("/")[-1]]
    columns = [*deciding, *sorted(metric for metric in beside if metric.startswith("full/") and "/mean/" not in metric
                                  and metric not in deciding)]  # fmt: skip
    names = [
        f"through {metric.split('/')[1]}{'' if metric in deciding else ' (does not decide)'}" for metric in columns
    ]
    lines = ["", f"| arm | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for place, comparison in enumerate(comparisons):
        cells = [effect(study.comparisons[metric][place]) for metric in columns]
        lines.append(f"| `{comparison.arm}` | {' | '.join(cells)} |")
    return lines


def main() -> None:
    source, name = Path(sys.argv[1]), sys.argv[2]
    with open_archive(source) if source.is_file() else contextlib.nullcontext(source) as folder:
        study = compare_study(folder)
        write_report(study, HERE / name)
        write_archive(folder, HERE / name / "runs.tar.xz", shown_files(study))
        write_into(HERE / "README.md", name, rows(study))


if __name__ == "__main__":
    main()
