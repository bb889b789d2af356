"""The grids that a run leaves while it trains."""

import numpy as np
import pytest
import tensorflow as tf

from ganlab.data.images import Images
from ganlab.run import pictures
from ganlab.run.sampler import Sampler
from ganlab.runs import grids


def shades(picture, rows):
    """The shade in the middle of each place of a grid of 8 columns."""
    down, right = (picture.shape[0] - 6) // rows, (picture.shape[1] - 6) // 8
    return picture[6 + down // 2 - 6 :: down, 6 + right // 2 - 6 :: right, 0]


@pytest.fixture
def config(settings):
    return settings("dataset=shapes", "dataset.size=16", "conditional=true")


def test_of_a_conditional_run_each_row_is_a_class_generated_and_real(config):
    size = config.generator.latent_size

    def generator(z, training):
        shade = tf.cast(tf.argmax(z[:, size:], axis=1), tf.float32) * 0.4 - 1
        return tf.ones((1, 16, 16, 3)) * shade[:, None, None, None]

    expected = np.repeat([[0], [51], [102], [153], [204]], 8, axis=1)
    found = pictures.sample_grid(Sampler(generator, config), config)
    assert grids.rows_of(found, (16, 16)) == 5
    np.testing.assert_array_equal(shades(found, 5), expected)

    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), [9, 20, 0, 3, 8]))
    pixels = np.broadcast_to((labels * 51).astype(np.uint8)[:, None, None, None], (len(labels), 16, 16, 3)).copy()
    expected[2], expected[3, 3:] = grids.BACKGROUND, grids.BACKGROUND  # of one class none, of another three
    np.testing.assert_array_equal(shades(pictures.real_grid(Images(pixels, labels, "x", "x"), config), 5), expected)


@pytest.mark.parametrize("size", [(8, 8), (12, 28), (64, 16)])
@pytest.mark.parametrize("rows", [1, 3, 8, 26])
def test_rows_of_a_picture_are_counted(size, rows):
    pixels = np.zeros((8 * rows, *size, 3), np.uint8)
    assert grids.rows_of(grids.grid(pixels), size) == rows
