"""One adversarial step: the ways to compile it agree, and every rule does what its name says."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from conftest import ROOT
from ganlab.data.sources import DATASETS
from ganlab.nets import convolution
from ganlab.nets.spectral_norm import power_iteration
from ganlab.run.build import build_gan, make_batches, make_step_config
from ganlab.training.adam import TROUBLE, Adam
from ganlab.training.loop import DivergedError, Event, fit
from ganlab.training.objectives import OBJECTIVES
from ganlab.training.penalties import PENALTIES
from ganlab.training.step import LOGS, make_steps

SMALL = (
    "training.batch_size=16",
    "generator.latent_size=8",
    "generator.base_filters=8",
    "generator.stages=[[8,2],[null,2]]",
    "discriminator.filters=[8,8]",
)


@pytest.fixture
def trained(settings):
    """`trained("penalty=r1", count=3)`: a small gan after so many steps."""

    def train(
        *overrides,
        count=3,
        xla=False,
        steps_per_call=2,
        tracing=contextlib.nullcontext,
        prepare=lambda gan, config: None,
    ):
        config = settings(*SMALL, *overrides)
        gan = build_gan(config)
        prepare(gan, config)
        images = DATASETS[config.dataset.name](config.dataset).train
        rules = make_step_config(config, lambda: power_iteration(gan.discriminator))
        batches = make_batches(config, images, xla=xla)
        if count:
            make_steps(gan, rules, batches, steps_per_call=steps_per_call, xla=xla, tracing=tracing)(
                tf.constant(count, tf.int64)
            )
        return gan

    return train


def values(gan, owner):
    return {name: tensor.numpy() for name, tensor in gan.tensors().items() if name.startswith(f"{owner}/")}


def assert_close(one, other, tolerance):
    for owner in ("generator", "discriminator", "ema"):
        a, b = values(one, owner), values(other, owner)
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_allclose(a[name], b[name], atol=tolerance, err_msg=name)


def test_a_penalty_of_ones_own_is_given_the_mix_that_it_asks_for(settings, monkeypatch):
    monkeypatch.setitem(PENALTIES, "r1", lambda score, real, fake, *, weight, mix: (real, fake, weight * mix))
    penalty = make_step_config(settings("penalty=r1", "penalty.weight=3"), lambda: None).penalty
    assert penalty(None, "real", "fake", 2.0) == ("real", "fake", 6.0)


def moved(one, other, owner):
    a, b = values(one, owner), values(other, owner)
    return max(np.abs(a[name] - b[name]).max() for name in a)


EVERYTHING = (
    "augment.translation=0.2",
    "augment.cutout=0.3",
    "augment.color=0.2",
    "augment.noise=0.1",
    "training.discriminator_steps=2",
    "conditional=true",
)


@pytest.mark.parametrize(
    "rules",
    [
        ("objective=relativistic", "penalty=r1_r2"),
        pytest.param(
            ("objective=hinge", "penalty=none", "discriminator.normalization=spectral"), marks=pytest.mark.slow
        ),
        pytest.param(
            ("objective=non_saturating", "penalty=none", "discriminator.normalization=batch",
             "generator.normalization=batch", "training.share_fakes=true"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("objective=wasserstein", "penalty=interpolation", "penalty.every_steps=2", "discriminator.filters=[4]",
             *EVERYTHING),
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_xla_and_graph_train_alike(trained, rules):
    slow = "optimizer.epsilon=1e-3"  # with a tiny one, Adam's first steps are the signs of rounding errors
    graph, xla = trained(*rules, slow), trained(*rules, slow, xla=True)
    assert_close(graph, xla, 1e-4)
    np.testing.assert_allclose(graph.sums, xla.sums, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("xla", "penalty"),
    [(False, "r1"), *(pytest.param(True, penalty, marks=pytest.mark.slow) for penalty in ("none", "r1"))],
)
def test_steps_are_the_same_bits_however_calls_are_portioned_and_wherever_images_lie(trained, xla, penalty):
    ways = [(2, "never"), (50, "never"), (50, "always")]
    ends = [
        trained(
            f"penalty={penalty}",
            f"training.stream_images={where}",
            "dataset.flip=horizontal",
            count=5,
            xla=xla,
            steps_per_call=call,
        )
        for call, where in ways
    ]
    for end in ends[1:]:
        assert_close(ends[0], end, 0)
        np.testing.assert_array_equal(ends[0].sums, end.sums)


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(("generator=transpose", "penalty=none"), marks=pytest.mark.slow),
        pytest.param(
            ("generator=fir", "penalty=r1", "penalty.every_steps=2", "discriminator.kernel_size=5", "discriminator.filters=[4]"),
            marks=pytest.mark.slow,
        ),
        pytest.param(("generator=carafe", "discriminator=residual"), marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_convolutions_as_products_train_alike(trained, monkeypatch, rules):
    """What XLA compiles for a GPU."""
    slow = "optimizer.epsilon=1e-3"
    graph = trained(*rules, slow)
    for name in ("conv", "conv_transpose"):
        monkeypatch.setattr(convolution.ops, name, None)  # all of them are products
    assert_close(graph, trained(*rules, slow, xla=True, tracing=convolution.products), 1e-4)


def test_the_host_does_a_fixed_number_of_things_in_a_call_and_none_in_a_step(settings):
    """Under XLA: one loop over calls, whose body draws an order and starts one program, whatever the networks are."""

    def graphs(*overrides):
        config = settings(*SMALL, "penalty=none", *overrides)
        gan = build_gan(config)
        images = DATASETS[config.dataset.name](config.dataset).train
        rules = make_step_config(config, lambda: power_iteration(gan.discriminator))
        steps = make_steps(gan, rules, make_batches(config, images, xla=True), steps_per_call=10, xla=True)
        graph = steps.get_concrete_function(tf.constant(1, tf.int64)).graph
        library = [[node.op for node in each.node_def] for each in graph.as_graph_def().library.function]
        (body,) = [ops for ops in library if "RandomIndexShuffle" in ops]
        return body

    small, large = graphs(), graphs("discriminator.filters=[8,8,8]", "augment.color=0.2")
    assert small.count("StatefulPartitionedCall") == 1
    assert small.count("RandomIndexShuffle") == 1
    assert not {"Conv2D", "MatMul", "ResourceApplyAdam", "StatelessRandomNormalV2"} & set(small)
    assert len(small) == len(large) < 100


PAIRS = [
    ("least_squares", "r2"),
    ("wasserstein", "interpolation"),
    ("relativistic_average", "zero_centred"),
]
ELSEWHERE = {("non_saturating", "r1"), ("hinge", "none"), ("relativistic", "r1_r2")}  # in other tests of this file


def test_the_pairs_below_leave_nothing_out():
    assert {objective for objective, _ in [*PAIRS, *ELSEWHERE]} == OBJECTIVES.keys()
    assert {penalty for _, penalty in [*PAIRS, *ELSEWHERE]} == PENALTIES.keys()


@pytest.mark.parametrize(("objective", "penalty"), PAIRS)
def test_every_objective_and_every_penalty_trains(trained, objective, penalty):
    gan = trained(f"objective={objective}", f"penalty={penalty}", count=2)
    assert np.isfinite(gan.sums.numpy()).all()
    assert int(gan.step) == 2
    cost = gan.sums.numpy()[LOGS.index("loss/penalty")]
    assert cost == 0 if penalty == "none" else cost > 0


def test_critic_steps_update_the_discriminator_so_often_and_the_generator_once(trained):
    gan = trained("training.discriminator_steps=3", count=2)
    assert (int(gan.d_optimizer.count), int(gan.g_optimizer.count), int(gan.step)) == (6, 2, 2)


def test_a_lazy_penalty_is_taken_every_so_many_updates_and_counts_as_many_times(trained):
    every, lazy = (trained("penalty=r1", f"penalty.every_steps={k}", count=1) for k in (1, 4))
    place = LOGS.index("loss/penalty")
    assert lazy.sums.numpy()[place] == pytest.approx(4 * every.sums.numpy()[place], rel=1e-5)
    longer = trained("penalty=r1", "penalty.every_steps=4", count=4)
    assert longer.sums.numpy()[place] == lazy.sums.numpy()[place]


@pytest.mark.slow
def test_a_penalty_is_reported_whichever_update_takes_it(trained):
    place = LOGS.index("loss/penalty")
    alone = trained("penalty=r1", "penalty.every_steps=2", count=1).sums.numpy()[place]
    both = trained("penalty=r1", "penalty.every_steps=2", "training.discriminator_steps=2", count=1).sums.numpy()[place]
    assert both == pytest.approx(alone / 2, rel=1e-5)  # the first of two updates took it
    assert alone > 0


@pytest.mark.slow
def test_a_skipped_discriminator_update_leaves_its_penalty_to_the_next(trained):
    def overflow(gan, config):
        weights = gan.d_optimizer.weights
        gan.d_optimizer = Adam(weights, config.optimizer, 1e-3, 10, loss_scaled=True)
        gan.d_optimizer.scale.assign(np.inf)

    place, rules = LOGS.index("loss/penalty"), ("penalty=r1", "penalty.every_steps=4")
    first, third = (trained(*rules, count=count, prepare=overflow) for count in (1, 3))
    assert int(third.d_optimizer.skipped) == 3
    assert third.sums.numpy()[place] > 2 * first.sums.numpy()[place] > 0
    assert trained(*rules, count=3).sums.numpy()[place] == pytest.approx(first.sums.numpy()[place], rel=1e-5)


def test_shared_fakes_are_those_that_the_discriminator_saw(trained):
    """With both rates almost zero the losses are those of one generated batch, or of two."""
    still = ("optimizer.g_learning_rate=1e-12", "optimizer.d_learning_rate=1e-12", "objective=hinge",
             "penalty=none")  # fmt: skip
    shared, fresh = (trained(*still, f"training.share_fakes={share}", count=1) for share in ("true", "false"))
    generator, fake = LOGS.index("loss/generator"), LOGS.index("score/fake")
    assert shared.sums.numpy()[generator] == pytest.approx(-shared.sums.numpy()[fake], rel=1e-5)
    assert abs(fresh.sums.numpy()[generator] + fresh.sums.numpy()[fake]) > 1e-4


def test_the_average_is_the_published_one(trained):
    """After one step the half-life is the ramp's: 0.05 x 16 images; what is kept is 0.5^(16 / 0.8)."""
    before, after = trained(count=0), trained(count=1)
    keep = 0.5 ** (16 / 0.8)
    for name, new in values(after, "generator").items():
        old = values(before, "generator")[name]
        short = name.removeprefix("generator/")
        np.testing.assert_allclose(values(after, "ema")[f"ema/{short}"], new + (old - new) * keep, atol=1e-6)
    slow = trained("training.ema_rampup=1.0", "training.ema_half_life_images=10000", count=1)
    assert moved(slow, before, "ema") == pytest.approx(moved(slow, before, "generator") * 0.5, rel=1e-3)


def test_a_skipped_generator_update_moves_neither_the_average_nor_the_schedule(trained):
    def overflow(gan, config):
        weights = gan.g_optimizer.weights
        gan.g_optimizer = Adam(weights, config.optimizer, 1e-3, 10, loss_scaled=True)
        gan.g_optimizer.scale.assign(np.inf)
        for variable in gan.ema.variables:
            variable.assign(variable * 0 + 7)  # so that following the generator would be seen

    start, gan = trained(count=0), trained(count=3, prepare=overflow)
    assert moved(start, gan, "generator") == 0
    assert all((value == 7).all() for value in values(gan, "ema").values())
    assert moved(start, gan, "discriminator") > 0
    assert gan.skips() == {"precision/skipped_generator": 3, "precision/loss_scale_generator": np.inf}
    assert (int(gan.g_optimizer.count), int(gan.step)) == (0, 3)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_run_whose_updates_are_all_skipped_has_diverged(trained, network):
    def overflow(gan, config):
        letter, weights = network[0], [variable.value for variable in getattr(gan, network).trainable_variables]
        setattr(gan, f"{letter}_optimizer", Adam(weights, config.optimizer, 1e-3, 10, loss_scaled=True))
        getattr(gan, f"{letter}_optimizer").scale.assign(np.inf)

    gan = trained(count=2, prepare=overflow)
    optimizer = getattr(gan, f"{network[0]}_optimizer")
    assert optimizer.skipped_in_a_row() == 2

    def skip(count):  # as the compiled steps count them
        optimizer.good_steps.assign_sub(count)
        gan.step.assign_add(count)

    def go(last):
        return fit(gan, skip, last, 10, [Event(None, lambda _: None)], lambda: False)

    assert go(TROUBLE - 1)  # one fewer may be chance
    with pytest.raises(DivergedError, match=f"gradients of the {network} were not finite in its last {TROUBLE + 5} updates "
                                            f"up to step {TROUBLE + 5}, with losses multiplied by inf"):  # fmt: skip
        go(TROUBLE + 5)


def test_loss_scaling_trains_to_the_same_weights(trained):
    def scaled(gan, config):
        both = (("generator", "g"), ("discriminator", "d"))
        for network, letter in both:
            weights = [variable.value for variable in getattr(gan, network).trainable_variables]
            setattr(gan, f"{letter}_optimizer", Adam(weights, config.optimizer, 1e-3, 4000, loss_scaled=True))

    assert_close(trained(), trained(prepare=scaled), 1e-4)


def test_classes_reach_both_networks(trained):
    gan = trained("conditional=true", count=3)
    assert gan.generator.input_shape == (None, 18)
    latents = np.zeros((10, 18), np.float32)
    latents[:, 8:] = np.eye(10)
    images = gan.generator(latents).numpy()
    assert len({image.tobytes() for image in images}) == 10
    scores = gan.discriminator([images[:1].repeat(10, 0), np.eye(10, dtype=np.float32)]).numpy()
    assert len(set(scores.ravel().tolist())) == 10


def test_gradient_norms_are_computed_in_float32_under_mixed_precision(settings):
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        gan = build_gan(settings(*SMALL))
        images = tf.random.stateless_normal((4, 8, 8, 1), [1, 2])
        half, whole = gan.score(images, precise=False), gan.score(images, precise=True)
    finally:
        keras.config.set_dtype_policy("float32")
    single = build_gan(settings(*SMALL)).score(images, precise=True)
    np.testing.assert_allclose(whole, single, rtol=1e-5)
    assert np.abs(half - whole).max() > 1e-4
    gan.discriminator.trainable_variables[0].assign(gan.discriminator.trainable_variables[0] * 2)
    assert np.abs(gan.score(images, precise=True) - whole).max() > 1e-3


@pytest.mark.slow
def test_float16_steps_train_with_scaled_losses(trained):
    """The networks of an older GPU, on a CPU, which computes float16 too slowly for a run but rightly."""
    import keras

    keras.config.set_dtype_policy("mixed_float16")
    try:
        gan = trained("penalty=r1", count=4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert gan.generator.compute_dtype == "float16"
    assert np.isfinite(gan.sums.numpy()).all()
    skips = gan.skips()
    taken = int(gan.g_optimizer.count), int(gan.d_optimizer.count)
    assert taken == (4 - skips["precision/skipped_generator"], 4 - skips["precision/skipped_discriminator"])
    assert min(taken) >= 1
    single = trained("penalty=r1", count=4)
    np.testing.assert_allclose(gan.sums.numpy(), single.sums.numpy(), rtol=0.1, atol=0.05)


def test_a_penalty_is_the_same_number_in_half_precision(trained):
    """Its slopes are taken in float32; the fakes, made in half precision, play no part in r1."""
    import keras

    place = LOGS.index("loss/penalty")
    single = trained("penalty=r1", count=1).sums.numpy()[place]
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = trained("penalty=r1", count=1).sums.numpy()[place]
    finally:
        keras.config.set_dtype_policy("float32")
    assert half == pytest.approx(single, rel=1e-5)


def test_a_relativistic_generator_sees_the_real_scores(trained):
    """softplus(x) - softplus(-x) = x: with both networks still, the two losses differ by the scores."""
    still = ("optimizer.g_learning_rate=1e-12", "optimizer.d_learning_rate=1e-12", "training.share_fakes=true")
    logs = dict(zip(LOGS, trained(*still, "penalty=none", count=1).sums.numpy(), strict=True))
    apart = logs["loss/generator"] - logs["loss/discriminator"]
    assert apart == pytest.approx(logs["score/real"] - logs["score/fake"], abs=1e-5)
    assert abs(apart) > 1e-3


def test_nothing_is_rewritten_by_autograph():
    """Rewriting would take seconds before the first step, and nothing here needs it."""
    for path in (ROOT / "ganlab").rglob("*.py"):
        text = path.read_text()
        assert text.count("tf.function") == text.count("autograph=False"), path
