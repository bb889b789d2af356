"""Whether seeds can give a verdict is said before the runs, by the rules of the comparison."""

import re

import pytest

from ganlab.config.comparison import Comparing
from ganlab.launch.sweep import prospects
from ganlab.report.sentences import can_decide
from ganlab.runs.result import RunResult
from ganlab.study.arms import Arm
from ganlab.study.compare import compare_arms

PLAN = Comparing()


def configs(**arms):
    """Settings of runs: `fir=range(3)` are three seeds of an arm."""
    return [{"seed": seed, "study": "s", "generator": {"name": name}} for name, seeds in arms.items() for seed in seeds]


@pytest.mark.parametrize("others", [1, 2, 3, 6])
@pytest.mark.parametrize("seeds", range(1, 11))
def test_what_is_said_before_is_what_compare_finds_in_the_best_case(others, seeds):
    """Two routes: the line, and a study in which every arm beats the reference in every pair."""
    names = ["transpose", *(f"arm{n}" for n in range(others))]
    (line,) = can_decide(configs(**dict.fromkeys(names, range(seeds))), PLAN)
    arms = []
    for place, name in enumerate(names):
        runs = {
            seed: RunResult(status="finished", variant=name, seed=seed, config={},
                            metrics={"frechet_distance": (1 if place else 3) * (1 + 0.01 * seed * (1 + place))})
            for seed in range(seeds)
        }  # fmt: skip
        arms.append(Arm(name, {"generator.name": name}, runs))
    found = compare_arms(arms, PLAN).comparisons["frechet_distance"]
    decided = {comparison.verdict for comparison in found} == {"better"}
    assert ("can give a verdict" in line) == decided, line
    adjusted = max(comparison.p_adjusted if others > 1 else comparison.paired.p_value for comparison in found)
    assert float(re.search(r" is (\S+?)(;| after|$)", line)[1]) == pytest.approx(adjusted, rel=0.05)
    if not decided:
        fewest = int(re.search(r"(\d+) seeds are the fewest", line)[1])
        assert "can give a verdict" in can_decide(configs(**dict.fromkeys(names, range(fewest))), PLAN)[0]
        assert "no verdict" in can_decide(configs(**dict.fromkeys(names, range(fewest - 1))), PLAN)[0]


@pytest.mark.parametrize(("runs", "lines"), [
    (configs(transpose=range(3), upsample=range(3)),
     ["3 seeds can give no verdict of better or worse: the smallest p value of 2 arms with 3 pairs is 0.25; "
      "6 seeds are the fewest"]),
    (configs(transpose=range(6), upsample=range(6)),
     ["6 seeds can give a verdict: the smallest p value of 2 arms with 6 pairs is 0.031"]),
    (configs(transpose=range(6), upsample=range(6), fir=range(6)),
     ["6 seeds can give no verdict of better or worse: the smallest p value of 3 arms with 6 pairs is 0.062 after "
      "Holm's adjustment over 2 comparisons; 7 seeds are the fewest"]),
    (configs(transpose=range(8), upsample=range(8), fir=range(5)),
     ["no verdict is possible for fir against transpose, which takes 6 pairs: fir has 5",
      "fir lacks seeds 5, 6 and 7, which other arms have: they are in no pair with it"]),
    (configs(transpose=range(6), upsample=range(6, 12)),
     ["0 common seeds can give no verdict of better or worse: the smallest p value of 2 arms with 0 pairs is 1; "
      "6 seeds are the fewest",
      "transpose lacks seeds 6, 7, 8, 9, 10 and 11, which other arms have: they are in no pair with it",
      "upsample lacks seeds 0, 1, 2, 3, 4 and 5, which other arms have: they are in no pair with it"]),
    (configs(transpose=range(3)), ["one arm: there is nothing to compare it with"]),
])  # fmt: skip
def test_what_is_said(runs, lines):
    assert can_decide(runs, PLAN) == lines


def test_arms_that_compare_would_refuse_are_told_before():
    runs = configs(transpose=range(6), upsample=range(6))
    for run in runs[6:]:
        run["training"] = {"steps": 20}
    (line,) = can_decide(runs, PLAN)
    assert line.startswith("no verdict: the study has runs that differ not only in the generator but also in ")


def test_a_reference_that_is_no_arm_is_told_before():
    (line,) = can_decide(configs(transpose=range(6), upsample=range(6)), Comparing(reference="transpos"))
    assert line.startswith("no verdict: comparison.reference=transpos is not an arm; did you mean transpose? ")


def test_seeds_that_a_folder_holds_already_count(tmp_path, capsys):
    from ganlab.cli.hydra import plan
    from ganlab.files import write_json

    line = ["generator=upsample,transpose", f"hydra.sweep.dir={tmp_path}"]
    first = plan([*line, "seed=range(4)"], multirun=True)
    assert prospects(first)[0].startswith("4 seeds can give no verdict")
    for cell in first.cells:
        cell.directory.mkdir()
        write_json(cell.directory / "config.json", cell.config.model_dump(mode="json"))
    (other,) = prospects(plan([*line, "seed=4,5", "comparison.quality=coverage"], multirun=True))
    assert other.startswith(
        "no verdict: the runs have different plans for their comparison, comparison.quality: coverage and"
    )
    aside = tmp_path / "forgotten" / "x"
    aside.mkdir(parents=True)
    (aside / "config.json").write_text((first.cells[0].directory / "config.json").read_text())
    assert prospects(plan([*line, "seed=4,5"], multirun=True)) == [
        "6 seeds can give a verdict: the smallest p value of 2 arms with 6 pairs is 0.031"
    ]
