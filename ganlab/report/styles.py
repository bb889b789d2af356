"""The colour and the marker of each arm, the same in every study and figure."""

from collections.abc import Iterable
from typing import NamedTuple


class Style(NamedTuple):
    """role: the name of its colour in the palettes of figures. light, dark: the colour on white and on dark ground."""

    role: str
    light: str
    dark: str
    marker: str


# Each colour has a contrast of 3:1 or more with its ground, and differs from all others also for colour-blind readers:
# by 5 or more in OKLab times 100, where 2 is just noticeable (the test has the arithmetic).
ARMS = {
    "transpose": Style("arm-1", "#0072b2", "#56b4e9", "o"),
    "upsample": Style("arm-2", "#d55e00", "#ff9a4d", "s"),
    "upsample_bilinear": Style("arm-3", "#6d9e6a", "#9efdcd", "D"),
    "transpose_k3": Style("arm-4", "#6d2f91", "#816dfc", "^"),
    "pixel_shuffle": Style("arm-5", "#7c5b08", "#fed910", "P"),
    "transpose_k6": Style("arm-6", "#3a3bd8", "#585dbb", "<"),
    "transpose_resize_init": Style("arm-7", "#520c3f", "#975673", ">"),
    "transpose_k5": Style("arm-8", "#0d9bd4", "#1fe1f5", "v"),
    "fir": Style("arm-9", "#843f48", "#d57565", "h"),
    "carafe": Style("arm-10", "#787077", "#b3b1a6", "p"),
    "pixel_shuffle_icnr": Style("arm-11", "#274503", "#627312", "X"),
}
SPARE = Style("arm-12", "#741e5e", "#aa73b1", "*")
STYLES = (*ARMS.values(), SPARE)


def styles_of(labels: Iterable[str]) -> dict[str, Style]:
    """The style of each arm of a study, by label.

    An arm of conf/generator always has its own style; of several arms with its name (`upsample kernel_size=5`) the
    first has it. The others get unused styles, in order. Up to twelve arms differ in colour, up to 144 in colour or
    marker.
    """
    names = list(dict.fromkeys(labels))
    styles: dict[str, Style] = {}
    for name_of in (str, lambda label: label.partition(" ")[0]):
        for label in names:
            style = ARMS.get(name_of(label))
            if style and label not in styles and style not in styles.values():
                styles[label] = style
    unused = [style for style in STYLES[::-1] if style not in styles.values()]
    reused = (
        style._replace(marker=STYLES[(place + 5 * turn) % len(STYLES)].marker)
        for turn in range(1, len(STYLES))
        for place, style in enumerate(STYLES)
    )
    for label in names:
        if label not in styles:
            styles[label] = unused.pop(0) if unused else next(reused, SPARE)
    return {label: styles[label] for label in names}
