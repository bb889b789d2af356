"""Parity and placement: arms that cost the same, and operators in some stages only."""

import pytest

from ganlab.errors import ConfigError
from ganlab.nets.analysis import multiplications
from ganlab.nets.generator import at_parity
from ganlab.run.build import build_gan

SIZE = ("dataset.size=16", "generator.base_filters=64", "generator.stages=[[48,2],[32,2],[null,2]]")


def generator(settings, *overrides):
    return build_gan(settings(*SIZE, *overrides)).generator


@pytest.mark.parametrize("arm", ["upsample", "upsample_bilinear", "pixel_shuffle"])
def test_parameters_and_macs_match_the_reference(settings, arm):
    reference = generator(settings, "generator=transpose")
    by_size = generator(settings, f"generator={arm}", "generator.parity=parameters")
    assert by_size.count_params() == pytest.approx(reference.count_params(), rel=0.03)
    by_cost = generator(settings, f"generator={arm}", "generator.parity=macs")
    wanted = multiplications(reference).executed
    assert multiplications(by_cost).executed == pytest.approx(wanted, rel=0.05)
    plain = generator(settings, f"generator={arm}")
    assert plain.count_params() != by_size.count_params()


@pytest.mark.parametrize("arm", ["upsample", "pixel_shuffle"])
def test_classes_count_too(settings, arm):
    made = [generator(settings, f"generator={name}", "conditional=true", "generator.parity=parameters")
            for name in ("transpose", arm)]  # fmt: skip
    assert made[1].count_params() == pytest.approx(made[0].count_params(), rel=0.006)  # without them 1.1 %


def test_a_cost_that_cannot_be_reached_is_refused(settings):
    """CARAFE's encoder alone has more weights than the whole reference."""
    with pytest.raises(ConfigError, match=r"generator\.parity=parameters cannot be reached by carafe"):
        generator(settings, "generator=carafe", "generator.parity=parameters")


def test_parity_leaves_the_reference_itself_alone(settings):
    config = settings(*SIZE, "generator=transpose", "generator.parity=parameters")
    changed = at_parity(config.generator, (16, 16, 1))
    assert (changed.base_filters, changed.stages) == (config.generator.base_filters, config.generator.stages)
    none = settings(*SIZE).generator
    assert at_parity(none, (16, 16, 1)) is none


@pytest.mark.parametrize(
    ("placement", "kinds"),
    [
        ("all", ["transpose", "transpose", "transpose"]),
        ("last", ["nearest", "nearest", "transpose"]),
        ("all_but_last", ["transpose", "transpose", "nearest"]),
    ],
)
def test_the_operator_stands_where_placement_says(settings, placement, kinds):
    config = settings(*SIZE, "generator=transpose", f"generator.placement={placement}")
    assert [operator.name for operator in config.generator.operators] == kinds
    built = build_gan(config).generator
    layer_types = [type(layer).__name__ for layer in built.layers if layer.name.startswith("stage")]
    names = {"transpose": "TransposedConv2D", "nearest": "NearestConv2D"}
    assert layer_types == [names[kind] for kind in kinds]


WRONG = {
    ("generator=pixel_shuffle", "generator.upsampling.kernel_size=4"): "shifts the image of pixel_shuffle",
    ("generator=upsample", "generator.upsampling.kernel_size=4"): "generator.upsampling.kernel_size=4 cannot be fused",
    ("generator.elsewhere.kernel_size=2", "generator.placement=last"): "generator.elsewhere.kernel_size=2 cannot be",
    ("generator=transpose_resize_init", "generator.upsampling.kernel_size=5"): "use generator.upsampling.kernel_size=4",
    ("generator=carafe", "generator.upsampling.neighbourhood=4"): "must be odd",
    (
        "generator=upsample",
        "generator.parity=macs",
        "generator.reference.name=nearest",
    ): "generator.reference.kernel_size=4 cannot be fused",
}


@pytest.mark.parametrize("overrides", WRONG)
def test_kernels_that_an_operator_cannot_have_are_refused(settings, overrides):
    with pytest.raises(ConfigError) as caught:
        settings(*overrides)
    assert WRONG[overrides] in str(caught.value)


def test_transpose_resize_init_starts_as_the_very_function_of_upsample(settings):
    import numpy as np

    from ganlab.training.randomness import normals

    size = ("dataset.size=16", "generator.stages=[[24,2],[12,2],[null,2]]", "seed=4")
    z = normals(4, "latents/samples", 0, (16, 64))
    up, resize, plain = (
        build_gan(settings(f"generator={arm}", *size)).generator(z).numpy()
        for arm in ("upsample", "transpose_resize_init", "transpose")
    )
    np.testing.assert_allclose(up, resize, atol=1e-5)
    assert np.abs(up - plain).max() > 0.1
