"""Ways of seeing images: what each gives, that it is the same every time, and that it tells good images from bad."""

import json
import random as python_random
import re

import h5py
import keras
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

from ganlab.config import Digits
from ganlab.data.digits import digits
from ganlab.errors import ConfigError
from ganlab.evaluation.features import FEATURES, RealImages, classifier, inception, pca, random
from ganlab.evaluation.features.base import compile_for
from ganlab.evaluation.metrics import coverage_null, frechet_distance, pairs, precision_recall_density_coverage

OFFLINE = ["pixels", "pca", "random", "classifier"]
QUICK, SHORT = classifier.RECIPE._replace(images=30_000), classifier.RECIPE._replace(passes=1, images=0)


@pytest.fixture(scope="module")
def real():
    split = digits(Digits(name="digits", size=8, channels=1, held_out=0.2))
    return RealImages(split.train.pixels, split.held_out.pixels, split.train.labels, split.held_out.labels)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))


@pytest.fixture(scope="module")
def built(real):
    return {name: build(name, real) for name in OFFLINE}


def build(name, real):
    return classifier.classifier(real, recipe=QUICK) if name == "classifier" else FEATURES[name](real)


@pytest.mark.parametrize("name", OFFLINE)
def test_every_kind_gives_vectors_and_says_what_they_are(built, real, name):
    features = built[name]
    vectors = features.embed(real.held_out)
    assert features.name == name
    assert len(vectors) == features.facts.get("draws", 1)
    for draw in vectors:
        assert draw.dtype == np.float64
        assert draw.shape == (len(real.held_out), features.facts["dimension"])
        assert np.isfinite(draw).all()
    assert features.facts["dimension"] <= 64
    assert json.loads(json.dumps(features.facts)) == features.facts
    for part, whole in zip(features.embed(real.held_out[300:310]), vectors, strict=True):
        np.testing.assert_allclose(part, whole[300:310], rtol=1e-4, atol=1e-5)  # an image's vector is its own


@pytest.mark.parametrize("name", OFFLINE)
def test_the_digest_is_that_of_the_numbers(built, real, name):
    again = build(name, real)
    assert again.digest == built[name].digest
    np.testing.assert_array_equal(again.embed(real.held_out), built[name].embed(real.held_out))
    digests = {features.digest for features in built.values()}
    assert len(digests) == len(OFFLINE)
    if name != "classifier":
        assert FEATURES[name](real._replace(train=real.train[:, :4])).digest not in digests


@pytest.mark.parametrize("name", OFFLINE)
@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (np.zeros((3, 8, 8, 1)), "float64"),
        (np.zeros((3, 8, 8, 3), np.uint8), r"\[3, 8, 8, 3\]; give uint8 \[N, 8, 8, 1\]"),
        (np.zeros((3, 8, 8), np.uint8), r"\[3, 8, 8\]"),
        (np.zeros((0, 8, 8, 1), np.uint8), "no image"),
    ],
)
def test_other_images_are_refused(built, name, bad, what):
    with pytest.raises(ValueError, match=f"^pixels .*{what}"):
        built[name].embed(bad)


def test_pixels_run_from_minus_one_to_one():
    image = np.array([0, 255, 51, 102], np.uint8).reshape(1, 2, 2, 1)
    features = FEATURES["pixels"](RealImages(image, image))
    np.testing.assert_allclose(features.embed(image)[0], [[-1, 1, -0.6, -0.2]], rtol=1e-15)


def test_principal_components_are_those_of_another_route(real, built):
    from sklearn.decomposition import PCA

    flat = real.train.reshape(len(real.train), -1) / 127.5 - 1
    theirs = PCA(svd_solver="full").fit(flat)
    ours = built["pca"].embed(real.held_out)[0]
    assert ours.shape[1] == np.linalg.matrix_rank(np.cov(flat.T)) == 61  # three pixels never change
    expected = theirs.transform(real.held_out.reshape(len(real.held_out), -1) / 127.5 - 1)[:, :61]
    np.testing.assert_allclose(np.abs(ours), np.abs(expected), atol=1e-9)
    assert built["pca"].facts["explained_variance"] == pytest.approx(1)


def test_principal_components_have_a_sign_and_a_limit():
    random = np.random.default_rng(0)
    line = np.rint(128 + 100 * np.outer(random.uniform(-1, 1, 500), [0.3, -0.9])).astype(np.uint8).reshape(-1, 1, 2, 1)
    (vectors,) = FEATURES["pca"](RealImages(line, line)).embed(line)
    assert np.corrcoef(vectors[:, 0], line[:, 0, 1, 0])[0, 1] > 0.999  # the larger entry counts as positive
    many = FEATURES["pca"](RealImages(*random.integers(0, 256, (2, 200, 9, 9, 1), dtype=np.uint8)))
    assert many.facts["dimension"] == 64  # of 81
    assert 0.8 < many.facts["explained_variance"] < 0.95
    same = np.zeros((2, 9, 9, 1), np.uint8)
    with pytest.raises(ConfigError, match=r"metrics.features=pca needs images that differ"):
        FEATURES["pca"](RealImages(same, same))


def test_principal_components_of_wide_images_are_the_same_by_products_of_images(real, monkeypatch, tmp_path):
    few = RealImages(real.train[:200], real.held_out)
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "narrow"))
    narrow = FEATURES["pca"](few)
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "wide"))
    monkeypatch.setattr(pca, "_WIDEST", 60)
    wide = FEATURES["pca"](few)
    np.testing.assert_allclose(wide.embed(real.held_out)[0], narrow.embed(real.held_out)[0], atol=1e-9)
    assert wide.facts == pytest.approx(narrow.facts)
    monkeypatch.setattr(pca, "_FEW", 50)
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "fewer"))
    fewer = FEATURES["pca"](few)
    assert fewer.facts["trained_on"] == "50 training images"
    assert fewer.embed(real.held_out)[0].shape == (len(real.held_out), 49)  # as many as 50 images span


@pytest.mark.parametrize("wide", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_principal_components_by_parts_are_those_of_the_whole(real, built, monkeypatch, tmp_path, wide):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(pca, "_WIDTH", 1)  # 4096 / 64 images at a time, or less than 3 values of all of them
    monkeypatch.setattr(pca, "_PATIENCE", -1)
    monkeypatch.setattr(pairs, "SIDE", 20)
    if wide:
        monkeypatch.setattr(pca, "_WIDEST", 60)
    lines = []
    parts = FEATURES["pca"](real, say=lines.append)
    np.testing.assert_allclose(parts.embed(real.train)[0], built["pca"].embed(real.train)[0], atol=1e-9)
    assert parts.facts == pytest.approx(built["pca"].facts)
    assert len(lines) > 20
    assert re.fullmatch(r"finding the principal components of the training images, once: \d+ %, \d+ s", lines[0])
    assert lines[-1].split(": ")[1].startswith("100 %")


def test_what_is_quick_says_nothing(real, empty_cache):
    FEATURES["pca"](real, say=pytest.fail)


def test_the_classifier_knows_held_out_digits(built, real):
    features = built["classifier"]
    assert features.facts["test_accuracy"] >= 0.96
    assert features.facts["tested_on"] == len(real.held_out) == 359
    assert features.facts["seed"] == 0 and "draws" not in features.facts
    probabilities = features.probabilities(real.held_out)
    assert probabilities.shape == (359, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.mean(probabilities.argmax(axis=1) == real.held_out_labels) == features.facts["test_accuracy"]
    (vectors,) = features.embed(real.train)
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-6)
    assert vectors.var(axis=0).mean() == pytest.approx(1)


@pytest.mark.slow
def test_the_classifier_knows_97_of_100_held_out_digits(real):
    """MNIST's 99 are in experiments/metrics/classifier.py, which needs its file."""
    assert FEATURES["classifier"](real).facts["test_accuracy"] >= 0.97


def test_the_classifier_is_trained_once(built, real, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("trained again")

    monkeypatch.setattr(classifier, "_train", refuse)
    build("classifier", real)
    others = [
        real._replace(train_labels=real.train_labels[::-1]),
        real._replace(train=real.train[::-1]),
        real._replace(held_out_labels=real.held_out_labels[::-1]),
    ]
    for other in others:
        with pytest.raises(AssertionError, match="trained again"):
            build("classifier", other)
    with pytest.raises(AssertionError, match="trained again"):
        classifier.classifier(real, recipe=QUICK._replace(seed=1))


def train(real):
    return classifier._train(real, np.arange(10), SHORT, None)


def test_training_gives_the_same_bits_in_any_process_and_leaves_no_trace(real):
    first = train(real)
    keras.utils.set_random_seed(7)
    expected = np.random.uniform(), python_random.random(), float(tf.random.normal(()))
    keras.utils.set_random_seed(7)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            second = train(real)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(policy)
    assert (np.random.uniform(), python_random.random(), float(tf.random.normal(()))) == expected
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array)


@pytest.mark.parametrize(
    "shape", [(4, 9, 1), (3, 5, 3), (17, 12, 1), pytest.param((32, 32, 3), marks=pytest.mark.slow)]
)
def test_the_classifier_takes_other_shapes_and_labels(shape, empty_cache):
    random = np.random.default_rng(0)
    labels = random.choice([3, -1, 40], 60)
    pixels = random.integers(0, 100, (60, *shape)) + 50 * (labels == 3)[:, None, None, None]
    pixels = (pixels + 100 * (labels == 40)[:, None, None, None]).astype(np.uint8)
    real = RealImages(pixels, pixels, labels, labels)
    lines = []
    features = classifier.classifier(real, recipe=classifier.RECIPE._replace(images=2000), say=lines.append)
    assert features.embed(pixels)[0].shape == (60, 64)
    assert features.probabilities(pixels).shape == (60, 3)
    assert features.facts["test_accuracy"] > 0.7  # a third by chance
    assert lines[-1].startswith("trained the classifier for features in ")
    assert all("\n" not in line for line in lines)


def test_the_network_and_the_rate_of_the_classifier_are_those_of_its_edition():
    # Numbers under these features are compared across versions: what changes them needs another edition.
    assert classifier.RECIPE == (1, 64, 128, 4, 100_000, 6e11, 3e-3, 14, 0.4, 0)
    network = classifier.Network((32, 40, 3), 10, 64)
    assert network._kernels == [
        (3, 3, 3, 16), (3, 3, 16, 16), (3, 3, 16, 32), (3, 3, 32, 64), (4 * 5 * 64, 64), (64, 10),
    ]  # fmt: skip
    convolutions = 32 * 40 * 3 * 16 + 16 * 20 * 16 * 16 + 8 * 10 * 16 * 32 + 4 * 5 * 32 * 64
    assert network.multiplications == 9 * convolutions + 4 * 5 * 64 * 64 + 64 * 10
    rates = [classifier._rise_and_fall(share) for share in (0.05, 0.1, 0.325, 0.55, 1)]
    assert rates == pytest.approx([0.5, 1, 0.5 + 0.5**1.5, 0.5, 0])


def test_batches_are_permutations_moved_by_at_most_a_fourteenth():
    images = np.arange(30 * 28 * 14, dtype=np.uint32).reshape(30, 28, 14, 1)
    order, moves = [], set()
    batches = classifier._batches(images, np.arange(30), 10, 14, np.random.default_rng(0))
    for _ in range(30):
        moved, places = next(batches)
        order += list(places)
        for image, place in zip(moved, places, strict=True):
            down, right = divmod(int(image[14, 7, 0]) - int(images[place, 14, 7, 0]), 14)
            if right == 13:
                down, right = down + 1, -1
            moves.add((down, right))
            rows, columns = np.clip(np.arange(28) + down, 0, 27), np.clip(np.arange(14) + right, 0, 13)
            np.testing.assert_array_equal(image, images[place][rows][:, columns])
    for start in range(0, 300, 30):
        assert sorted(order[start : start + 30]) == list(range(30))
    assert order[:30] != order[30:60]
    assert moves == {(down, right) for down in range(-2, 3) for right in range(-1, 2)}


def test_without_labels_there_is_no_classifier(real):
    for unlabelled in (RealImages(real.train, real.held_out), real._replace(held_out_labels=None)):
        with pytest.raises(
            ConfigError, match=r"^metrics.final.features=\[classifier\] needs labels, and this dataset has none"
        ):
            FEATURES["classifier"](unlabelled)
    with pytest.raises(ConfigError, match="needs two classes"):
        FEATURES["classifier"](real._replace(train_labels=np.zeros_like(real.train_labels)))


def test_the_random_networks_are_the_published_ones():
    # Numbers under these features are compared across versions: new ones need a new name.
    first = [
        [-0.00662881, -0.32246476, -0.140958],
        [0.14166692, -0.00251785, -0.19924773],
        [0.14759666, 0.3155276, 0.56681156],
    ]
    third = [
        [-0.0243378, -0.20916227, -0.0926483],
        [0.06105718, -0.21541245, -0.00146286],
        [-0.03220103, 0.01610074, -0.1898529],
    ]
    for seed in range(3):
        kernels = random.draw(seed, 1)
        np.testing.assert_allclose(kernels[0][0, :, 0, 0], first[seed], rtol=1e-5)
        np.testing.assert_allclose(kernels[2][0, :, 0, 0], third[seed], rtol=1e-5)
        for kernel in kernels[:2]:  # flat areas give nothing
            np.testing.assert_allclose(kernel.sum(axis=(0, 1)), 0, atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 10, 3)])
def test_random_features_agree_with_a_slow_twin(shape):
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (40, *shape), np.uint8)
    draws = np.stack([[slow_random_features(image, seed) for image in pixels] for seed in range(3)])
    std = draws.std(axis=1, keepdims=True)
    usual = np.sqrt((std**2).mean(axis=2, keepdims=True))  # what hardly varies counts as a tenth of it
    expected = (draws - draws.mean(axis=1, keepdims=True)) / np.maximum(std, usual / 10)
    np.testing.assert_allclose(FEATURES["random"](RealImages(pixels, pixels)).embed(pixels), expected, atol=1e-4)


def slow_random_features(pixels, seed):
    image = pixels / 127.5 - 1

    def convolve(maps, kernel):
        padded = np.pad(maps, ((1, 1), (1, 1), (0, 0)), "symmetric")
        return np.stack([np.maximum(0, sum(scipy.signal.correlate2d(padded[..., i], kernel[:, :, i, o], "valid")
                                           for i in range(maps.shape[-1]))) for o in range(kernel.shape[-1])], -1)  # fmt: skip

    def halve(maps):
        height, width, _ = maps.shape
        return np.array([[maps[y : y + 2, x : x + 2].mean(axis=(0, 1)) for x in range(0, width, 2)]
                         for y in range(0, height, 2)])  # fmt: skip

    one, two, three = random.draw(seed, image.shape[-1])
    first = convolve(image, one)
    half = halve(image)
    second = convolve(np.concatenate([half, halve(first)], -1), two)
    third = convolve(np.concatenate([halve(half), halve(second)], -1), three)
    height, width, _ = third.shape
    corners = [
        third[rows, columns].mean(axis=(0, 1))
        for rows in (slice(0, -(-height // 2)), slice(height // 2, height))
        for columns in (slice(0, -(-width // 2)), slice(width // 2, width))
    ]
    return np.concatenate([first.mean(axis=(0, 1)), second.mean(axis=(0, 1)), *corners])


def checkerboard(pixels, amplitude):
    sign = np.where(np.add.outer(np.arange(8), np.arange(8)) % 2, 1, -1)
    return np.clip(pixels + amplitude * sign[None, :, :, None], 0, 255).astype(np.uint8)


def noise(pixels, amplitude):
    random = np.random.default_rng(0).standard_normal(pixels.shape)
    return np.clip(np.rint(pixels + amplitude * random), 0, 255).astype(np.uint8)


def blur(pixels, amplitude):
    width = amplitude / 40
    return np.rint(scipy.ndimage.gaussian_filter(pixels.astype(float), (0, width, width, 0))).astype(np.uint8)


@pytest.mark.parametrize("name", OFFLINE)
@pytest.mark.parametrize("corrupt", [checkerboard, noise, blur])
def test_worse_images_are_farther(built, real, name, corrupt):
    features = built[name]
    held_out = features.embed(real.held_out)
    ladder = [np.mean([frechet_distance(one, two) for one, two in
                       zip(held_out, features.embed(corrupt(real.train, amplitude)), strict=True)])
              for amplitude in (0, 20, 40, 80)]  # fmt: skip
    assert ladder == sorted(ladder)
    assert ladder[2] > 2 * ladder[0]


@pytest.mark.parametrize("name", OFFLINE)
def test_real_images_cover_real_images(built, real, name):
    """Shares of 359 images vary by about .01 around the null; classifiers see what they were trained on as clearer."""
    for one, two in zip(built[name].embed(real.held_out), built[name].embed(real.train[:359]), strict=True):
        coverage = precision_recall_density_coverage(one, two).coverage
        assert coverage == pytest.approx(coverage_null(359, 359), abs=0.06)


def stand_in(**arguments):
    """A network with the layers of Inception-v3 that are asked for: mean colours, and one class."""
    images = keras.Input((299, 299, 3))
    pooled = keras.layers.GlobalAveragePooling2D(name="avg_pool")(images)
    return keras.Model(images, keras.layers.Dense(4, "softmax", name="predictions")(pooled))


@pytest.mark.parametrize(("side", "most"), [(128, 256), (512, 16)])
def test_a_network_is_given_fewer_large_images_at_a_time(side, most):
    extract = compile_for((side, side, 1), lambda pixels: [tf.repeat(tf.shape(pixels)[:1], tf.shape(pixels)[0])])
    assert extract(np.zeros((most + 1, side, side, 1), np.uint8))[0].tolist() == [most] * most + [1]


def test_inception_sees_resized_colour_images(real, monkeypatch):
    monkeypatch.setattr(keras.applications, "InceptionV3", stand_in)
    keras.config.set_dtype_policy("mixed_bfloat16")
    state = python_random.getstate()
    try:
        features = FEATURES["inception"](real)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert python_random.getstate() == state
    few = real.held_out[:40]
    (vectors,) = features.embed(few)
    assert vectors.shape == (40, 3)
    np.testing.assert_allclose(vectors[:, 0], vectors[:, 2])
    brightness = few.mean(axis=(1, 2, 3)) / 127.5 - 1
    assert np.corrcoef(vectors[:, 0], brightness)[0, 1] > 0.95
    flat = np.full((2, 8, 8, 1), 51, np.uint8)
    np.testing.assert_allclose(features.embed(flat)[0], -0.6, rtol=2e-3)  # a float32 sum of 89,401
    assert features.probabilities(few).shape == (40, 4)
    colour = np.tile(np.array([51, 102, 204], np.uint8), (2, 8, 8, 1))
    colours = FEATURES["inception"](RealImages(colour, colour)).embed(colour)[0]
    np.testing.assert_allclose(colours, [[-0.6, -0.2, 0.6]] * 2, rtol=2e-3)
    assert "not those of published FIDs" in features.facts["trained_on"]
    assert json.loads(json.dumps(features.facts)) == features.facts


def test_inception_without_its_weights_is_one_line(real, monkeypatch, tmp_path):
    def offline(weights):
        raise Exception(f"URL fetch failure on https://example: None --\n no route ({weights})")  # as Keras does

    monkeypatch.setattr(keras.applications, "InceptionV3", offline)
    with pytest.raises(ConfigError, match=r"^metrics.final.features=\[inception\] could not download .*URL fetch failure.* fetch "
                                          r"\S+\.h5 .*metrics.final.inception_weights=FILE.* random\Z"):  # fmt: skip
        FEATURES["inception"](real)
    broken = tmp_path / "weights.h5"
    broken.write_bytes(b"no weights")
    with pytest.raises(
        ConfigError, match=r"^metrics.final.inception_weights=\S+weights.h5 does not fit .*URL fetch failure"
    ):
        FEATURES["inception"](real, weights=str(broken))
    for wrong in (tmp_path / "absent.h5", tmp_path):
        with pytest.raises(
            ConfigError, match=r"^metrics.final.inception_weights=\S+ is not an .h5 file; give Keras' inception"
        ):
            FEATURES["inception"](real, weights=str(wrong))


@pytest.mark.slow
def test_inception_itself_reads_its_weights_from_a_file(real, tmp_path):
    file = tmp_path / "weights.h5"
    with h5py.File(file, "w") as group:  # the layout of the file that Keras downloads
        legacy_h5_format.save_weights_to_hdf5_group(group, keras.applications.InceptionV3(weights=None))
    features = FEATURES["inception"](real, weights=str(file))
    (vectors,) = features.embed(real.held_out[:6])
    assert vectors.shape == (6, features.facts["dimension"]) == (6, 2048)
    assert features.probabilities(real.held_out[:6]).shape == (6, 1000)
    assert inception.inception(real, weights=str(file)).digest == features.digest
    file.write_bytes(b"no weights")
    with pytest.raises(ConfigError, match=r"^metrics.final.inception_weights=\S+weights.h5 does not fit Inception-v3"):
        FEATURES["inception"](real, weights=str(file))
