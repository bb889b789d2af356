"""Sets in their authors' files, from settings to images: filled in, counted before they are loaded, and equal in bits."""

import fcntl
import hashlib
import io
import os
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from test_official import records, write_idx

from ganlab.data.published import DOWNLOADS, FACTS, Download, download, survey
from ganlab.data.sources import DATASETS, class_counts, counts
from ganlab.data.survey import identify
from ganlab.errors import ConfigError

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (60, 32, 32, 3), np.uint8)
GREY = RANDOM.integers(0, 256, (60, 28, 28), np.uint8)
LABELS = (np.arange(60) % 10).astype(np.uint8)
THREE = "generator.stages=[[8,2],[8,2],[null,2]]"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "kept"))


def write_cifar10(folder):
    """Five batches of ten images and a test batch of ten; the folder."""
    folder.mkdir()
    for number in range(6):
        part = slice(10 * number, 10 * number + 10)
        name = f"data_batch_{number + 1}.bin" if number < 5 else "test_batch.bin"
        (folder / name).write_bytes(records(COLOUR[part], LABELS[part]))
    return folder


def write_cifar100(folder):
    folder.mkdir()
    for name, part in (("train.bin", slice(50)), ("test.bin", slice(50, 60))):
        (folder / name).write_bytes(records(COLOUR[part], LABELS[part], LABELS[part]))
    return folder


def write_svhn(folder):
    folder.mkdir()
    for name, part in (("train_32x32.mat", slice(50)), ("test_32x32.mat", slice(50, 60))):
        labels = np.where(LABELS[part] == 0, 10, LABELS[part])[:, None]
        savemat(folder / name, {"X": np.moveaxis(COLOUR[part], 0, -1), "y": labels})
    return folder


def write_emnist(folder):
    for split in ("balanced", "letters"):
        write_idx(folder, f"emnist-{split}-train", f"emnist-{split}-test", images=GREY, labels=LABELS + 1)
    return folder


WRITERS = {
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
    "svhn": write_svhn,
    "emnist": write_emnist,
    **dict.fromkeys(("mnist", "fashion_mnist", "kmnist"), lambda folder: write_idx(folder, images=GREY, labels=LABELS)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_set_is_filled_in_counted_and_loaded(settings, tmp_path, name):
    path = WRITERS[name](tmp_path / "official")
    more = ["dataset.split=letters"] if name == "emnist" else []
    size = [THREE] if name in ("cifar10", "cifar100", "svhn") else []
    config = settings(
        f"dataset={name}", f"dataset.path={path}", "conditional=true", "training.batch_size=10", *size, *more
    ).dataset
    known = FACTS[name if name != "emnist" else "emnist-letters"]
    assert config.classes == len(known.class_names)
    assert len(config.sha256) == 64 and config.bytes > 10_000
    split = DATASETS[name](config)
    assert counts(config) == (len(split.train.pixels), len(split.held_out.pixels))
    assert class_counts(config) == np.bincount(split.train.labels, minlength=config.classes).tolist()
    assert (split.train.source, split.train.licence) == ("official", "unknown")  # so few are not what was published
    assert split.train.pixels.shape[1:] == ((32, 32, 3) if size else (28, 28, 1))
    with pytest.raises(ConfigError, match="has changed"):
        settings(f"dataset={name}", f"dataset.path={path}", f"dataset.sha256={'0' * 64}", *size, *more)


@pytest.mark.parametrize("name", FACTS)
def test_what_is_known_of_a_set_needs_no_file(settings, name):
    name, _, split = name.partition("-")
    more = [f"dataset.split={split}"] if split else []
    size = [THREE] if name in ("cifar10", "cifar100", "svhn") else []
    config = settings(f"dataset={name}", *size, *more).dataset
    known = FACTS[f"{name}-{split}" if split else name]
    assert (config.classes, counts(config)) == (len(known.class_names), (known.train, known.held_out))
    if known.class_counts:
        assert sum(class_counts(config)) == known.train


def test_the_same_images_are_the_same_bits_from_every_kind_of_file(settings, tmp_path):
    official = write_cifar10(tmp_path / "official")
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        archive.add(official, "cifar-10-batches-bin")
    np.savez(tmp_path / "own.npz", x_train=COLOUR[:50], y_train=LABELS[:50], x_test=COLOUR[50:], y_test=LABELS[50:])
    for number, (pixels, label) in enumerate(zip(COLOUR, LABELS, strict=True)):
        path = tmp_path / "own" / ("train" if number < 50 else "test") / f"class{label}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    with tarfile.open(tmp_path / "own.tar", "w") as archive:
        archive.add(tmp_path / "own", "own")
    sources = [
        ("cifar10", official),
        ("cifar10", tmp_path / "cifar-10-binary.tar.gz"),
        ("arrays", tmp_path / "own.npz"),
        ("folder", tmp_path / "own"),
        ("folder", tmp_path / "own.tar"),
    ]
    digests = set()
    for name, path in sources:
        config = settings(f"dataset={name}", f"dataset.path={path}", THREE).dataset
        assert (config.size, config.channels, config.classes) == (32, 3, 10)
        digests.add(DATASETS[name](config).facts["sha256"])
    assert len(digests) == 1


def known(monkeypatch, name, class_counts):
    """A set is known by 60 images to train on, in classes of these sizes."""
    facts = FACTS[name]._replace(train=60, held_out=3, class_counts=class_counts)
    monkeypatch.setitem(FACTS, name, facts)
    return facts


def test_the_files_of_one_set_are_not_called_another(tmp_path, monkeypatch):
    write_idx(tmp_path, images=GREY, labels=np.sort(LABELS) // 2 * 2)
    fashion = known(monkeypatch, "fashion_mnist", (12, 0) * 5)
    assert survey("fashion_mnist", str(tmp_path)).source == fashion.source
    known(monkeypatch, "fashion_mnist", (6,) * 10)
    assert survey("fashion_mnist", str(tmp_path)).source == tmp_path.name  # of the same number, in other classes
    known(monkeypatch, "mnist", (12, 0) * 5)
    with pytest.raises(ConfigError, match=r"^dataset\.path=.* holds MNIST, not Fashion-MNIST; use dataset=mnist$"):
        survey("fashion_mnist", str(tmp_path))


def test_a_published_file_is_told_by_its_sum(tmp_path, monkeypatch):
    write_idx(tmp_path, images=GREY, labels=LABELS)
    file = tmp_path / "t10k-labels-idx1-ubyte.gz"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(DOWNLOADS, "kmnist", Download("", "", {file.name: digest}))
    assert survey("kmnist", str(tmp_path)).train.count == 60
    for name in ("mnist", "fashion_mnist"):
        with pytest.raises(ConfigError, match=rf"holds KMNIST, not {FACTS[name].title}; use dataset=kmnist$"):
            survey(name, str(tmp_path))


def test_two_processes_do_not_download_at_once(tmp_path, monkeypatch):
    def get_file(name, *_, **__):
        descriptor = os.open(tmp_path / "kept", os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
        return str(tmp_path / name)

    monkeypatch.setattr("keras.utils.get_file", get_file)
    assert download("cifar10") == tmp_path


def test_pickles_and_other_files_are_refused_with_what_to_get(settings, tmp_path):
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("cifar-10-batches-py/data_batch_1"), io.BytesIO())
    with zipfile.ZipFile(tmp_path / "cifar10.zip", "w") as archive:
        archive.writestr("train/cat/1.png", b"")
    with pytest.raises(ConfigError, match=r"cifar10\.zip is a \.zip, .*; for a \.zip of pictures use dataset=folder"):
        settings("dataset=cifar10", f"dataset.path={tmp_path / 'cifar10.zip'}", THREE)
    for path in ("cifar-10-python.tar.gz", "nowhere"):
        with pytest.raises(ConfigError, match=rf"^dataset\.path=.*{path}.*; ") as caught:
            settings("dataset=cifar10", f"dataset.path={tmp_path / path}", THREE)
        assert "\n" not in str(caught.value)
    assert "cifar-10-binary.tar.gz" in str(caught.value)


def test_the_splits_of_one_file_are_kept_apart_on_the_disk(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("ganlab.data.survey.IN_MEMORY", 1000)
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
        for split, images in (("digits", GREY[:30]), ("mnist", GREY[30:])):
            folder = write_idx(tmp_path / split, f"emnist-{split}-train", f"emnist-{split}-test", images=images,
                               labels=LABELS[:30])  # fmt: skip
            for file in folder.iterdir():
                archive.write(file, file.name)
    for split, images in (("digits", GREY[:30]), ("mnist", GREY[30:])):
        config = settings("dataset=emnist", f"dataset.split={split}", f"dataset.path={tmp_path / 'gzip.zip'}").dataset
        found = DATASETS["emnist"](config).train.pixels[..., 0]
        assert {image.tobytes() for image in found} == {image.T.tobytes() for image in images}


def test_a_set_of_many_files_is_read_once_for_its_sum(tmp_path, monkeypatch):
    files = tuple(tmp_path / f"{number}.arrow" for number in range(20))
    for file in files:
        file.write_bytes(file.name.encode())
    first = identify(files, "x")
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert identify(files, "x") == first


def test_a_zip_whose_checksum_is_wrong_is_to_be_fetched_again(tmp_path):
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
        archive.writestr("emnist-letters-test", bytes(1000))
    content = bytearray((tmp_path / "gzip.zip").read_bytes())
    content[100] ^= 1
    (tmp_path / "gzip.zip").write_bytes(content)
    with pytest.raises(ConfigError, match=r"^dataset\.path=x is damaged .*; fetch it or write it again$"):
        identify((tmp_path / "gzip.zip",), "dataset.path=x")
