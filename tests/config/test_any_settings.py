"""Whatever stands in a tree of settings: it is a run's, or one line says what is wrong with it."""

import copy

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlab.cli.hydra import plan
from ganlab.config import RunConfig, parse
from ganlab.errors import ConfigError

SINGLE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, -1, 2**31, 2**63, 10**30, -(10**30), "", " ", "\n", "\0", "\udc80", "none", "auto"])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["mnist", "arrays", "folder", "full", "quick", "residual", "r1", "batch", "nearest", "100:110"])
)
TREES = st.recursive(
    SINGLE,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=6) | st.just("name"), part, max_size=3),
)


@pytest.fixture(scope="module")
def trees():
    """Settings that are right, as plain values: of several choices."""
    lines = [[], ["metrics=full", "discriminator=residual"], ["dataset=shapes", "penalty=none"], ["dataset=photos"],
             ["generator=pixel_shuffle", "objective=hinge"], ["generator=carafe", "+comparison.margins.recall=0.1"]]  # fmt: skip
    return [plan(line, multirun=False).cells[0].config.model_dump(mode="json") for line in lines]


def places(node, prefix=()):
    """Where something stands in a tree, whole parts too."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*prefix, key)
        yield from places(value, (*prefix, key))


def parsed(tree):
    """The settings of a tree or the one line that refuses it."""
    try:
        config = parse(tree)
    except ConfigError as error:
        said = str(error)
        assert said and "\n" not in said and len(said) < 1000, said
        said.encode()  # it can be printed
        return None
    assert isinstance(config, RunConfig)
    assert parse(config.model_dump(mode="json")) == config
    return config


@hypothesis.settings(deadline=None, max_examples=150)
@given(st.data())
def test_right_settings_with_something_else_in_a_place(trees, data):
    tree = copy.deepcopy(data.draw(st.sampled_from(trees)))
    for _ in range(data.draw(st.integers(1, 3))):
        *above, last = data.draw(st.sampled_from(list(places(tree))))
        node = tree
        for key in above:
            node = node[key]
        change = data.draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if change == "remove":
            del node[last]
        elif change == "add" and isinstance(node, dict):
            node[data.draw(st.text(max_size=5))] = data.draw(TREES)
        else:
            node[last] = data.draw(TREES)
        if not list(places(tree)):
            break
    parsed(tree)


@hypothesis.settings(deadline=None, max_examples=60)
@given(TREES)
def test_any_tree_at_all(tree):
    assert parsed(tree) is None


def nested(depth):
    tree = 1
    for _ in range(depth):
        tree = [tree]
    return tree


@pytest.mark.parametrize("value", [{"seed": 10**5000}, nested(200), nested(100_000), {1: 2}, {None: 1}, {"a": b"x"}, {"plugins": 3}, {"plugins": [3]},
                                   {"plugins": [{"name": "x"}]}], ids=["digits", "nested", "deeply", "numeric", "null", "bytes", "number", "list", "half"])  # fmt: skip
def test_trees_that_json_has_not(trees, value):
    assert parsed(value) is None
    assert parsed(trees[0] | {"generator": value}) is None
    assert parsed(trees[0] | (value if isinstance(value, dict) else {"plugins": value})) is None
