"""Sets of Hugging Face: tiny ones that the library itself writes are read right, faults are one line."""

import importlib
import io
import json
import os
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from ganlab.data.huggingface import find_huggingface
from ganlab.data.sources import DATASETS, counts
from ganlab.errors import ConfigError

pytestmark = pytest.mark.slow  # the libraries are no part of the usual set-up
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (7, 6, 5), np.uint8)
COLOUR = [RANDOM.integers(0, 256, (height, 9, 3), np.uint8) for height in (5, 8, 6)]
LABELS = [2, 0, 1, 1, 0, 2, 2]


@pytest.fixture(scope="module")
def datasets():
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("datasets", reason="needs datasets: the extra `huggingface`")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    if "datasets" in sys.modules:
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def make(datasets):
    """A data set of images, and of labels if there are any."""

    def make(images, labels=None, **more):
        columns = {"image": [Image.fromarray(image) if isinstance(image, np.ndarray) else image for image in images]}
        features = {"image": datasets.Image()}
        if labels is not None:
            columns["label"], features["label"] = labels, datasets.ClassLabel(names=["cat", "dog", "hen"])
        for name, column in more.items():
            columns[name], features[name] = column, datasets.Value("string")
        return datasets.Dataset.from_dict(columns, datasets.Features(features))

    return make


def find(path, train="train", held_out=None, config=None, **more):
    return find_huggingface(str(path), config, train, held_out, **more)


def refused(path, *arguments, **more):
    with pytest.raises(ConfigError) as caught:
        list(find(path, *arguments, **more).train.read())
    text = str(caught.value)
    assert text.startswith(f"dataset.path={path}")
    assert "; " in text
    assert "\n" not in text
    return text


def test_without_the_library_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError) as caught:
        find("owner/name")
    assert str(caught.value) == "dataset=huggingface needs datasets; pip install 'ganlab-keras[huggingface]'"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", ["saved", "parquet"])
def test_a_set_on_disk_is_read(datasets, make, tmp_path, place):
    parts = datasets.DatasetDict({"train": make(GREY[:5], LABELS[:5]), "test": make(GREY[5:], LABELS[5:])})
    path = tmp_path / "cats"
    if place == "saved":
        parts.save_to_disk(str(path))
    else:
        for name, part in parts.items():
            (path / "data").mkdir(parents=True, exist_ok=True)
            part.to_parquet(str(path / f"data/{name}-00000-of-00001.parquet"))
    data = find(path, "train", "test")
    assert (data.train.count, data.train.shape, data.train.channels, data.held_out.count) == (5, (6, 5, 1), 1, 2)
    np.testing.assert_array_equal(np.concatenate(list(data.train.read()))[..., 0], GREY[:5])
    np.testing.assert_array_equal(np.concatenate(list(data.held_out.read()))[..., 0], GREY[5:])
    assert data.train.classes.tolist() == LABELS[:5]
    assert data.train.classes.dtype == np.int64
    assert data.held_out.classes.tolist() == LABELS[5:]
    assert data.class_names == ("cat", "dog", "hen")
    assert (data.source, data.licence) == ("cats of Hugging Face", "unknown")
    assert {file.suffix for file in data.files["path"]} == {".arrow" if place == "saved" else ".parquet"}
    assert all(file.is_relative_to(path) for file in data.files["path"])
    assert all(file.is_file() for file in data.files["path"])
    again = find(path, "test", labels_key="")
    assert (again.train.count, again.held_out, again.train.classes, again.class_names) == (2, None, None, ())


@pytest.mark.filterwarnings("ignore")
def test_a_set_that_was_saved_alone_is_train_and_so_is_one_parquet_file(make, tmp_path):
    make(GREY).save_to_disk(str(tmp_path / "a"))
    assert find(tmp_path / "a").train.count == 7
    make(GREY).to_parquet(str(tmp_path / "b.parquet"))
    data = find(tmp_path / "b.parquet")
    np.testing.assert_array_equal(np.concatenate(list(data.train.read()))[..., 0], GREY)


@pytest.mark.filterwarnings("ignore")
def test_images_of_different_sizes_come_one_by_one_and_grey_among_colours_is_rgb(make, tmp_path):
    make([*COLOUR, GREY[0]]).save_to_disk(str(tmp_path))
    data = find(tmp_path)
    assert (data.train.count, data.train.shape, data.train.channels) == (4, None, 3)
    images = [image for (image,) in data.train.read()]
    for read, image in zip(images, COLOUR, strict=False):
        np.testing.assert_array_equal(read, image)
    np.testing.assert_array_equal(images[3], np.repeat(GREY[0][..., None], 3, 2))


def stored(image, form="png", **more):
    file = io.BytesIO()
    image.save(file, form, **more)
    return {"bytes": file.getvalue(), "path": None}


@pytest.mark.filterwarnings("ignore")
def test_images_are_upright_by_their_exif_data(make, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    make([stored(Image.fromarray(GREY[0]), exif=exif)]).save_to_disk(str(tmp_path))
    data = find(tmp_path)
    assert data.train.shape == (5, 6, 1)
    np.testing.assert_array_equal(next(data.train.read())[0, ..., 0], np.rot90(GREY[0], -1))


@pytest.mark.filterwarnings("ignore")
def test_transparent_pixels_are_white(make, tmp_path):
    pixels = np.zeros((7, 6, 4), np.uint8)
    pixels[:3] = 10, 20, 30, 255
    make([stored(Image.fromarray(pixels))]).save_to_disk(str(tmp_path))
    (image,) = next(find(tmp_path).train.read())
    np.testing.assert_array_equal(image, np.where(pixels[..., 3:], pixels[..., :3], 255))


@pytest.mark.filterwarnings("ignore")
def test_what_is_not_right_of_a_set_is_one_line(datasets, make, tmp_path):
    def saved(name, *arguments, **more):
        make(*arguments, **more).save_to_disk(str(tmp_path / name))
        return tmp_path / name

    good = saved("good", GREY, LABELS)
    assert "has no split trian; did you mean train?" in refused(good, "trian")
    assert "has no split test; choose one of: train" in refused(good, "train", "test")
    assert "has no column photo of images (it has image)" in refused(good, images_key="photo")
    assert "has no column kind of class labels (it has label); cast that" in refused(good, labels_key="kind")
    assert "has label -1 at place 1 of split train" in refused(saved("hidden", GREY[:2], [1, -1]))
    assert "has label -1 at place 1 of split train" in refused(saved("null", GREY[:2], [1, None]))
    assert "image 1 of split train cannot be read (it is missing)" in refused(saved("none", [GREY[0], None]))
    broken = stored(Image.fromarray(GREY[0]))
    assert "image 0 of split train cannot be read" in refused(saved("junk", [{"bytes": b"junk", "path": None}]))
    half = {"bytes": broken["bytes"][:50], "path": None}
    assert "image 1 of split train cannot be read" in refused(saved("half", [GREY[0], half]))
    deep = stored(Image.fromarray(np.full((4, 4), 999, np.uint16)))
    assert "its mode is I;16, but images have 8 bits" in refused(saved("deep", [deep]))
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(str(tmp_path / "text"))
    assert "has no column of images" in refused(tmp_path / "text")
    two = datasets.Dataset.from_dict(
        {"a": [Image.fromarray(GREY[0])], "b": [Image.fromarray(GREY[0])]},
        datasets.Features({"a": datasets.Image(), "b": datasets.Image()}),
    )
    two.save_to_disk(str(tmp_path / "two"))
    assert "several columns of images; give dataset.images_key, one of: a, b" in refused(tmp_path / "two")


@pytest.mark.filterwarnings("ignore")
def test_files_that_are_no_set_are_one_line(make, tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"junk")
    assert "cannot be read" in refused(tmp_path / "a.parquet")
    (tmp_path / "a.txt").write_bytes(b"junk")
    assert "is not a Parquet file" in refused(tmp_path / "a.txt")
    (tmp_path / "script").mkdir()
    (tmp_path / "script/script.py").write_text("raise SystemExit('run')")
    assert "holds no Parquet files" in refused(tmp_path / "script")
    make(GREY).to_parquet(str(tmp_path / "script/a.parquet"))
    assert "scripts are no longer supported" in refused(tmp_path / "script")
    make(GREY).save_to_disk(str(tmp_path / "saved"))
    next((tmp_path / "saved").glob("*.arrow")).write_bytes(b"junk")
    assert "cannot be read" in refused(tmp_path / "saved")


@pytest.mark.filterwarnings("ignore")
def test_a_name_on_the_hub_without_a_network_is_one_line(datasets, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    text = refused("nobody/has-this-set")
    assert "is not on this machine and could not be downloaded" in text
    assert "save_to_disk" in text


@pytest.mark.filterwarnings("ignore")
def test_a_file_elsewhere_is_not_fetched(datasets, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    row = pyarrow.array([{"bytes": None, "path": "https://example.com/cat.png"}], kind)
    metadata = {"info": {"features": {"image": {"_type": "Image"}}}}
    table = pyarrow.table({"image": row}).replace_schema_metadata({"huggingface": json.dumps(metadata)})
    importlib.import_module("pyarrow.parquet").write_table(table, tmp_path / "a.parquet")
    text = refused(tmp_path / "a.parquet")
    assert "image 0 of split train cannot be read (it is stored elsewhere)" in text


def test_a_set_is_chosen_on_the_command_line(datasets, make, settings, monkeypatch, tmp_path):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "kept"))
    whole = datasets.DatasetDict(train=make(GREY[:5], LABELS[:5]), test=make(GREY[5:], LABELS[5:]))
    whole.save_to_disk(str(tmp_path / "own"))
    shape = ["generator.base_size=[3,5]", "generator.stages=[[8,[2,1]],[null,1]]"]
    config = settings("dataset=huggingface", f"dataset.path={tmp_path / 'own'}", *shape, "conditional=true",
                      "training.batch_size=4").dataset  # fmt: skip
    assert (config.size, config.channels, config.class_names) == ((6, 5), 1, ["cat", "dog", "hen"])
    split = DATASETS["huggingface"](config)
    assert counts(config) == (len(split.train.pixels), len(split.held_out.pixels)) == (5, 2)
    assert config.class_counts == np.bincount(split.train.labels, minlength=3).tolist()
    assert {image.tobytes() for image in split.train.pixels} == {image.tobytes() for image in GREY[:5]}
    with pytest.raises(ConfigError, match="has changed"):
        settings("dataset=huggingface", f"dataset.path={tmp_path / 'own'}", *shape, "dataset.sha256=0123")
