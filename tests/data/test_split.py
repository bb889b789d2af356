"""Splits: by content, so in any order of the images the same ones; stratified; twins are named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlab.data.images import Images, Split, arrange, counts_held_out, digest, draw_held_out, fit, in_blocks, shared

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (300, 4, 3, 1), np.uint8)
LABELS = RANDOM.integers(0, 4, 300)


def drawn(pixels, labels, share=0.2, seed=0):
    """The images of both sides with their labels, in their order."""
    digests = digest(pixels)
    sides = arrange(digests, labels, draw_held_out(digests, labels, share, seed))
    return [[(pixels[place].tobytes(), int(labels[place])) for place in side] for side in sides]


@given(st.randoms(use_true_random=False))
def test_the_order_in_which_images_come_changes_nothing(random):
    pixels = np.concatenate([PIXELS, PIXELS[:30]])  # the same again under another label
    labels = np.concatenate([LABELS, (LABELS[:30] + 1) % 4])
    places = list(range(len(pixels)))
    random.shuffle(places)
    assert drawn(pixels[places], labels[places]) == drawn(pixels, labels)


def test_a_share_is_held_out_of_each_class_and_another_seed_draws_others():
    labels = np.repeat([0, 1, 2, 3], [910, 60, 30, 1])
    digests = digest(RANDOM.integers(0, 256, (len(labels), 8, 8, 1), np.uint8))
    held = draw_held_out(digests, labels, 0.2, 0)
    assert np.bincount(labels[held], minlength=4).tolist() == [182, 12, 6, 0]
    other = draw_held_out(digests, labels, 0.2, 1)
    assert np.bincount(labels[other], minlength=4).tolist() == [182, 12, 6, 0]
    both = int((held & other).sum())
    assert 15 < both < 65  # of 200, 40 by chance: standard deviation 5


@pytest.mark.parametrize(
    ("sizes", "share", "wanted"),
    [
        ([910, 60, 30, 1], 0.2, [182, 12, 6, 0]),
        ([2] * 26, 0.9, [1] * 26),
        ([100], 0.25, [25]),
        ([3, 0, 3], 0.34, [1, 0, 1]),
    ],
)
def test_how_many_are_held_out_is_known_before_they_are_looked_at(sizes, share, wanted):
    assert counts_held_out(sizes, share).tolist() == wanted
    labels = np.repeat(np.arange(len(sizes)), sizes)
    digests = digest(RANDOM.integers(0, 256, (len(labels), 4, 4, 1), np.uint8))
    held = draw_held_out(digests, labels, share, 3)
    assert np.bincount(labels[held], minlength=len(sizes)).tolist() == wanted


def test_of_a_class_no_more_than_one_image_stands_on_both_sides():
    pixels = PIXELS[RANDOM.integers(0, 40, 400)]  # ten copies of each
    digests = digest(pixels)
    held = draw_held_out(digests, None, 0.3, 0)
    twins = shared(digests, held)
    assert len({pixels[theirs].tobytes() for _, theirs in twins}) <= 1
    assert all((pixels[mine] == pixels[theirs]).all() and held[theirs] and not held[mine] for mine, theirs in twins)
    by_hand = np.arange(400) % 2 == 0
    copies = {pixels[place].tobytes() for place in np.flatnonzero(~by_hand)}
    assert len(shared(digests, by_hand)) == sum(pixels[place].tobytes() in copies for place in np.flatnonzero(by_hand))


def test_the_hash_of_a_split_changes_with_every_pixel_label_shape_and_side():
    pixels, labels = PIXELS[:6], LABELS[:6]
    versions = [(pixels, labels), (pixels ^ (np.arange(6) == 5).astype(np.uint8)[:, None, None, None], labels),
                (pixels, labels ^ (np.arange(6) == 5)), (pixels.reshape(6, 3, 4, 1), labels), (pixels, None)]  # fmt: skip
    sides = [Images(*version, name="a", source="b") for version in versions]
    splits = [Split(sides[0], side) for side in sides] + [Split(side, sides[0]) for side in sides[1:]]
    assert len({split.facts["sha256"] for split in splits}) == len(splits)


def test_grey_is_the_luminance_of_itu_r_601():
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], np.uint8)
    assert fit(colours[:, None, None], (1, 1), 1).ravel().tolist() == [76, 150, 29, 255]


@pytest.mark.parametrize("side", [4, 200, 3000])
@pytest.mark.parametrize("becomes", [0, 2**22])
def test_blocks_are_all_images_in_order_and_a_few_megabytes_each(side, becomes):
    images = np.broadcast_to(np.arange(5000, dtype=np.uint16)[:, None, None], (5000, side, side))
    count, largest = 0, max(side * side * 2, becomes)
    for block in in_blocks(images, becomes):
        assert block[:, 0, 0].tolist() == list(range(count, count + len(block)))
        count += len(block)
        assert len(block) == 1 or len(block) * largest <= 2**24
    assert count == 5000
