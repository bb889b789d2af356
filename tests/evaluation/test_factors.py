"""Measures of factors: against scipy, by hand, and their nulls against simulation."""

import re
from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import kstest

from ganlab.data.shapes import FACTORS, draw_factors, render
from ganlab.evaluation.factors import dependences, factor_nulls, grid_coverage, marginals, residuals


class Factor(NamedTuple):
    name: str
    low: float = 0.0
    high: float = 1.0
    circular: bool = False
    classes: int = 0
    visible_on: tuple[int, ...] = (0, 1, 2, 3)


KIND, PLACE = Factor("kind", classes=4, high=3), Factor("place", low=-2.0, high=2.0)
TURN, TILT = Factor("turn", circular=True), Factor("tilt", circular=True, visible_on=(1, 2))
TABLE = (KIND, PLACE, TURN, TILT)


def columns(**values):
    """Factors in the order of TABLE; what is not given lies evenly."""
    count = max(np.size(value) for value in values.values())
    even = (np.arange(count) + 0.5) / count
    plain = {"kind": np.arange(count) % 4, "place": 4 * even - 2, "turn": even, "tilt": even}
    return np.column_stack([np.broadcast_to(value, count) for value in (plain | values).values()])


def test_even_values_have_the_least_gap_there_is():
    values = marginals(columns(kind=np.arange(400) % 4), TABLE)
    assert values["total_variation_kind"] == 0
    assert values["kolmogorov_place"] == pytest.approx(0.5 / 400)
    assert values["kuiper_turn"] == pytest.approx(1 / 400)


def test_gaps_by_hand_and_by_scipy():
    values = marginals(columns(kind=0, place=np.full(10, -1.0), turn=0.3), TABLE)
    assert values["total_variation_kind"] == 0.75  # all of one class in four
    assert values["kolmogorov_place"] == 0.75  # all at a quarter of the range
    assert values["kuiper_turn"] == 1
    assert "kuiper_tilt" not in values  # class 0 does not show it
    place = np.random.default_rng(0).normal(0.3, 1.2, 500)  # some beyond the range
    expected = kstest(place, "uniform", (-2, 4)).statistic
    assert marginals(columns(place=place), TABLE)["kolmogorov_place"] == pytest.approx(expected)


def test_kuiper_does_not_depend_on_where_the_circle_is_cut():
    turn = np.random.default_rng(0).beta(2, 3, 300)
    values = [marginals(columns(turn=turn + shift), TABLE)["kuiper_turn"] for shift in (0, 0.21, 0.5, 7.9)]
    np.testing.assert_allclose(values, values[0])
    assert values[0] > 0.2


def test_what_a_class_does_not_show_changes_nothing():
    factors = columns(kind=np.arange(400) % 4)
    other = factors.copy()
    hidden = np.isin(factors[:, 0], (0, 3))
    other[hidden, 3] = 0.123
    for measure in (marginals, dependences, grid_coverage):
        assert measure(factors, TABLE) == measure(other, TABLE)
    other[~hidden, 3] = 0.123
    assert marginals(factors, TABLE)["kuiper_tilt"] != marginals(other, TABLE)["kuiper_tilt"]


def test_mutual_information_by_hand():
    kind = np.arange(800) % 4
    information = dependences(columns(kind=kind, place=kind - 1.5, turn=np.arange(800) // 4 % 8 / 8), TABLE, bins=8)
    assert information["mutual_information_kind_place"] == pytest.approx(np.log(4))
    assert information["mutual_information_kind_turn"] == pytest.approx(0, abs=1e-12)
    assert set(information) == {
        f"mutual_information_{pair}"
        for pair in ("kind_place", "kind_turn", "kind_tilt", "place_turn", "place_tilt", "turn_tilt")
    }
    assert "mutual_information_place_tilt" not in dependences(columns(kind=np.zeros(9)), TABLE)


def test_cells_by_hand():
    table = (KIND, PLACE)  # with two parts: eight cells
    one = grid_coverage(np.tile([2.0, 1.0], (5, 1)), table, bins=2)
    assert one["grid_coverage"] == pytest.approx(1 / (8 * (1 - (7 / 8) ** 5)))
    assert one["grid_divergence"] == pytest.approx(np.log(8))
    every = np.array([(kind, place) for kind in range(4) for place in (-1.0, 1.0)] * 100)
    all_hit = grid_coverage(every, table, bins=2)
    assert all_hit["grid_coverage"] == pytest.approx(1)
    assert all_hit["grid_divergence"] == pytest.approx(0, abs=1e-12)
    every[every[:, 1] > 0, 1] = 99.0  # beyond the range: the part at that end
    assert grid_coverage(every, table, bins=2) == all_hit
    # classes that do not show a factor have fewer, larger cells: 2 * 3^3 + 2 * 3^2 in all
    perfect = grid_coverage(columns(kind=np.zeros(1)), TABLE)
    assert perfect["grid_divergence"] == pytest.approx(np.log(4 * 9))


def prior(random, count):
    place, turn, tilt = random.uniform(size=(3, count))
    return np.column_stack([random.integers(0, 4, count), 4 * place - 2, turn, tilt])


def test_nulls_are_what_perfect_samples_score_on_average():
    random, count = np.random.default_rng(0), 1000
    rounds = []
    for _ in range(300):
        factors = prior(random, count)
        rounds.append(marginals(factors, TABLE) | dependences(factors, TABLE) | grid_coverage(factors, TABLE))
    nulls = factor_nulls(TABLE, count)
    assert nulls.keys() == rounds[0].keys()
    for name, null in nulls.items():
        values = np.array([values[name] for values in rounds])
        slack = 0.03 * null if name.startswith(("kolmogorov", "kuiper", "mutual")) else 0  # these hold in the limit
        assert abs(values.mean() - null) < 3.5 * values.std() / np.sqrt(300) + slack, name


def test_residuals_by_hand():
    half = np.random.default_rng(0).integers(1, 100, (3, 4, 4, 1)).astype(np.uint8)
    assert residuals(2 * half, half) == {"residual_median": 0.25, "residual_mean": 0.25}
    one = np.stack([2 * half[0], half[1], half[2]])
    assert residuals(one, half) == {"residual_median": 0.0, "residual_mean": pytest.approx(0.25 / 3)}
    assert residuals(half, 2 * half)["residual_mean"] == 1  # nothing wraps around below zero


def test_a_renderer_that_was_told_the_truth_leaves_nothing_and_a_wrong_angle_shows():
    factors = draw_factors(0, 0, 200)
    pixels = render(factors, 32, 3)
    assert residuals(pixels, render(factors, 32, 3))["residual_mean"] == 0
    turned = factors + np.array([0, 0, 0, 0, 0.5, 0])
    lost = residuals(pixels, render(turned, 32, 3))["residual_mean"]
    moved = residuals(pixels, render(factors + np.array([0, 0.1, 0, 0, 0, 0]), 32, 3))["residual_mean"]
    assert 0.005 < lost < moved


def test_the_table_of_shapes_is_measured_and_a_missing_shape_is_seen():
    table, factors = FACTORS[3], draw_factors(0, 0, 4000)
    nulls = factor_nulls(table, 4000)
    fair = marginals(factors, table) | grid_coverage(factors, table)
    poor = factors[factors[:, 0] != 2]
    unfair = marginals(poor, table) | grid_coverage(poor, table)
    assert fair["total_variation_shape"] < 3 * nulls["total_variation_shape"]
    assert unfair["total_variation_shape"] == pytest.approx(0.2, abs=0.02)
    assert fair["grid_coverage"] == pytest.approx(1, abs=0.03)
    assert unfair["grid_coverage"] < 0.85


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: marginals(np.zeros((3, 3)), TABLE), "factors has shape [3, 3]; it must be [N,4], N at least 1"),
        (lambda: marginals(np.zeros((0, 4)), TABLE), "factors has shape [0, 4]"),
        (lambda: dependences(np.full((2, 4), np.nan), TABLE), "factors has values that are not finite"),
        (lambda: grid_coverage(np.full((2, 4), 5.0), TABLE), "factors[:, 0] has unknown classes; they must be 0 to 3"),
        (lambda: marginals(np.zeros((2, 1)), (PLACE,)), "table has 0 factors with classes; it must have one"),
        (lambda: residuals(np.zeros((2, 4, 4, 1)), np.zeros((2, 4, 4, 1))), "pixels is float64 [2, 4, 4, 1]"),
        (lambda: residuals(np.zeros((2, 4, 4, 1), np.uint8), np.zeros((1, 4, 4, 1), np.uint8)), "give both alike"),
        (lambda: residuals(np.zeros((2, 4, 4, 1), np.uint8), np.zeros((2, 4, 4, 1), np.uint8)), "pixels[0] is black"),
    ],
)
def test_bad_input_is_named(call, what):
    with pytest.raises(ValueError, match=re.escape(what)) as caught:
        call()
    assert "\n" not in str(caught.value)
