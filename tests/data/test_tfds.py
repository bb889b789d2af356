"""Sets of TensorFlow Datasets: tiny ones that the library itself prepares are read right, faults are one line."""

import json
import shutil
import sys
import warnings

import numpy as np
import pytest

from ganlab.data.sources import DATASETS, counts
from ganlab.data.tfds import find_tfds
from ganlab.errors import ConfigError

pytestmark = pytest.mark.slow  # the libraries are no part of the usual set-up
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (7, 6, 5, 1), np.uint8)
COLOUR = [RANDOM.integers(0, 256, (height, 9, 3), np.uint8) for height in (5, 8, 6)]
LABELS = [2, 0, 1, 1, 0, 2, 2]


@pytest.fixture(scope="module")
def tfds():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("tensorflow_datasets", reason="needs tensorflow-datasets: the extra `tfds`")


@pytest.fixture(scope="module")
def prepared(tfds, tmp_path_factory):
    """A directory of sets: grey 2.0.0 (and an old 1.0.0), sizes 1.0.0."""
    folder = tmp_path_factory.mktemp("tfds")

    def prepare(name, version, features, **splits):
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name, version=version, features=tfds.features.FeaturesDict(features), data_dir=folder,
            split_datasets={split: list(enumerate(rows)) for split, rows in splits.items()}, disable_shuffling=True,
        )  # fmt: skip

    kinds = {
        "image": tfds.features.Image(shape=(6, 5, 1)),
        "label": tfds.features.ClassLabel(names=["cat", "dog", "hen"]),
    }
    rows = [{"image": image, "label": label} for image, label in zip(GREY, LABELS, strict=True)]
    prepare("grey", "1.0.0", kinds, train=rows[:1], test=rows[:1])
    prepare("grey", "2.0.0", kinds, train=rows[:5], test=rows[5:])
    several = {"image": tfds.features.Image(shape=(None, None, 3)), "mask": tfds.features.Image(shape=(None, None, 1))}
    prepare("sizes", "1.0.0", several, train=[{"image": image, "mask": image[..., :1]} for image in COLOUR])
    prepare("texts", "1.0.0", {"text": tfds.features.Text()}, train=[{"text": "a"}])
    deep = {"image": tfds.features.Image(shape=(6, 5, 1), dtype=np.uint16)}
    prepare("deep", "1.0.0", deep, train=[{"image": GREY[0].astype(np.uint16)}])
    return folder


def refused(*arguments, **more):
    with pytest.raises(ConfigError) as caught:
        find_tfds(*arguments, **more)
    text = str(caught.value)
    assert text.startswith(f"dataset.set={arguments[0]}")
    assert "; " in text
    assert "\n" not in text
    return text


def test_without_the_library_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ConfigError) as caught:
        find_tfds("mnist", None, "train", "test")
    assert str(caught.value) == "dataset=tfds needs tensorflow-datasets; pip install 'ganlab-keras[tfds]'"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["grey", "grey:2.0.0", "directory"])
def test_a_prepared_set_is_read_without_its_code(prepared, name):
    name = str(prepared / "grey/2.0.0") if name == "directory" else name
    data = find_tfds(name, str(prepared), "train", "test")
    assert (data.train.count, data.train.shape, data.train.channels, data.held_out.count) == (5, (6, 5, 1), 1, 2)
    np.testing.assert_array_equal(np.concatenate(list(data.train.read())), GREY[:5])
    np.testing.assert_array_equal(np.concatenate(list(data.held_out.read())), GREY[5:])
    assert data.train.classes.tolist() == LABELS[:5]
    assert data.held_out.classes.tolist() == LABELS[5:]
    assert data.class_names == ("cat", "dog", "hen")
    assert data.source == "grey/2.0.0 of TensorFlow Datasets"
    assert data.licence == "unknown"
    assert all(file.is_file() for file in data.files["path"])
    assert [file.name.split("-")[1].split(".")[0] for file in data.files["path"][1:]] == ["test", "train"]


@pytest.mark.filterwarnings("ignore")
def test_a_version_a_slice_and_no_labels_can_be_asked_for(prepared):
    assert find_tfds("grey:1.0.0", str(prepared), "train", "test").train.count == 1
    part = find_tfds("grey", str(prepared), "train[:60%]", "train[60%:]", labels_key="")
    np.testing.assert_array_equal(np.concatenate(list(part.train.read())), GREY[:3])
    np.testing.assert_array_equal(np.concatenate(list(part.held_out.read())), GREY[3:5])
    assert part.train.classes is None
    assert part.class_names == ()


@pytest.mark.filterwarnings("ignore")
def test_images_of_different_sizes_come_one_by_one(prepared):
    data = find_tfds("sizes", str(prepared), "train", None, images_key="image")
    assert (data.train.count, data.train.shape, data.train.channels) == (3, None, 3)
    assert data.held_out is None
    assert data.train.classes is None
    for read, image in zip(data.train.read(), COLOUR, strict=True):
        np.testing.assert_array_equal(read[0], image)


@pytest.mark.filterwarnings("ignore")
def test_what_is_not_right_of_a_prepared_set_is_one_line(prepared, tmp_path):
    here = str(prepared)
    assert "several columns of images; give dataset.images_key, one of: image, mask" in refused(
        "sizes", here, "train", None
    )
    assert "has no column picture of images (it has image, mask)" in refused(
        "sizes", here, "train", None, images_key="picture"
    )
    assert "has no column kind of class labels (it has label)" in refused(
        "grey", here, "train", None, labels_key="kind"
    )
    assert "no column of images" in refused("texts", here, "train", None)
    assert "has uint16 images of 1 channels" in refused("deep", here, "train", None)
    assert "has no split trian; did you mean train?" in refused("grey", here, "trian", None)
    assert "split train[:x] cannot be read" in refused("grey", here, "train[:x]", None)
    assert "is not a set of TensorFlow Datasets, and is not prepared in its directory; did you mean mnist?" in refused(
        "mnits", here, "train", None
    )
    assert "is not a name in TensorFlow Datasets" in refused("../grey", here, "train", None)
    folder = tmp_path / "grey/2.0.0"
    shutil.copytree(prepared / "grey/2.0.0", folder)
    record = next(folder.glob("*train*"))
    record.write_bytes(record.read_bytes()[:200])
    assert "split train cannot be read" in refused("grey", str(tmp_path), "train", None)
    (folder / "dataset_info.json").write_text("{")
    assert "cannot be read" in refused("grey", str(tmp_path), "train", None)


@pytest.mark.filterwarnings("ignore")
def test_code_that_a_set_names_is_not_imported(prepared, tmp_path):
    folder = tmp_path / "grey/2.0.0"
    shutil.copytree(prepared / "grey/2.0.0", folder)
    features = json.loads((folder / "features.json").read_text())
    inner = next(iter(features["featuresDict"]["features"].values()))
    inner["pythonClassName"] = "antigravity.Image"
    (folder / "features.json").write_text(json.dumps(features))
    assert "names antigravity.Image, which is foreign code" in refused("grey", str(tmp_path), "train", None)
    assert "antigravity" not in sys.modules


def test_a_set_is_chosen_on_the_command_line(prepared, settings, monkeypatch, tmp_path):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))
    stages = ["generator.stages=[[8,2],[null,1]]", "generator.base_size=[3,5]", "generator.stages=[[8,[2,1]],[null,1]]"]
    config = settings("dataset=tfds", "dataset.set=grey", f"dataset.data_dir={prepared}", *stages[1:]).dataset
    assert (config.size, config.channels, config.classes, config.class_names) == ((6, 5), 1, 3, ["cat", "dog", "hen"])
    split = DATASETS["tfds"](config)
    assert counts(config) == (len(split.train.pixels), len(split.held_out.pixels)) == (5, 2)
    monkeypatch.chdir(prepared)  # the same from any folder
    assert settings("dataset=tfds", "dataset.set=grey/2.0.0", *stages[1:]).dataset.set == f"{prepared}/grey/2.0.0"
    assert {image.tobytes() for image in split.train.pixels} == {image.tobytes() for image in GREY[:5]}
    several = ["dataset=tfds", "dataset.set=sizes", f"dataset.data_dir={prepared}", "dataset.held_out_split=null"]
    with pytest.raises(ConfigError, match=r"dataset\.size=null, but images of dataset\.set=sizes may differ in size"):
        settings(*several, "dataset.images_key=image")
    config = settings(*several, "dataset.images_key=image", "dataset.size=8", "dataset.held_out=0.34").dataset
    assert DATASETS["tfds"](config).train.pixels.shape == (2, 8, 8, 3)
