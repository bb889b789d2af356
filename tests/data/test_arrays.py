"""Images of one's own: read as they are, the right arrays of a file, and one line where it is not clear which."""

import zipfile

import numpy as np
import pytest

from ganlab.data import survey
from ganlab.data.arrays import survey_of
from ganlab.data.sources import DATASETS
from ganlab.errors import ConfigError

arrays = DATASETS["arrays"]
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (30, 16, 12), np.uint8)
RGB = RANDOM.integers(0, 256, (30, 16, 12, 3), np.uint8)
FEW = RANDOM.integers(0, 256, (10, 16, 12, 3), np.uint8)
Y = np.arange(30) % 3
STAGES = "generator.stages=[[8,2],[null,2]]"


@pytest.fixture
def own(settings, tmp_path):
    """`own({"images": array}, "dataset.size=8")`: the settings of a file with these arrays; one array makes an .npy."""

    def write(there, name):
        path = tmp_path / (name + (".npz" if isinstance(there, dict) else ".npy"))
        with path.open("wb") as file:
            np.savez(file, **there) if isinstance(there, dict) else np.save(file, there)
        return path

    def make(there, *overrides, other=None):
        more = [f"dataset.path={write(there, 'my')}"]
        more += [] if other is None else [f"dataset.held_out_path={write(other, 'other')}"]
        return settings("dataset=arrays", STAGES, *more, *overrides).dataset

    return make


def same(images, pixels, labels):
    """Whether these are the images with these labels, in whatever order."""
    wanted = sorted((image.tobytes(), int(label)) for image, label in zip(pixels, labels, strict=True))
    return wanted == sorted(
        (image.tobytes(), int(label)) for image, label in zip(images.pixels, images.labels, strict=True)
    )


TRAIN, TEST = {"x_train": RGB, "y_train": Y}, {"x_test": FEW, "y_test": Y[:10]}
NAMES = {
    "keras": {**TRAIN, **TEST},
    "words": {"train_images": RGB, "train_labels": Y, "test_images": FEW, "test_labels": Y[:10]},
    "capitals": {"X_train": RGB, "Y_train": Y, "X_val": FEW, "Y_val": Y[:10]},
    "camel": {"trainX": RGB, "trainY": Y, "testX": FEW, "testY": Y[:10]},
    "glued": {"xtrain": RGB, "ytrain": Y, "xtest": FEW, "ytest": Y[:10]},
    "columns": {"x_train": RGB, "y_train": Y[:, None], "x_test": FEW, "y_test": Y[:10, None]},
    "more besides": {**TRAIN, **TEST, "mean": np.zeros(3), "ids": np.arange(30), "sizes": np.ones((30, 2))},
}


@pytest.mark.parametrize("there", NAMES.values(), ids=NAMES)
def test_arrays_are_found_by_their_names(own, there):
    config = own(there)
    assert (config.size, config.channels, config.classes) == ((16, 12), 3, 3)
    split = arrays(config)
    assert same(split.train, RGB, Y)
    assert same(split.held_out, FEW, Y[:10])


@pytest.mark.parametrize("there", [{"images": GREY}, {"images": GREY, "labels": Y}, {"arr_0": GREY}, GREY, GREY[..., None]],
                         ids=["images", "labelled", "unnamed", "npy", "channel"])  # fmt: skip
def test_a_share_is_held_out_where_the_file_names_no_test_part(own, there):
    split = arrays(own(there, "dataset.held_out=0.3"))
    assert (len(split.train.pixels), len(split.held_out.pixels)) == (21, 9)
    both = np.concatenate([split.train.pixels, split.held_out.pixels])[..., 0]
    assert {image.tobytes() for image in both} == {image.tobytes() for image in GREY}  # each in one of them
    labelled = isinstance(there, dict) and "labels" in there
    assert (split.train.labels is not None) == labelled
    if labelled:
        assert np.bincount(split.held_out.labels).tolist() == [3, 3, 3]
        for image, label in zip(split.train.pixels[..., 0], split.train.labels, strict=True):
            assert Y[(image == GREY).all(axis=(1, 2))] == label


def test_held_out_images_may_lie_in_another_file(own):
    config = own(TRAIN, other={"images": FEW, "labels": Y[:10]})
    split = arrays(config)
    assert same(split.held_out, FEW, Y[:10])
    assert len(split.train.pixels) == 30 and config.held_out_sha256 and config.sha256 != config.held_out_sha256
    assert split.notes == (
        "my.npz: 30 images [x_train] to train on, 10 of other.npz [images] held out, 3 classes; licence unknown",
    )
    assert len(arrays(own(RGB, other=FEW)).held_out.pixels) == 10  # two .npy


def test_labels_of_any_numbers_are_classes_and_that_is_said(own):
    letters = {"images": GREY, "labels": np.array([7, 90_000_000, 10**12])[Y]}
    split = arrays(own(letters, "dataset.source=my own", "dataset.licence=CC0"))
    assert set(split.train.labels) == {0, 1, 2}
    assert split.notes == (
        "my own: 24 images [images] to train on, 6 others drawn to be held out, 3 classes; licence CC0",
        "labels 7, 90000000, 1000000000000 are classes 0 to 2",
    )
    unread = own({"images": GREY, "labels": Y - 0.5}, "dataset.labels_key=''")
    assert (unread.classes, arrays(unread).train.labels) == (None, None)


def test_nothing_is_resized_or_made_grey_without_a_line(own):
    red = np.zeros((30, 16, 12, 3), np.uint8)
    red[..., 0] = 200
    assert len(arrays(own(red)).notes) == 2
    split = arrays(own(red, "dataset.size=8", "dataset.channels=1"))
    assert split.notes[1] == "30 images 16x12x3 -> 8x8x1: resized, grey"
    assert split.notes[2].startswith("6 held-out images are also among the training images: ")
    assert set(np.unique(split.train.pixels)) == {60}  # .299 x 200
    assert split.facts["notes"] == list(split.notes) and split.facts["licence"] == "unknown"


def test_networks_are_told_as_many_classes_as_there_are(own, settings, tmp_path):
    labels = np.repeat(np.arange(26), [5] * 25 + [55])
    config = own({"images": RANDOM.integers(0, 256, (180, 8, 8), np.uint8), "labels": labels}, "conditional=true")
    assert config.classes == 26
    assert config.class_counts == [4] * 25 + [44]
    with pytest.raises(ConfigError, match="conditional=true needs labels"):
        own({"images": GREY}, "conditional=true")
    with pytest.raises(
        ConfigError, match=r"conditional=true, but dataset\.path=.* has 12000 different labels.*at most 10000"
    ):
        own({"x_train": np.zeros((12000, 4, 4), np.uint8), "y_train": np.arange(12000)}, "conditional=true")


WRONG = {
    "dataset.path=null names no images; give dataset.path=FILE.npz": lambda own: own({"images": GREY}, "dataset.path=null"),
    "has several arrays of images, a uint8 [30, 16, 12], b uint8 [30, 16, 12]; name the one to train on with "
    "dataset.images_key=a": lambda own: own({"a": GREY, "b": GREY}),
    "name the one to hold out with dataset.held_out_images_key=x_test": lambda own: own(
        {"x_train": RGB, "x_test": FEW, "x_val": FEW}
    ),
    "name the one that is meant with dataset.labels_key=fine_labels": lambda own: own(
        {"images": RGB, "fine_labels": Y, "coarse_labels": Y}
    ),
    "dataset.images_key=pics is not in dataset.path=": lambda own: own({"images": GREY}, "dataset.images_key=pics"),
    "dataset.labels_key=z is not in dataset.path=": lambda own: own({"images": GREY}, "dataset.labels_key=z"),
    "has only held-out images, x_test uint8 [10, 16, 12, 3]": lambda own: own({"x_test": FEW}),
    "has x of type float64; it must be uint8, 0 to 255": lambda own: own({"x": GREY / 255, "y": Y}),
    "has an array of shape [30, 192]; it must be uint8 [N,H,W], [N,H,W,1] or [N,H,W,3]": lambda own: own(
        GREY.reshape(30, -1)
    ),
    "has x of shape [30, 3, 16, 12], channels first: numpy.moveaxis(images, 1, -1)": lambda own: own(
        {"x": np.moveaxis(RGB, -1, 1)}
    ),
    "of shape [30, 16, 12, 4], with transparency": lambda own: own({"x": np.stack([GREY] * 4, 3)}),
    "of shape [16, 12, 3], a single image": lambda own: own(RGB[0]),
    "of shape [0, 16, 12], which is empty": lambda own: own(GREY[:0]),
    "has x of Python objects, which need a pickle": lambda own: own({"x": np.array([{}], object)}),
    "holds no arrays": lambda own: own({}),
    "has x_train and x_test that differ in shape, [16, 12, 3] and [16, 11, 3]": lambda own: own(
        {**TRAIN, **TEST, "x_test": FEW[:, :, 1:]}
    ),
    "has labels for one part only, y_train": lambda own: own({**TRAIN, "x_test": FEW}),
    "my.npz has y_train[4]=-1; labels are whole numbers of at least 0": lambda own: own(
        {**TRAIN, "y_train": np.where(np.arange(30) == 4, -1, Y)}
    ),
    "my.npz has y_test[2]=9, a label that no training image has": lambda own: own(
        {**TRAIN, **TEST, "y_test": np.where(np.arange(10) == 2, 9, 0)}
    ),
    "has y_train of shape [3]; it must be one label per image, [30] or [30,1]": lambda own: own({**TRAIN, "y_train": Y[:3]}),
    "has y_train of type object; labels are": lambda own: own({**TRAIN, "y_train": Y.astype(object)}),
    "dataset.size=[16,10] cannot be reached": lambda own: own({"images": GREY[:, :, 2:]}),
    "dataset.held_out=1.5 is out of range": lambda own: own({"images": GREY}, "dataset.held_out=1.5", "conditional=true"),
    "dataset.classes=4, but dataset.path=": lambda own: own({"images": GREY, "labels": Y}, "+dataset.classes=4"),
    "has changed: its sha256 is": lambda own: own({"images": GREY}, "dataset.sha256=0123"),
    "dataset.held_out=0.001 leaves one side of the 30 images empty; use a share such as 0.5, or dataset.held": lambda own: arrays(
        own({"images": GREY}, "dataset.held_out=0.001")
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG, ids=range(len(WRONG)))
def test_a_file_of_which_it_is_not_clear_what_is_meant_is_one_line(own, message):
    with pytest.raises(ConfigError) as caught:
        WRONG[message](own)
    assert message in str(caught.value), caught.value
    assert "\n" not in str(caught.value)


def test_a_file_is_looked_into_without_its_pixels(own, monkeypatch):
    config = own({**TRAIN, **TEST})
    monkeypatch.setattr("ganlab.data.arrays._Side._read", None)
    survey = survey_of(config)
    assert (survey.counts(0.5), survey.class_counts(0.5)) == ((30, 10), [10, 10, 10])


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_truncated_npy_is_refused_before_it_is_loaded(settings, tmp_path, keep):
    np.save(tmp_path / "cut.npy", GREY)
    whole = (tmp_path / "cut.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(ConfigError, match=r"cut\.npy is damaged .*does not hold the 5760 numbers"):
        settings("dataset=arrays", STAGES, f"dataset.path={tmp_path / 'cut.npy'}")


def test_an_npz_that_is_damaged_in_lzma_is_one_line(settings, tmp_path):
    np.save(tmp_path / "images.npy", GREY)
    path = tmp_path / "own.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.write(tmp_path / "images.npy", "images.npy")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"own\.npz is damaged or not what it seems \(Corrupt input data\)"):
        settings("dataset=arrays", STAGES, f"dataset.path={path}")


@pytest.mark.parametrize("overrides", [(), ("dataset.size=8", "dataset.channels=1")])
def test_what_is_larger_than_the_memory_for_it_is_kept_on_the_disk_with_the_same_bits(
    own, monkeypatch, tmp_path, overrides
):
    config = own({"images": RGB, "labels": Y}, *overrides)
    wanted = arrays(config)
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr("ganlab.data.survey.IN_MEMORY", 1000)
    found = arrays(config)
    assert isinstance(found.train.pixels, np.memmap)
    assert found.facts["sha256"] == wanted.facts["sha256"]
    assert (found.notes, found.held_out_names) == (wanted.notes, wanted.held_out_names)
    np.testing.assert_array_equal(arrays(config).train.labels, wanted.train.labels)


def test_only_some_megabytes_are_resized_at_a_time(own, monkeypatch):
    sizes = []
    real = survey.fit
    monkeypatch.setattr(survey, "fit", lambda pixels, *more: (sizes.append(len(pixels)), real(pixels, *more))[1])
    arrays(own({"images": GREY[:6]}, "dataset.size=1024", "dataset.channels=3", "generator.stages=null"))
    assert sizes == [5, 1]


def test_other_labels_of_a_file_kept_on_the_disk_are_not_those_of_before(own, monkeypatch, tmp_path):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr("ganlab.data.survey.IN_MEMORY", 1000)
    there = {"images": RGB, "y": Y, "target": np.arange(30) % 5}
    assert arrays(own(there, "dataset.labels_key=''")).train.labels is None
    for key in ("y", "target"):
        split = arrays(own(there, f"dataset.labels_key={key}"))
        labels = {image.tobytes(): label for image, label in zip(RGB, there[key], strict=True)}
        assert [labels[image.tobytes()] for image in split.train.pixels] == split.train.labels.tolist()
