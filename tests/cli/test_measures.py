"""Measures as a table: every value beside its floor, and nothing where there is none."""

from ganlab.cli.help import describe_counts, measures_table
from ganlab.evaluation.registry import METRICS, base_name, names_under
from ganlab.runs.status import describe_metric


def test_every_value_stands_in_its_row_and_column():
    shown = measures_table({"a": 1.5, "much/longer": 2e-5}, {}, {"a": 0.25}, {"much/longer": 0.0})
    header, first, second = (line.split() for line in shown.splitlines())
    assert header == ["real", "images", "equal"]
    assert first == ["a", "1.5000", "0.2500"]
    assert second == ["much/longer", "2e-05", "0.0000"]
    columns = [
        line.rindex(value) + len(value)
        for line, value in zip(shown.splitlines(), ("equal", "", "0.0000"), strict=True)
        if value
    ]
    assert len(set(columns)) == 1


def test_a_spread_has_a_column_only_where_there_is_one():
    assert "+-" in measures_table({"a": 1.0}, {"a": 0.5}, {}, {})
    assert measures_table({"a": 1.0}, {}, {}, {}).split() == ["a", "1.0000"]


def test_every_measure_says_which_side_is_better():
    """Of every name that has one, in the table and in a line, in the words of the study's own rule."""
    names = names_under(["pca", "classifier", "inception"], True, (32, 32))
    header, *rows = measures_table(dict.fromkeys([*names, "decay_slope"], 1.0), {}, {}, {}).splitlines()
    assert header.split() == ["better"]
    sides = {row.split()[0]: " ".join(row.split()[2:]) for row in rows}
    assert sides.pop("decay_slope") == ""
    assert sides == {name: METRICS[base_name(name)].better for name in names}
    assert {sides[name] for name in names} == {"smaller", "larger", "closer to 0"}
    assert sides["coverage"] == "larger" and sides["full/inception/fid"] == "smaller"
    assert describe_metric("coverage", 0.9213) == "coverage 0.921 (larger is better)"
    assert describe_metric("checkerboard_index_2", -0.2) == "checkerboard_index_2 -0.2 (closer to 0 is better)"
    assert describe_metric("decay_slope", -2.0) == "decay_slope -2"


def test_counts_name_both_sides_and_the_features():
    protocol = {"n_real": 359, "n_fake": 1438, "n_equal": 300, "sets": 2, "features": {"random": {}, "pca": {}}}
    assert describe_counts(protocol) == (
        "distances: 359 held-out and 2 x 1438 generated images, precision to coverage: 300 of each; features: random, pca"
    )
    assert "and 1438 generated" in describe_counts(protocol | {"sets": 1, "features": "pca"})
