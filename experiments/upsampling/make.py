"""Keep a study: its report, its rows on the page beside this file, and what `compare` reads of its runs.

python -m ganlab.train experiment=upsampling_photos
python -m ganlab.compare outputs/upsampling_photos
python experiments/upsampling/make.py outputs/upsampling_photos photos
"""

import shutil
import sys
import tarfile
from pathlib import Path

from ganlab.report.figures import last_grids
from ganlab.report.sentences import answer, leading, shown_effect, shown_interval
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


def keep_runs(folder: Path, study: Study, target: Path) -> None:
    """Pack what `compare` reads of the runs, without networks: all their numbers, and the pictures of one seed."""
    shown = last_grids(study)
    with tarfile.open(target, "w:xz", preset=9) as packed:
        for path in sorted(folder.glob("*/result.json")):
            kept = ["config.json", "result.json", "metrics.jsonl"]
            if shown and path.parent.name.endswith(f"seed{shown.seed}"):
                kept += [max((path.parent / "samples").glob("step-*.png")).relative_to(path.parent)]
                kept += ["samples/real.png", "pictures/spectrum.png"]
            for name in filter(lambda name, run=path.parent: (run / name).exists(), kept):
                packed.add(path.parent / name, f"{folder.name}/{path.parent.name}/{name}", filter=_anonymous)


def _anonymous(file: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without whose it was, and when: the same runs give the same bytes."""
    file.uid = file.gid = file.mtime = 0
    file.uname = file.gname = ""
    return file


def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    study = compare_study(folder)
    shutil.rmtree(HERE / name, ignore_errors=True)
    shutil.copytree(folder / "report", HERE / name)
    keep_runs(folder, study, HERE / name / "runs.tar.xz")
    write_into(HERE / "README.md", name, rows(study))


if __name__ == "__main__":
    main()
