import json
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from ganlab.config import Comparing
from ganlab.report.sentences import answer, describe_comparison, describe_gap, pairs_needed, robust_columns
from ganlab.report.writing import as_json, scores
from ganlab.runs.result import ResultError, RunResult
from ganlab.study.arms import Arm, by_number, labels_of
from ganlab.study.compare import ChosenAfterwards, Gap, compare_arms
from ganlab.study.statistics import paired_comparison, signed_rank_test

PLAN = Comparing(reference="theirs", question="Which one?")


def run(seed, metrics, status="finished"):
    return RunResult(
        status=status,
        variant="x",
        seed=seed,
        config={},
        metrics=metrics,
        parameters={"generator": 10, "discriminator": 5},
        versions={"numpy": "2.4"},
        device="cpu",
    )


def arm(label, values, metric="frechet_distance", **columns):
    """Values by seed: a number, or the word for what became of the run; None for no run."""
    runs = {}
    for seed, value in enumerate(values):
        if isinstance(value, str):
            runs[seed] = run(seed, {}, value)
        elif value is not None:
            runs[seed] = run(seed, {metric: value} | {name: column[seed] for name, column in columns.items()})
    return Arm(label, {}, runs)


def only(study, metric="frechet_distance"):
    (comparison,) = study.comparisons[metric]
    return comparison


LOW = [1.0, 1.1, 1.2, 1.0, 0.9, 1.3, 1.15, 1.05]
HIGH = [low * ratio for low, ratio in zip(LOW, [1.5, 1.4, 1.6, 1.5, 1.45, 1.55, 1.35, 1.42], strict=True)]


def test_a_diverged_run_is_the_worst_and_not_dropped():
    comparison = only(compare_arms([arm("ours", [*LOW[:6], "diverged", "diverged"]), arm("theirs", HIGH)], PLAN))
    logs = np.log(LOW[:6]) - np.log(HIGH[:6])
    finished = scipy.stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    c = comparison.paired
    assert (*comparison.effect[1:], c.runs) == pytest.approx((finished.low, finished.high, 6))
    assert (c.low, c.high) == pytest.approx((-finished.high, -finished.low))  # there more is better
    # of the finished pairs alone it would be better, p = 2/64; the two largest ranks of 8 are against it
    assert paired_comparison(logs).verdict == "better"
    every = scipy.stats.PermutationMethod(n_resamples=np.inf)  # exact where sizes tie, as two ratios here do
    assert c.p_value == scipy.stats.wilcoxon([*np.round(logs, 9), 99, 99], method=every).pvalue > 0.05
    assert comparison.by_ranks
    assert comparison.verdict == "inconclusive"
    assert comparison.worst("diverged") == (2, 0)
    assert describe_comparison(comparison) == (
        "ours against theirs is inconclusive: "
        f"{100 * math.expm1(logs.mean()):+.1f} %, 95 % interval {100 * math.expm1(finished.low):+.1f} % to "
        f"{100 * math.expm1(finished.high):+.1f} % over the 6 finished pairs only, p = {c.p_value:.3g} by ranks "
        "over 8 pairs; of 8 runs each, 2 of ours and 0 of theirs diverged, and count as the worst."
    )


@pytest.mark.parametrize("swapped", [False, True])
def test_an_arm_that_always_diverges_is_worse(swapped):
    lost, fine = arm("ours", ["diverged"] * 8), arm("theirs", LOW)
    if swapped:
        lost, fine = lost._replace(label="theirs"), fine._replace(label="ours")
    comparison = only(compare_arms([lost, fine], PLAN))
    assert comparison.verdict == ("better" if swapped else "worse")
    assert comparison.paired.p_value == 2 / 2**8
    assert math.isnan(comparison.paired.mean)
    counts = "0 of ours and 8 of theirs" if swapped else "8 of ours and 0 of theirs"
    assert describe_comparison(comparison).endswith(
        f"no interval of a mean, p = 0.00781 by ranks over 8 pairs; of 8 runs each, {counts} diverged, and count as the "
        "worst."
    )


def test_an_arm_that_always_diverges_has_no_sizes():
    name = "checkerboard_index_2"
    for labels in (("ours", "theirs"), ("theirs", "ours")):
        study = compare_arms([arm(labels[0], LOW, name), arm(labels[1], ["diverged"] * 8, name)], PLAN)
        assert "no interval of a mean, p = 0.00781 by ranks" in describe_comparison(only(study, name))


def test_the_side_of_a_metric_that_is_better_when_larger():
    plan = Comparing(reference="theirs", quality="coverage")
    ours = arm("ours", [0.9, 0.8, 0.85, 0.9, 0.95, 0.88, 0.91], "coverage")
    theirs = arm("theirs", [0.5, 0.6, "diverged", 0.5, 0.6, 0.55, "diverged"], "coverage")
    comparison = only(compare_arms([ours, theirs], plan), "coverage")
    assert signed_rank_test([*[1.0] * 5, math.inf, math.inf]).p_value == 2 / 2**7
    assert (comparison.verdict, comparison.paired.p_value) == (
        "better",
        3 * 2 / 2**7,
    )  # of the signs, a third of the level
    assert comparison.worst("diverged") == (0, 2)


def test_where_both_diverge_neither_is_worse():
    values = [1.0, 1.01, 0.99, 1.0, 1.02, 0.98]
    ours, theirs = [*values, "diverged", "diverged"], [*values[::-1], "diverged", "diverged"]
    comparison = only(compare_arms([arm("ours", ours), arm("theirs", theirs)], PLAN))
    assert comparison.verdict == "equivalent"
    assert not comparison.by_ranks
    assert describe_comparison(comparison).endswith(", 6 pairs; both runs diverged or collapsed in 2 pairs.")
    comparison = only(compare_arms([arm("ours", ours[1:]), arm("theirs", theirs[1:])], PLAN))
    assert describe_comparison(comparison).endswith(
        ", 5 pairs; both runs diverged or collapsed in 2 pairs."  # equivalent: better or worse would need 6
    )
    worse = [value if value == "diverged" else 2 * value for value in ours[1:]]
    comparison = only(compare_arms([arm("ours", worse), arm("theirs", theirs[1:])], PLAN))
    assert "needs at least 6 pairs in which not both runs are the worst, this study has 5;" in describe_comparison(
        comparison
    )
    theirs[7] = 1.0
    comparison = only(compare_arms([arm("ours", ours), arm("theirs", theirs)], PLAN))
    assert comparison.verdict == "inconclusive"  # equivalent no more
    assert comparison.by_ranks
    assert comparison.worst("diverged") == (2, 1)
    assert comparison.paired.p_value == 1  # neither the finished pairs nor one failure more say anything


def collapsed(label, values, coverages):
    return arm(label, values, coverage=coverages)


def test_a_collapsed_run_is_the_worst_in_every_metric():
    # Six runs with half the distance, four that ended in one flat colour and have no spectrum.
    ours = collapsed("ours", [0.5 * high for high in HIGH[:6]] + [9.0] * 4, [0.8] * 6 + [0.01] * 4)
    theirs = collapsed("theirs", [*HIGH, 1.5, 1.6], [0.8] * 10)
    for each in (ours, theirs):
        for seed, one in each.runs.items():
            if one.metrics["coverage"] > 0.1:
                one.metrics["spectral_distance"] = 0.1 * (1 + seed / 10) * (0.5 if each is ours else 1)
    study = compare_arms([ours, theirs], PLAN)
    for metric in ("frechet_distance", "spectral_distance", "coverage"):
        comparison = only(study, metric)
        assert (comparison.verdict, comparison.by_ranks) == ("inconclusive", True), metric
        assert comparison.worst("collapsed") == (4, 0)
        assert not comparison.has_interval
        assert robust_columns(comparison)["Hodges-Lehmann"] == "–"
        assert "no interval of a mean" in describe_comparison(comparison)
        assert "of 10 runs each, 4 of ours and 0 of theirs collapsed, and count as the worst" in describe_comparison(
            comparison
        )
    tree = as_json(study)
    verdict = tree["endpoints"][0]["verdicts"][0]
    assert (verdict["estimate"], verdict["low"], verdict["high"]) == (None, None, None)
    assert verdict["collapsed"] == {"arm": 4, "reference": 0}
    assert tree["arms"][0]["failure_rate"]["collapsed"] == 4
    assert tree["arms"][0]["failure_rate"]["share"] == 0.4
    assert [row["status"] for row in scores(study)][5:7] == ["finished", "collapsed"]
    assert study.summaries["frechet_distance"][0].runs == 6  # the mean is not that of flat colours
    assert study.cautions == (ChosenAfterwards("rule of collapse", "0.05", "none"),)

    without = PLAN.model_copy(update={"collapse": None})
    assert only(compare_arms([ours, theirs], without)).worst("collapsed") == (0, 0)


@pytest.mark.parametrize(("least", "lost"), [(0.05, 0), (0.2, 1), (None, 0)])
def test_collapse_is_measured_against_what_real_images_score(least, lost):
    ours, theirs = collapsed("ours", LOW[:2], [0.09, 0.5]), collapsed("theirs", LOW[:2], [0.5, 0.5])
    for each in (ours, theirs):
        for seed, one in each.runs.items():
            each.runs[seed] = one.model_copy(update={"real_against_real": {"coverage": 0.5}})
    plan = Comparing(reference="theirs", collapse=least)
    assert only(compare_arms([ours, theirs], plan)).worst("collapsed") == (lost, 0)


def test_a_metric_that_a_finished_run_lacks_is_no_smaller_study():
    ours, theirs = arm("ours", LOW), arm("theirs", HIGH)
    assert only(compare_arms([ours, theirs], PLAN)).verdict == "better"
    del ours.runs[7].metrics["frechet_distance"]
    comparison = only(compare_arms([ours, theirs], PLAN))
    assert (comparison.verdict, comparison.unmeasured, comparison.paired.runs) == ("inconclusive", 1, 7)
    assert "no verdict, since finished runs of 1 pair have no value: measure them again" in describe_comparison(
        comparison
    )


def test_few_pairs_that_are_alike_are_not_equivalent():
    values = [1.0, 1.001, 0.999, 1.0, 1.001]
    for pairs, verdict in ((4, "inconclusive"), (5, "equivalent")):
        arms = [arm("ours", values[:pairs]), arm("theirs", values[:pairs][::-1])]
        assert only(compare_arms(arms, PLAN)).verdict == verdict


def drawn(label, kinds):
    """Runs of two kinds of features, [seeds, draws] each, and their geometric mean."""
    runs = {}
    for seed in range(len(kinds["classifier"])):
        draws = {f"full/{kind}/frechet_distance": table[seed].tolist() for kind, table in kinds.items()}
        logs = [np.log(column).mean() for column in draws.values()]
        metrics = {name: float(np.mean(column)) for name, column in draws.items()}
        metrics["full/mean/frechet_distance"] = math.exp(np.mean(logs))
        runs[seed] = run(seed, metrics).model_copy(
            update={"draws": draws, "protocol": {"full": {"mean_over": ["classifier", "pca"]}}}
        )
    return Arm(label, {}, runs)


MEAN = "full/mean/frechet_distance"


def study_of_kinds(classifier, pca, seeds=8, noise=0.02, draws=0.0):
    """One arm that is so much better in logarithms, by kind; noise over seeds; and of an effect over draws."""
    random = np.random.default_rng(3)
    ours, theirs = {}, {}
    for kind, effect in (("classifier", classifier), ("pca", pca)):
        logs = 0.1 * random.standard_normal((seeds, 5))
        theirs[kind] = np.exp(logs)
        effects = effect + draws * random.standard_normal(5) + noise * random.standard_normal((seeds, 1))
        ours[kind] = np.exp(logs + effects)
    plan = Comparing(reference="theirs", quality=MEAN)
    return compare_arms([drawn("ours", ours), drawn("theirs", theirs)], plan)


def test_a_mean_over_kinds_of_features_says_what_each_kind_says():
    study = study_of_kinds(-0.3, -0.2)
    comparison = only(study, MEAN)
    assert comparison.verdict == "better"
    assert [kind.endpoint.metric for kind in comparison.kinds] == [
        "full/classifier/frechet_distance", "full/pca/frechet_distance",
    ]  # fmt: skip
    assert "; through classifier: -" in describe_comparison(comparison)
    kinds = as_json(study)["endpoints"][0]["verdicts"][0]["kinds"]
    assert [kind["verdict"] for kind in kinds] == ["better", "better"]


@pytest.mark.parametrize("pca", [0.2, 0.01])  # better and worse; better, and the other sign
def test_kinds_of_features_that_contradict_each_other_give_no_verdict(pca):
    study = study_of_kinds(-0.5, pca, noise=0.01)
    comparison = only(study, MEAN)
    assert comparison.kinds[0].verdict == "better"
    assert comparison.verdict == "depends on who looks"
    assert answer(study).startswith("Against theirs, ours depends on who looks in quality")
    assert "ours against theirs depends on who looks: " in describe_comparison(comparison)


def test_the_distance_through_inception_is_one_of_the_kinds_by_its_own_name():
    arms = []
    for label, classifier, fid in (("ours", 0.5, 1.3), ("theirs", 1.0, 1.0)):
        values = {"full/classifier/frechet_distance": [classifier * low for low in LOW], MEAN: LOW}
        one = arm(label, [fid * low for low in HIGH], "full/inception/fid", **values)
        for seed, each in one.runs.items():
            one.runs[seed] = each.model_copy(update={"protocol": {"full": {"mean_over": ["classifier", "inception"]}}})
        arms.append(one)
    comparison = only(compare_arms(arms, Comparing(reference="theirs", quality=MEAN)), MEAN)
    assert [kind.verdict for kind in comparison.kinds] == ["better", "worse"]
    assert comparison.verdict == "depends on who looks"


def test_kinds_that_ranks_decide_are_not_contradicted_by_the_pairs_that_are_left():
    logs = {"classifier": np.zeros((10, 5)), "pca": np.zeros((10, 5))}
    ours = drawn("ours", {"classifier": np.exp(logs["classifier"] + 0.3), "pca": np.exp(logs["pca"] - 0.3)})
    theirs = drawn("theirs", {kind: np.exp(table) for kind, table in logs.items()})
    for each in (ours, theirs):
        for seed, one in each.runs.items():
            one.metrics["full/mean/coverage"] = 0.0 if each is ours and seed < 8 else 0.9
    comparison = only(compare_arms([ours, theirs], Comparing(reference="theirs", quality=MEAN)), MEAN)
    assert [kind.verdict for kind in comparison.kinds] == ["worse", "worse"]
    assert comparison.verdict == "worse"


def test_draws_that_some_runs_lack_are_named():
    ours, theirs = (
        drawn(label, {"classifier": np.ones((3, 5)), "pca": np.ones((3, 5))}) for label in ("ours", "theirs")
    )
    ours.runs[1].draws.pop("full/pca/frechet_distance")
    plan = Comparing(reference="theirs", quality=MEAN)
    with pytest.raises(ResultError, match=r"draws.full/pca/frechet_distance=\[\].*measure the run again"):
        compare_arms([ours, theirs], plan)
    for each in (ours, theirs):
        for one in each.runs.values():
            one.draws.clear()
    assert only(compare_arms([ours, theirs], plan), MEAN).paired.runs == 3


def test_the_draw_of_the_features_is_part_of_the_error():
    narrow, wide = (only(study_of_kinds(-0.1, -0.1, draws=draws), MEAN) for draws in (0.0, 0.2))
    assert narrow.verdict == "better"
    assert wide.verdict == "inconclusive"
    needed = pairs_needed(replace(wide, robust=replace(wide.robust, seeds_for_power=20)))
    assert needed.startswith("20 pairs to find a difference as large as the one seen")
    assert needed.endswith(", not counting the draw of the features, whose error more pairs do not lessen")
    assert "draw" not in pairs_needed(only(compare_arms([arm("ours", LOW), arm("theirs", HIGH[::-1])], PLAN)))
    assert wide.paired.high - wide.paired.low > 3 * (narrow.paired.high - narrow.paired.low)


def test_a_primary_that_known_faults_do_not_admit_is_named():
    fine = {"real images": 0.1, "white noise of 2 grey levels": 0.2, "lattice grain of 2 grey levels": 0.3,
            "blur of 3x3": 5.0, "one image in five malformed": 1.0, "one image in a hundred, repeated": 7.0,
            "without class 0": 0.9, "without class 1": 0.7, "deviation over draws": 0.01}  # fmt: skip
    for grain, admitted in ((0.3, ["frechet_distance"]), (0.79, []), (0.9, [])):
        arms = [arm("ours", LOW), arm("theirs", HIGH)]
        ladder = {"frechet_distance": fine | {"lattice grain of 2 grey levels": grain}}
        for each in arms:
            each.runs[0] = each.runs[0].model_copy(update={"ladder": ladder})
        study = compare_arms(arms, PLAN)
        assert as_json(study)["admitted"] == admitted
        sentences = as_json(study)["cautions"]
        assert sentences == ([] if admitted else [
            "frechet_distance should not decide on these images: it finds a missing class no worse than lattice grain of "
            "2 grey levels, which hardly anyone sees."
        ])  # fmt: skip


def test_missing_runs_are_counted_and_named_and_never_the_worst():
    ours = [*LOW[:3], "failed", "interrupted", None, "diverged", LOW[7]]
    theirs = [*HIGH[:5], HIGH[5], "failed", HIGH[7]]
    study = compare_arms([arm("ours", ours), arm("theirs", theirs)], PLAN)
    study.arms[0].runs[7].metrics["coverage"] = 0.5
    del study.arms[0].runs[7].metrics["frechet_distance"]
    study = compare_arms(study.arms, PLAN)
    comparison = only(study)
    assert as_json(study)["missing"] == [
        "ours, seed 3: failed",
        "ours, seed 4: interrupted",
        "ours, seed 5: no result",
        "theirs, seed 6: failed",
        "ours, seed 6: diverged, without a partner",
    ]
    assert study.diverged == ()  # it counts in no pair
    assert as_json(study)["unmeasured"]["frechet_distance"] == ["ours, seed 7: no frechet_distance"]
    assert [", ".join(pair.reasons) for pair in comparison.pairs] == [
        "", "", "", "failed", "interrupted", "no result", "diverged, failed", "not measured",
    ]  # fmt: skip
    assert [pair.missing for pair in comparison.pairs] == [False] * 3 + [True] * 5
    assert not comparison.by_ranks
    assert describe_comparison(comparison).endswith(
        "3 pairs; p <= 0.05 needs at least 6 pairs, this study has 3; no verdict, since finished runs of 1 pair have no "
        "value: measure them again; 5 of 8 seeds are left out."
    )


def test_a_share_of_runs_that_diverged_has_an_interval():
    study = compare_arms([arm("ours", [*LOW[:6], "diverged", "failed"]), arm("theirs", LOW)], PLAN)
    lost, none = study.failures
    expected = scipy.stats.binomtest(1, 7).proportion_ci(method="wilson")
    assert (lost.diverged, lost.runs, lost.low, lost.high) == pytest.approx((1, 7, expected.low, expected.high))
    assert (none.diverged, none.runs, none.low) == (0, 8, 0)


def test_every_metric_has_a_summary_of_every_arm():
    study = compare_arms([arm("ours", [1.0, 2.0, 3.0, 10.0, "diverged"], odd=[1.0] * 4), arm("theirs", [5.0])], PLAN)
    ours, theirs = study.summaries["frechet_distance"]
    assert (ours.runs, ours.mean, ours.median, ours.interquartile_mean) == (4, 4, 2.5, 2.5)
    assert ours.sd == pytest.approx(math.sqrt(50 / 3))
    assert (theirs.arm, theirs.runs, theirs.mean, theirs.sd) == ("theirs", 1, 5, None)
    assert study.summaries["odd"][1].mean is None
    assert study.shown_only == ("odd",)


def several(factors, metric="frechet_distance"):
    """The reference and an arm for each factor, with noise; every metric of the plan and one more."""
    random = np.random.default_rng(0)
    arms = []
    for place, factor in enumerate([1.0, *factors]):
        noise = random.normal(0, 0.02, (3, 8))
        values = factor * np.exp(noise)
        columns = {"spectral_distance": values[1], "kernel_distance": values[2]}
        arms.append(arm("theirs" if place == 0 else f"arm{place}", list(values[0]), **columns))
    return arms


def test_holm_decides_the_primary_endpoint_and_the_others_are_exploratory():
    study = compare_arms(several([1.1, 1.013, 1.0]), Comparing(reference="theirs", margins={}))
    primary, second, other = (
        study.comparisons[name] for name in ("frechet_distance", "spectral_distance", "kernel_distance")
    )
    assert [j.endpoint.primary for j in (primary[0], second[0], other[0])] == [True, False, False]
    raw = [j.paired.p_value for j in primary]
    order = np.argsort(raw)
    stepped = np.minimum(np.maximum.accumulate(np.sort(raw) * [3, 2, 1]), 1)
    assert [primary[place].p_adjusted for place in order] == pytest.approx(list(stepped))
    assert (primary[0].adjustment, primary[0].verdict) == ("Holm", "worse")
    assert "; p = 0.0234 after adjustment for 3 arms." in describe_comparison(primary[0])
    assert "exploratory" not in describe_comparison(primary[0])
    found = scipy.stats.false_discovery_control([j.paired.p_value for j in second])
    assert [j.p_adjusted for j in second] == pytest.approx(list(found))
    expected = [j.paired.verdict if j.p_adjusted <= 0.05 else "inconclusive" for j in second]
    assert [j.verdict for j in second] == expected
    assert describe_comparison(second[0]).startswith("arm1 is worse than theirs (exploratory): ")
    assert "; p = 0.0234 after adjustment for 3 arms (Benjamini-Hochberg)." in describe_comparison(second[0])
    assert (other[0].p_adjusted, other[0].adjustment) == (None, None)
    assert describe_comparison(other[0]).startswith("arm1 is worse than theirs (exploratory): ")
    assert "adjusted" not in describe_comparison(other[0])


def test_an_exploratory_difference_that_does_not_survive_its_adjustment_is_inconclusive():
    same = [1.0, 1.02, 0.99, 1.01, 0.98, 1.0]
    arms = [arm("theirs", LOW[:6], "spectral_distance"), arm("arm1", HIGH[:6], "spectral_distance")]
    arms += [arm(f"arm{n}", [a * b for a, b in zip(LOW, same, strict=False)], "spectral_distance") for n in (2, 3)]
    for each in arms:
        for one in each.runs.values():
            one.metrics["kernel_distance"] = one.metrics["spectral_distance"]
    study = compare_arms(arms, Comparing(reference="theirs", margins={}))
    assert study.comparisons["kernel_distance"][0].verdict == "worse"  # not in the plan: nothing is adjusted
    found = study.comparisons["spectral_distance"][0]
    assert (found.paired.verdict, found.paired.p_value, found.verdict) == ("worse", 1 / 32, "inconclusive")
    assert "; undecided because the adjusted p is above 0.05; " in describe_comparison(found)


@pytest.mark.parametrize(("errors", "verdict"), [(3, "worse"), (-3, "better"), (0.5, "inconclusive")])
def test_equivalence_is_adjusted_by_holm_in_the_primary_endpoint_alone(errors, verdict):
    # The mean is so many standard errors from 0 that the larger of the two one-sided p is 0.04.
    spread = np.array([1, -1] * 4) / np.std([1, -1] * 4, ddof=1)
    error = math.log1p(0.05) / (abs(errors) - scipy.stats.t.ppf(0.04, 7))
    ours = [low * math.exp(error * (errors + math.sqrt(8) * z)) for low, z in zip(LOW, spread, strict=True)]
    plan = Comparing(reference="theirs", margins={"frechet_distance": 0.05, "spectral_distance": 0.05})

    def found(*others):
        columns = [("arm1", ours), *others, ("theirs", LOW)]
        study = compare_arms([arm(label, column, spectral_distance=column) for label, column in columns], plan)
        return [study.comparisons[name][0].verdict for name in ("frechet_distance", "spectral_distance")]

    assert found() == ["equivalent", "equivalent"]
    assert found(("arm2", LOW)) == ["equivalent", "equivalent"]  # the smaller p is that of the other arm
    assert found(("arm2", HIGH)) == [verdict, "equivalent"]
    assert found(("arm2", [*LOW[:5], "diverged"])) == [verdict, "equivalent"]  # nor is an arm that ranks decide


def test_no_pair_is_asked_for_where_the_verdict_is_there():
    arms = [arm("theirs", LOW[:7]), arm("arm1", HIGH[:7]), arm("arm2", HIGH[:6])]  # Holm's second step takes six
    found = compare_arms(arms, Comparing(reference="theirs", margins={})).comparisons["frechet_distance"]
    assert [comparison.verdict for comparison in found] == ["worse", "worse"]
    assert "needs at least" not in describe_comparison(found[1])


def test_a_verdict_that_waits_for_a_measure_blames_nothing_else():
    ours, theirs = arm("ours", HIGH), arm("theirs", LOW)
    del ours.runs[3].metrics["frechet_distance"]
    said = describe_comparison(only(compare_arms([ours, theirs], PLAN)))
    assert "no verdict, since finished runs of 1 pair have no value: measure them again" in said
    assert "undecided" not in said
    for seed in ours.runs:
        ours.runs[seed].metrics.pop("frechet_distance", None)
    said = describe_comparison(only(compare_arms([ours, theirs], PLAN)))
    assert (
        said == "ours against theirs has no verdict, since finished runs of 8 pairs have no value: measure them again."
    )


def test_where_all_runs_went_wrong_the_sentence_says_so():
    comparison = only(compare_arms([collapsed("ours", LOW, [0.0] * 8), collapsed("theirs", LOW, [0.0] * 8)], PLAN))
    said = "of ours and theirs both runs diverged or collapsed in 8 pairs; there is no verdict."
    assert describe_comparison(comparison) == said


def test_arms_of_one_label_are_numbered():
    names = ["a_generator_of_a_very_very_long_name_of_mine", "a_generator_of_a_very_very_long_name_of_yours"]
    trees = [{"generator.name": name, "dataset.size": 8} for name in [*names, "transpose"]]
    first, second, third = labels_of(trees)
    assert (first[-4:], second[-4:], third) == (" (1)", " (2)", "transpose")
    assert first[:-4] == second[:-4]


def test_a_difference_that_does_not_survive_holm_is_inconclusive():
    arms = [arm("theirs", LOW[:6]), arm("arm1", HIGH[:6]), arm("arm2", LOW[:6])]
    found = compare_arms(arms, PLAN).comparisons["frechet_distance"][0]
    assert (found.paired.verdict, found.verdict, found.p_adjusted) == ("worse", "inconclusive", 0.0625)
    assert describe_comparison(found).endswith(
        "p = 0.0312, 6 pairs; with 2 arms p <= 0.05 needs at least 7 pairs, this study has 6; "
        "p = 0.0625 after adjustment for 2 arms."
    )
    assert found.robust.seeds_for_power == 9  # 7 of alpha / 2, and two for what the exact test lacks


def test_an_open_verdict_says_what_kept_it_open():
    ratios = [1.05, 1.2, 1.1, 1.02, 1.3, 0.97, 1.15, 1.08]  # p = 4/256, but not after Holm over four arms
    ours = [low * ratio for low, ratio in zip(LOW, ratios, strict=True)]
    arms = [arm("theirs", LOW), arm("arm1", ours), *(arm(f"arm{place}", LOW) for place in (2, 3, 4))]
    first, second = compare_arms(arms, PLAN).comparisons["frechet_distance"][:2]
    assert (first.paired.verdict, first.verdict) == ("worse", "inconclusive")
    assert first.paired.p_value <= 0.05 < first.p_adjusted
    assert (
        "8 pairs; undecided because the adjusted p is above 0.05; p = 0.0938 after adjustment for 4 arms"
        in describe_comparison(first)
    )
    assert "undecided" not in describe_comparison(second)  # neither interval nor p would have decided
    skewed = [1.0, 1.01, 1.0, 1.02, 1.01, 3.0, 1.02, 1.01]  # one way, one of them far: p is small, the interval wide
    ours = [low * ratio for low, ratio in zip(LOW, skewed, strict=True)]
    found = only(compare_arms([arm("ours", ours), arm("theirs", LOW)], PLAN))
    assert found.paired.low < 0 < found.paired.high
    assert found.paired.p_value <= 0.05
    assert "undecided because the interval contains 0." in describe_comparison(found)


@pytest.mark.parametrize(("pairs", "said"), [
    (5, "; with 2 arms p <= 0.05 needs at least 6 pairs, this study has 5;"),
    (6, "p = 0.812, 6 pairs; p = 0.812 after adjustment"),  # 6 would do, as the other arm is decided
])  # fmt: skip
def test_holm_asks_for_fewer_pairs_once_the_other_arm_is_decided(pairs, said):
    mixed = [low * factor for low, factor in zip(LOW, [1.1, 0.9, 1.2, 0.95, 1.0, 0.8], strict=False)]
    study = compare_arms([arm("fir", mixed[:pairs]), arm("ours", HIGH), arm("theirs", LOW)], PLAN)
    fir, ours = study.comparisons["frechet_distance"]
    assert (fir.verdict, ours.verdict) == ("inconclusive", "worse")
    assert said in describe_comparison(fir)


def test_what_was_chosen_after_the_runs_is_a_caution_in_every_form():
    arms = [arm("theirs", LOW, recall=HIGH), arm("ours", HIGH, recall=LOW), arm("transpose", LOW, recall=LOW)]
    assert compare_arms(arms, PLAN).cautions == ()
    study = compare_arms(arms, PLAN, metric="recall", reference="ours")
    assert as_json(study)["cautions"] == [
        "The primary metric recall was chosen after the runs; frechet_distance was stated before them.",
        "The reference ours was chosen after the runs; theirs was stated before them.",
    ]
    assert study.cautions == (
        ChosenAfterwards("primary metric", "recall", "frechet_distance"),
        ChosenAfterwards("reference", "ours", "theirs"),
    )
    unnamed = Comparing()  # then it is transpose
    assert compare_arms(arms, unnamed).cautions == compare_arms(arms, unnamed, reference="transpose").cautions == ()
    assert compare_arms(arms, unnamed, reference="theirs").cautions[0].stated == "transpose"
    stated = {
        each["metric"]: each["stated"] for each in as_json(compare_arms(arms, PLAN, metric="recall"))["endpoints"]
    }
    assert stated == {"recall": False, "frechet_distance": True}


def test_labels_are_in_the_order_of_their_numbers():
    rates = ["x=0.001", "x=0.0002", "x=1e-05", "x=2.5", "x=0.25", "x=16", "x=8"]
    assert sorted(rates, key=by_number) == ["x=1e-05", "x=0.0002", "x=0.001", "x=0.25", "x=2.5", "x=8", "x=16"]
    assert sorted(["k10 b", "k9 c", "a", "k9"], key=by_number) == ["a", "k9", "k9 c", "k10 b"]


@pytest.mark.parametrize(("final_rate", "said"), [
    (1.0, []),
    (0.1, ["Not all runs were made alike: training.steps raised from 50 to 90 at step 50 (ours); never raised (ours, "
           "theirs)."]),
])  # fmt: skip
def test_runs_that_were_trained_longer_are_a_caution_where_rates_had_fallen(final_rate, said):
    arms = [arm("ours", LOW), arm("theirs", HIGH)]
    for each in arms:
        for seed, one in each.runs.items():
            each.runs[seed] = one.model_copy(update={"config": {"optimizer": {"final_rate": final_rate}}})
    longer = [{"from_step": 50, "steps_before": 50, "steps": 90}]
    arms[0].runs[0] = arms[0].runs[0].model_copy(update={"extended": longer})
    assert as_json(compare_arms(arms, PLAN))["cautions"] == said


def test_runs_that_were_not_made_alike_are_a_caution():
    ours, theirs = arm("ours", LOW), arm("theirs", HIGH)
    made = {seed: each.model_copy(update={"device": "gpu: one, mixed_bfloat16", "versions": {"numpy": "2.5"}})
            for seed, each in ours.runs.items() if seed < 3}  # fmt: skip
    study = compare_arms([ours._replace(runs=ours.runs | made), theirs], PLAN)
    assert as_json(study)["cautions"] == [
        "Not all runs were made alike: device gpu: one, mixed_bfloat16 (ours); cpu (ours, theirs).",
        "Not all runs were made alike: numpy 2.5 (ours); 2.4 (ours, theirs).",
    ]


def test_a_distance_beyond_all_measure_is_still_told():
    arms = [arm("ours", [1e60, 1.0]), arm("theirs", [1.0, 1.0])]
    study = compare_arms(arms, PLAN)
    assert "interval -100.0 % to +inf %" in describe_comparison(only(study))
    verdict = as_json(study)["endpoints"][0]["verdicts"][0]
    assert verdict["estimate"] == pytest.approx(1e30)
    assert verdict["high"] is None


def test_no_plan_is_made_of_pairs_that_do_not_decide_or_are_there_already():
    ratios = [1.5, 1.4, 1.6, 1.5, 0.99, 1.55]
    found = only(
        compare_arms([arm("ours", [a * b for a, b in zip(LOW, ratios, strict=False)]), arm("theirs", LOW)], PLAN)
    )
    assert (found.verdict, found.paired.runs) == ("inconclusive", 6)
    assert "8 pairs to find" in pairs_needed(found)  # the t test says 6 or 7
    ranked = only(compare_arms([arm("ours", [*LOW[:5], "diverged"]), arm("theirs", HIGH)], PLAN))
    assert (ranked.by_ranks, ranked.verdict, pairs_needed(ranked)) == (True, "inconclusive", "")


def test_where_every_run_diverged_each_pair_is_there():
    arms = [arm("ours", ["diverged"] * 3), arm("theirs", ["diverged"] * 2)]
    study = compare_arms(arms, PLAN)
    assert as_json(study)["diverged"] == ["ours, seed 0: diverged", "ours, seed 1: diverged", "theirs, seed 0: diverged", "theirs, seed 1: diverged"]  # fmt: skip
    assert study.gaps == (Gap("theirs", 2, "no result"), Gap("ours", 2, "diverged", alone=True))


def test_a_ratio_of_nothing_names_the_file():
    with pytest.raises(ResultError, match=r"has metrics\.frechet_distance=0\.0, which has no ratio"):
        compare_arms([arm("ours", [1.0, 0.0]), arm("theirs", [1.0, 1.0])], PLAN)


def test_a_ratio_of_nothing_in_a_metric_that_nobody_asked_for_stops_nothing():
    zero = [0.5, 0.0, *[0.5] * 6]
    arms = [arm("ours", LOW, spectral_distance_high=zero), arm("theirs", HIGH, spectral_distance_high=[0.5] * 8)]
    study = compare_arms(arms, PLAN)
    assert only(study).verdict == "better"
    assert "spectral_distance_high" not in study.comparisons
    (line,) = study.unmeasured["spectral_distance_high"]
    assert describe_gap(line).endswith("has metrics.spectral_distance_high=0.0, which has no ratio")
    assert study.dropped == (line,)
    with pytest.raises(ResultError, match=r"spectral_distance_high=0.0, which has no ratio; use a positive"):
        compare_arms(arms, PLAN, "spectral_distance_high")


def test_a_study_whose_primary_endpoint_nobody_measured_is_open():
    plan = Comparing(reference="theirs", quality="full/random/frechet_distance", checkerboard=None)
    study = compare_arms(several([1.1]), plan)
    assert study.open == {"quality": "full/random/frechet_distance"}
    said = "The quality endpoint full/random/frechet_distance was not measured: its verdict is open."
    assert answer(study).startswith("Against theirs, arm1 is ")
    assert answer(study).endswith(f" in spectrum (spectral_distance, exploratory). {said}")
    assert as_json(study)["open"] == study.open


def test_only_the_primary_endpoint_is_told_as_more_than_exploratory():
    table = {"spectral_distance": HIGH, "checkerboard_index_2": LOW}
    study = compare_arms([arm("ours", LOW, **table), arm("theirs", HIGH, **dict.fromkeys(table, LOW))], PLAN)
    assert answer(study) == (
        "Against theirs, ours is better in quality (frechet_distance); ours is worse in spectrum (spectral_distance, "
        "exploratory); ours is equivalent in checkerboard (checkerboard_index_2, exploratory)."
    )


def test_a_metric_that_is_two_endpoints_is_the_primary_one():
    plan = Comparing(reference="theirs", spectrum="frechet_distance", checkerboard=None)
    (endpoint,) = compare_arms([arm("ours", LOW), arm("theirs", HIGH)], plan).stated
    assert (endpoint.title, endpoint.primary) == ("quality", True)


def test_factors_that_are_known_are_compared():
    names = ["kolmogorov_size", "mutual_information_shape_x", "grid_coverage", "residual_median"]
    columns = {f"full/factors/{name}": values for name, values in zip(names, [HIGH, LOW, HIGH, HIGH], strict=True)}
    others = dict.fromkeys(columns, LOW)
    study = compare_arms([arm("ours", LOW, **columns), arm("theirs", LOW, **others)], PLAN)
    found = [only(study, name).verdict for name in columns]
    assert found == ["worse", "inconclusive", "better", "worse"]
    assert not study.shown_only


def test_a_study_as_plain_values():
    ours = arm("ours", [*LOW[:6], "diverged", "failed"], coverage=[0.8] * 8, odd=LOW)
    theirs = arm("theirs", HIGH, coverage=[0.7, 0.71, 0.69, 0.7, 0.72, 0.7, 0.7, 0.7])
    study = compare_arms([ours, theirs], PLAN)
    tree = as_json(study)
    assert json.loads(json.dumps(tree, allow_nan=False)) == tree
    assert (tree["question"], tree["reference"], tree["level"]) == ("Which one?", "theirs", 0.95)
    assert (tree["versions"], tree["devices"]) == ({"numpy": ["2.4"]}, ["cpu"])
    assert tree["missing"] == ["ours, seed 7: failed"]
    assert tree["diverged"] == ["ours, seed 6: diverged"]
    assert tree["arms"][0]["runs"] == {"finished": 6, "diverged": 1, "failed": 1, "interrupted": 0}
    assert tree["arms"][0]["failure_rate"]["share"] == 1 / 7
    assert [each["reference"] for each in tree["arms"]] == [False, True]

    quality = tree["endpoints"][0]
    assert [quality[key] for key in ("title", "metric", "better", "unit", "primary", "stated", "margin")] == [
        "quality", "frechet_distance", "smaller", "ratio", True, True, 0.05,
    ]  # fmt: skip
    (verdict,) = quality["verdicts"]
    logs = np.log(LOW[:6]) - np.log(HIGH[:6])
    assert verdict["estimate"] == pytest.approx(math.exp(logs.mean()))
    assert verdict["low"] < verdict["estimate"] < verdict["high"] < 1
    assert verdict["robust"]["interquartile_mean"] == pytest.approx(math.exp(scipy.stats.trim_mean(logs, 0.25)))
    assert verdict["lacking"] == [
        {"seed": 6, "why": "diverged", "missing": False},
        {"seed": 7, "why": "failed", "missing": True},
    ]
    assert (verdict["pairs"], verdict["by_ranks"], verdict["diverged"]) == (6, True, {"arm": 1, "reference": 0})

    coverage = next(each for each in tree["endpoints"] if each["metric"] == "coverage")
    assert [coverage[key] for key in ("better", "unit", "primary", "stated")] == ["larger", "difference", False, False]
    (verdict,) = coverage["verdicts"]
    differences = 0.8 - np.array([0.7, 0.71, 0.69, 0.7, 0.72, 0.7])
    interval = scipy.stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (verdict["low"], verdict["estimate"], verdict["high"]) == pytest.approx(
        (interval.low, differences.mean(), interval.high)
    )
    assert verdict["robust"]["hodges_lehmann"] > 0 < verdict["effect_size"]
    assert verdict["exploratory"]


def test_one_pair_beside_collapsed_runs_is_no_estimate():
    plan, fine = Comparing(reference="theirs"), [0.9] * 8
    for coverage, estimate in (([0.9, *["diverged"] * 7], LOW[0] / HIGH[0]), ([0.9, *[0.0] * 7], None)):
        values = [low if one == 0.9 else one or low for low, one in zip(LOW, coverage, strict=True)]
        study = compare_arms([arm("ours", values, coverage=coverage), arm("theirs", HIGH, coverage=fine)], plan)
        (verdict,) = as_json(study)["endpoints"][0]["verdicts"]
        assert (verdict["pairs"], verdict["estimate"]) == (1, estimate and pytest.approx(estimate))


def test_what_is_no_number_is_none():
    tree = as_json(compare_arms([arm("ours", [1.0]), arm("theirs", [2.0])], PLAN))
    verdict = tree["endpoints"][0]["verdicts"][0]
    assert (verdict["estimate"], verdict["low"], verdict["high"], verdict["effect_size"]) == (0.5, None, None, None)
    json.dumps(tree, allow_nan=False)


def test_a_row_of_scores_for_each_run():
    ours = arm("ours", [1.0, "diverged"], odd=[7.0])
    ours.runs[1].metrics["odd"] = 1e9  # of a run that diverged: no score
    rows = scores(compare_arms([ours, arm("theirs", [2.0])], PLAN))
    assert [list(row) for row in rows] == [[
        "arm", "seed", "status", "frechet_distance", "odd", "parameters", "macs", "seconds", "images_per_second", "path",
    ]] * 3  # fmt: skip
    assert [list(row.values())[:6] for row in rows] == [
        ["ours", 0, "finished", 1.0, 7.0, 10],
        ["ours", 1, "diverged", None, None, 10],
        ["theirs", 0, "finished", 2.0, None, 10],
    ]
