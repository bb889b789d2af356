"""Official files: tiny ones in the genuine formats are read right, and every fault is one line that names the file."""

import gzip
import hashlib
import io
import pickle
import re
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from ganlab.data import mnist
from ganlab.data.cifar import find_cifar
from ganlab.data.published import DOWNLOADS, FACTS, Download, download, facts
from ganlab.data.svhn import find_svhn
from ganlab.errors import ConfigError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (7, 28, 28), np.uint8)
LABELS = np.array([3, 0, 9, 1, 1, 5, 2], np.uint8)


def refused(find, path, *words, read=False, **more):
    """read: the fault shows where pixels are loaded, and before that it may not."""
    where = f"dataset.path={path}"
    with pytest.raises(ConfigError) as caught:
        _ = find(Path(path), where, **more).train.read() if read else find(Path(path), where, **more)
    text = str(caught.value)
    assert text.startswith(where)
    assert "; " in text
    assert "\n" not in text
    for word in words:
        assert word in text
    return text


# IDX


def find_idx(path, where, name="mnist", split=None):
    known = facts(name, split)
    return mnist.find_idx(path, where, known.title, known.class_names, split)


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder, train="train", test="t10k", gz=True, dot="-", images=IMAGES, labels=LABELS, held_out=3):
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in ((train, len(images)), (test, held_out)):
        for kind, array in (("images", images), ("labels", labels)):
            content = idx(array[:count])
            name = f"{part}-{kind}{dot}idx{array.ndim}-ubyte"
            path = folder / (name + (".gz" if gz else ""))
            path.write_bytes(gzip.compress(content) if gz else content)
    return folder


def loaded(part):
    (pixels,) = part.read()
    return pixels


def unpacked(part):
    return loaded(part)[..., 0]


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize("dot", ["-", "."])
def test_idx_files_are_read_packed_or_not_and_by_either_name(tmp_path, gz, dot):
    official = find_idx(write_idx(tmp_path, gz=gz, dot=dot), "dataset.path=x", name="fashion_mnist")
    assert (official.train.count, official.train.shape, official.held_out.count) == (7, (28, 28, 1), 3)
    pixels = loaded(official.train)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (7, 28, 28, 1)
    np.testing.assert_array_equal(pixels[..., 0], IMAGES)
    np.testing.assert_array_equal(official.train.classes, LABELS)
    assert official.train.classes.dtype == np.int64
    np.testing.assert_array_equal(unpacked(official.held_out), IMAGES[:3])
    assert official.class_names[9] == "ankle boot"
    assert len(official.files["path"]) == 4
    assert all(file.parent == tmp_path for file in official.files["path"])


def test_one_of_the_four_files_stands_for_all(tmp_path):
    write_idx(tmp_path)
    official = find_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", "dataset.path=x")
    np.testing.assert_array_equal(unpacked(official.train), IMAGES)


@pytest.mark.parametrize("place", ["", "gzip", "gzip.zip", "folder of gzip.zip"])
def test_images_of_emnist_are_turned_upright_and_letters_start_at_class_0(tmp_path, place):
    labels = np.array([1, 26, 5, 2, 3, 4, 8], np.uint8)
    folder = write_idx(
        tmp_path / "gzip" if place else tmp_path, "emnist-letters-train", "emnist-letters-test", labels=labels
    )
    path = tmp_path
    if "zip" in place and place != "gzip":
        with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
            for file in folder.iterdir():
                archive.write(file, f"gzip/{file.name}")
        shutil.rmtree(folder)
        path = tmp_path if "folder" in place else tmp_path / "gzip.zip"
    official = find_idx(path, "dataset.path=x", name="emnist", split="letters")
    np.testing.assert_array_equal(unpacked(official.train), IMAGES.transpose(0, 2, 1))
    assert official.train.classes.tolist() == [0, 25, 4, 1, 2, 3, 7]
    assert official.class_names[25] == "Z"
    assert official.files["path"] == (
        (tmp_path / "gzip.zip",) if "zip" in place and place != "gzip" else official.files["path"]
    )


TRAIN = "train-images-idx3-ubyte.gz"


def packed(content):
    return lambda folder: (folder / TRAIN).write_bytes(gzip.compress(content))


def damage(name, change):
    def apply(folder):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return apply


def bomb(folder):
    """Its header is that of seven images, and 256 MB follow."""
    with gzip.open(folder / TRAIN, "wb", compresslevel=1) as file:
        file.write(idx(IMAGES))
        for _ in range(256):
            file.write(bytes(1 << 20))


IDX_FAULTS = {
    "cut short": (packed(idx(IMAGES)[:-1]), "fewer bytes than the 5488"),
    "too long": (packed(idx(IMAGES) + b"x"), "more bytes than the 5488"),
    "bomb": (bomb, "more bytes than the 5488"),
    "claims a great deal": (
        packed(struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 28, 28)),
        "2147483648 images",
        "1 to 1000000 of 28x28",
    ),
    "claims more than there is": (packed(struct.pack(">4B3I", 0, 0, 8, 3, 7, 28, 28)), "fewer bytes"),
    "none": (packed(struct.pack(">4B3I", 0, 0, 8, 3, 0, 28, 28)), "0 images of 28x28"),
    "another size": (packed(idx(IMAGES[:, 1:])), "7 images of 27x28", "28x28"),
    "floats": (packed(struct.pack(">4B3I", 0, 0, 13, 3, 7, 28, 28)), "00000d03", "00000803"),
    "labels for images": (packed(idx(LABELS) * 2), "00000801", "00000803"),
    "not IDX": (packed(b"hello there, this is a text"), "not an IDX file", "68656c6c"),
    "empty": (lambda folder: (folder / TRAIN).write_bytes(b""), "not an IDX file"),
    "not gzip": (lambda folder: (folder / TRAIN).write_bytes(idx(IMAGES)), "Not a gzipped file"),
    "gzip cut short": (damage(TRAIN, lambda content: content[:-200]), "ended before"),
    "gzip damaged": (damage(TRAIN, lambda content: content[:-6] + b"!" + content[-5:]), "CRC"),
    "a directory": (lambda folder: ((folder / TRAIN).unlink(), (folder / TRAIN).mkdir()), f"lacks {TRAIN} of MNIST"),
    "missing": (lambda folder: (folder / TRAIN).unlink(), f"lacks {TRAIN} of MNIST"),
}


@pytest.mark.parametrize("fault", IDX_FAULTS)
def test_a_fault_of_an_idx_file_is_one_line(tmp_path, fault):
    apply, *words = IDX_FAULTS[fault]
    apply(write_idx(tmp_path))
    refused(find_idx, tmp_path, TRAIN, *words)


def test_damage_in_a_zip_by_lzma_is_one_line(tmp_path):
    write_idx(tmp_path, gz=False)
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_LZMA) as archive:
        for file in sorted(tmp_path.glob("*ubyte"), reverse=True):
            archive.write(file, file.name)
    content = bytearray((tmp_path / "all.zip").read_bytes())
    place = content.index(b"train-images") + 100
    content[place : place + 40] = bytes(40)
    (tmp_path / "all.zip").write_bytes(content)
    refused(find_idx, tmp_path / "all.zip", "train-images-idx3-ubyte cannot be read")


def test_faults_of_labels_are_one_line(tmp_path):
    name = "train-labels-idx1-ubyte.gz"
    write_idx(tmp_path)
    (tmp_path / name).write_bytes(gzip.compress(idx(LABELS[:5])))
    refused(find_idx, tmp_path, TRAIN, name, "7 images", "5 labels")
    (tmp_path / name).write_bytes(gzip.compress(idx(LABELS + 1)))
    refused(find_idx, tmp_path, name, "label 10 at place 2", "0 to 9")
    (tmp_path / name).write_bytes(gzip.compress(idx(LABELS)[:-1]))
    refused(find_idx, tmp_path, name, "fewer bytes than the 7")
    write_idx(tmp_path, "emnist-letters-train", "emnist-letters-test")
    refused(find_idx, tmp_path, "label 0 at place 1", "1 to 26", name="emnist", split="letters")


def test_a_path_that_leads_to_no_idx_files_is_one_line(tmp_path):
    refused(find_idx, tmp_path / "nowhere", "does not exist", "train-images-idx3-ubyte.gz")
    (tmp_path / "other").write_bytes(b"x")
    refused(find_idx, tmp_path / "other", "not one of MNIST's four files")
    refused(find_idx, tmp_path, "lacks", "t10k-labels-idx1-ubyte.gz")
    np.savez(tmp_path / "mnist.npz", x_train=IMAGES)
    refused(find_idx, tmp_path / "mnist.npz", "lacks train-images-idx3-ubyte.gz")
    write_idx(tmp_path)
    whole = (tmp_path / "t10k-images-idx3-ubyte.gz").read_bytes()
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in tmp_path.glob("*.gz"):
            archive.write(file, file.name)
    content = (tmp_path / "all.zip").read_bytes()
    place = content.index(whole) + 100
    (tmp_path / "all.zip").write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
    refused(find_idx, tmp_path / "all.zip", "t10k-images-idx3-ubyte.gz cannot be read")


def test_a_file_that_changes_between_two_looks_is_refused(tmp_path):
    official = find_idx(write_idx(tmp_path), "dataset.path=x")
    write_idx(tmp_path, images=IMAGES[:4], labels=LABELS[:4])
    with pytest.raises(ConfigError, match="was changed while being read"):
        loaded(official.train)


# CIFAR

COLOURS = RANDOM.integers(0, 256, (12, 32, 32, 3), np.uint8)


def records(images, *labels):
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([*(np.array(some, np.uint8)[:, None] for some in labels), planes], axis=1).tobytes()


def cifar10():
    """Two images a file, the last two of them the test set."""
    names = [f"data_batch_{n}.bin" for n in range(1, 6)] + ["test_batch.bin"]
    files = {name: records(COLOURS[2 * n : 2 * n + 2], [n, 9 - n]) for n, name in enumerate(names)}
    return files | {"batches.meta.txt": "\n".join(FACTS["cifar10"].class_names).encode() + b"\n\n", "readme.html": b"x"}


def cifar100():
    fine = np.arange(0, 96, 8)
    return {
        "train.bin": records(COLOURS[:9], fine[:9] // 5, fine[:9]),
        "test.bin": records(COLOURS[9:], fine[9:] // 5, fine[9:]),
        "fine_label_names.txt": "\n".join(FACTS["cifar100"].class_names).encode(),
        "coarse_label_names.txt": b"fish\n",
    }


def write_files(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def write_tar(path, files, folder="cifar-10-batches-bin"):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in sorted(files.items(), reverse=True):  # the order in an archive is not that of the set
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("place", ["folder", "folder above", "a file", "archive", "folder of archive", "plain tar"])
def test_cifar10_is_read_from_a_directory_or_from_its_archive(tmp_path, place):
    files = cifar10()
    if "archive" in place or "tar" in place:
        path = write_tar(tmp_path / "cifar-10-binary.tar.gz", files)
        if place == "plain tar":
            (tmp_path / "c.tar").write_bytes(gzip.decompress(path.read_bytes()))
            path = tmp_path / "c.tar"
        path = tmp_path if "folder" in place else path
    else:
        folder = write_files(tmp_path / "cifar-10-batches-bin", files)
        path = {"folder": folder, "folder above": tmp_path, "a file": folder / "test_batch.bin"}[place]
    official = find_cifar(path, "dataset.path=x", classes=10)
    assert (official.train.count, official.train.shape, official.held_out.count) == (10, (32, 32, 3), 2)
    np.testing.assert_array_equal(loaded(official.train), COLOURS[:10])
    np.testing.assert_array_equal(loaded(official.held_out), COLOURS[10:])
    assert official.train.classes.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert official.train.classes.dtype == np.int64
    assert official.class_names == FACTS["cifar10"].class_names
    assert len(official.files["path"]) == (1 if "archive" in place or "tar" in place else 7)


def test_labels_of_cifar100_are_the_fine_ones(tmp_path):
    for path in (
        write_files(tmp_path / "a", cifar100()),
        write_tar(tmp_path / "cifar-100-binary.tar.gz", cifar100(), "cifar-100-binary"),
    ):
        official = find_cifar(path, "dataset.path=x", classes=100)
        np.testing.assert_array_equal(loaded(official.train), COLOURS[:9])
        np.testing.assert_array_equal(loaded(official.held_out), COLOURS[9:])
        assert official.train.classes.tolist() == [0, 8, 16, 24, 32, 40, 48, 56, 64]
        assert official.class_names[8] == "bicycle"


def test_blocks_of_records_join_without_a_seam(tmp_path):
    many = np.tile(COLOURS, (200, 1, 1, 1))
    files = cifar100() | {"train.bin": records(many, np.zeros(2400), np.arange(2400) % 100)}
    official = find_cifar(write_files(tmp_path, files), "dataset.path=x", classes=100)
    np.testing.assert_array_equal(loaded(official.train), many)
    np.testing.assert_array_equal(official.train.classes, np.arange(2400) % 100)


PICKLED = pickle.dumps({b"data": None})
CIFAR_FAULTS = {
    "cut short": (
        {"data_batch_2.bin": cifar10()["data_batch_2.bin"][:-1]},
        "data_batch_2.bin",
        "6145 bytes",
        "of 3073",
    ),
    "empty": ({"data_batch_2.bin": b""}, "data_batch_2.bin", "0 bytes"),
    "too many": ({"data_batch_2.bin": bytes(3073 * 10_001)}, "data_batch_2.bin", "1 to 10000 records"),
    "label": ({"test_batch.bin": records(COLOURS[:2], [9, 10])}, "test_batch.bin has label 10 in record 1", "0 to 9"),
    "names": ({"batches.meta.txt": b"cat\ndog"}, "batches.meta.txt has 2 names"),
    "odd names": ({"batches.meta.txt": b"\xff\xfe"}, "batches.meta.txt cannot be read"),
    "missing": ({"data_batch_3.bin": None}, "lacks data_batch_3.bin of CIFAR-10", "cifar-10-binary.tar.gz as it is"),
}


@pytest.mark.parametrize("fault", CIFAR_FAULTS)
@pytest.mark.parametrize("packed", [False, True])
def test_a_fault_of_a_cifar_file_is_one_line(tmp_path, fault, packed):
    change, *words = CIFAR_FAULTS[fault]
    files = {name: content for name, content in (cifar10() | change).items() if content is not None}
    path = write_tar(tmp_path / "c.tar.gz", files) if packed else write_files(tmp_path / "c", files)
    refused(find_cifar, path, *words, classes=10)


def test_versions_of_cifar_that_are_not_binary_are_refused_unread(tmp_path):
    python = {"data_batch_1": PICKLED, "test_batch": PICKLED, "batches.meta": PICKLED}
    words = "Python version, which consists of pickles", "get cifar-10-binary.tar.gz from the same page"
    folder = write_files(tmp_path / "cifar-10-batches-py", python)
    for path in (folder, folder / "data_batch_1", write_tar(tmp_path / "a.tar.gz", python)):
        refused(find_cifar, path, *words, classes=10)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"x")
    refused(find_cifar, tmp_path / "cifar-10-python.tar.gz", *words, classes=10)
    hundred = write_files(tmp_path / "cifar-100-python", {"train": PICKLED, "test": PICKLED, "meta": PICKLED})
    refused(find_cifar, hundred, "CIFAR-100's Python version", "get cifar-100-binary.tar.gz", classes=100)
    matlab = write_files(tmp_path / "cifar-10-batches-mat", {"data_batch_1.mat": b"x", "test_batch.mat": b"x"})
    refused(find_cifar, matlab, "MATLAB version", "get cifar-10-binary.tar.gz", classes=10)


@pytest.mark.parametrize("name", ["train", "test.mat"])
def test_a_folder_may_be_named_as_a_file_that_is_refused(tmp_path, name):
    folder = write_files(tmp_path / name, cifar10())
    assert find_cifar(folder, "dataset.path=x", classes=10).train.count == 10


def test_the_other_cifar_is_told_from_the_one_asked_for(tmp_path):
    refused(find_cifar, write_files(tmp_path / "a", cifar100()), "holds CIFAR-100; use dataset=cifar100", classes=10)
    refused(find_cifar, write_files(tmp_path / "b", cifar10()), "holds CIFAR-10; use dataset=cifar10", classes=100)


def test_an_archive_that_is_not_right_is_one_line(tmp_path):
    refused(find_cifar, tmp_path / "nowhere", "does not exist", "cifar-10-batches-bin", classes=10)
    refused(find_cifar, tmp_path, "lacks data_batch_1.bin, data_batch_2.bin", classes=10)
    whole = write_tar(tmp_path / "whole.tar.gz", cifar10()).read_bytes()
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(whole[: len(whole) // 2])
    refused(find_cifar, path, path.name, "cannot be read", classes=10)
    path.write_bytes(whole[:9000] + b"????" + whole[9004:])
    refused(find_cifar, path, path.name, "cannot be read", classes=10)
    path.write_bytes(b"this is a page that says that the file has moved")
    refused(find_cifar, path, path.name, "cannot be read", classes=10)


def test_an_archive_does_not_unpack_to_more_than_the_set_can_hold(tmp_path):
    header = tarfile.TarInfo("cifar-10-batches-bin/readme.html")
    header.size = 1 << 30
    path = tmp_path / "cifar-10-binary.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.tobuf())
        file.write(bytes(1 << 20))
    refused(find_cifar, path, path.name, "unpacks to more than", classes=10)
    comment = tarfile.TarInfo("x")
    comment.type, comment.size = tarfile.XHDTYPE, 1 << 30  # read into memory at once
    path.write_bytes(gzip.compress(comment.tobuf(tarfile.USTAR_FORMAT)))
    refused(find_cifar, path, path.name, "unpacks to more than", classes=10)


def test_names_in_an_archive_write_nothing(tmp_path):
    path = write_tar(tmp_path / "c.tar.gz", cifar10(), "../../outside")
    assert find_cifar(path, "dataset.path=x", classes=10).train.count == 10
    assert [file.name for file in tmp_path.iterdir()] == ["c.tar.gz"]


# SVHN


def write_svhn(folder, compressed=True, **variables):
    folder.mkdir(exist_ok=True)
    for name, images in (("train_32x32.mat", COLOURS[:10]), ("test_32x32.mat", COLOURS[10:])):
        count = len(images)
        labels = (np.arange(count)[:, None] % 10 + 1).astype(np.uint8)
        there = {"X": images.transpose(1, 2, 3, 0), "y": labels} | (variables if name.startswith("train") else {})
        savemat(
            folder / name, {key: value for key, value in there.items() if value is not None}, do_compression=compressed
        )
    return folder


@pytest.mark.parametrize("compressed", [True, False])
def test_svhn_is_read_from_its_directory_or_one_of_its_files(tmp_path, compressed):
    write_svhn(tmp_path, compressed)
    (tmp_path / "extra_32x32.mat").write_bytes(b"left alone")
    for path in (tmp_path, tmp_path / "train_32x32.mat"):
        official = find_svhn(path, "dataset.path=x")
        assert (official.train.count, official.train.shape, official.held_out.count) == (10, (32, 32, 3), 2)
        np.testing.assert_array_equal(loaded(official.train), COLOURS[:10])
        np.testing.assert_array_equal(loaded(official.held_out), COLOURS[10:])
        assert official.train.classes.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
        assert official.train.classes.dtype == np.int64
        assert [file.name for file in official.files["path"]] == ["train_32x32.mat", "test_32x32.mat"]


SVHN_FAULTS = {
    "no X": ({"X": None}, "lacks X of SVHN (it has y)"),
    "no y": ({"y": None}, "lacks y of SVHN (it has X)"),
    "floats": ({"X": np.zeros((32, 32, 3, 10))}, "has X double [32, 32, 3, 10]"),
    "another size": ({"X": np.zeros((32, 31, 3, 10), np.uint8)}, "has X uint8 [32, 31, 3, 10]"),
    "images first": ({"X": COLOURS[:10]}, "has X uint8 [10, 32, 32, 3]"),
    "too few labels": ({"y": np.ones((9, 1), np.uint8)}, "has y uint8 [9, 1] beside 10 images"),
    "a text": ({"y": "abc"}, "has y char"),
    "label 0": ({"y": np.zeros((10, 1), np.uint8)}, "label 0 at place 0", "1 to 10"),
    "label 11": ({"y": np.arange(2, 12, dtype=np.uint8)[:, None]}, "label 11 at place 9"),
    "half a label": ({"y": np.full((10, 1), 1.5)}, "label 1.5 at place 0"),
}


@pytest.mark.parametrize("fault", SVHN_FAULTS)
def test_a_fault_of_an_svhn_file_is_one_line(tmp_path, fault):
    variables, *words = SVHN_FAULTS[fault]
    refused(find_svhn, write_svhn(tmp_path, **variables), "train_32x32.mat", *words)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("keep", [0, 60, 130, 200, 4000, 30_000])
def test_an_svhn_file_that_is_cut_short_is_one_line(tmp_path, keep, compressed):
    path = write_svhn(tmp_path, compressed) / "train_32x32.mat"
    path.write_bytes(path.read_bytes()[:keep])
    refused(find_svhn, tmp_path, "train_32x32.mat", read=True)


def test_an_svhn_file_that_is_damaged_is_one_line(tmp_path):
    path = write_svhn(tmp_path) / "train_32x32.mat"
    content = path.read_bytes()
    path.write_bytes(content[:9000] + b"????" + content[9004:])
    refused(find_svhn, tmp_path, "train_32x32.mat", read=True)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" * 100)
    refused(find_svhn, tmp_path, "train_32x32.mat")
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<H", 0x0200) + b"IM" + bytes(400))
    refused(find_svhn, tmp_path, "train_32x32.mat is a MATLAB 7.3 file")


def test_a_path_that_leads_to_no_cropped_digits_is_one_line(tmp_path):
    refused(find_svhn, tmp_path / "nowhere", "does not exist", "train_32x32.mat")
    refused(find_svhn, tmp_path, "lacks train_32x32.mat and test_32x32.mat")
    (tmp_path / "other.mat").write_bytes(b"x")
    refused(find_svhn, tmp_path / "other.mat", "not one of SVHN's two files")
    (tmp_path / "digitStruct.mat").write_bytes(b"x")
    refused(find_svhn, tmp_path, "full numbers (format 1)", "get train_32x32.mat and test_32x32.mat (format 2")
    refused(find_svhn, tmp_path / "digitStruct.mat", "full numbers (format 1)")
    write_svhn(tmp_path)
    (tmp_path / "test_32x32.mat").unlink()
    refused(find_svhn, tmp_path / "train_32x32.mat", "lacks test_32x32.mat")


# what is known of each, and where it is fetched


@pytest.mark.parametrize("name", FACTS)
def test_the_facts_of_a_set_agree_with_one_another(name):
    known = FACTS[name]
    assert len(set(known.class_names)) == len(known.class_names)
    if known.class_counts is not None:
        assert len(known.class_counts) == len(known.class_names)
        assert sum(known.class_counts) == known.train


def test_the_splits_of_emnist_have_their_classes():
    splits = [key.removeprefix("emnist-") for key in FACTS if key.startswith("emnist-")]
    assert {split: len(FACTS[f"emnist-{split}"].class_names) for split in splits} == {
        "balanced": 47, "byclass": 62, "bymerge": 47, "digits": 10, "letters": 26, "mnist": 10,
    }  # fmt: skip


def served(monkeypatch, tmp_path, **files):
    """Keras' directory in a folder of the test, and the authors' server in another, with these files."""
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path / "home"))
    write_files(tmp_path / "server", files)
    return f"{(tmp_path / 'server').as_uri()}/"


def test_files_are_fetched_once_and_held_to_their_sums(monkeypatch, tmp_path):
    base = served(monkeypatch, tmp_path, a=b"right", b=b"wrong")
    sums = {"a": hashlib.sha256(b"right").hexdigest(), "b": "0" * 64}
    monkeypatch.setitem(DOWNLOADS, "svhn", Download("the page", base, {"a": sums["a"]}))
    folder = download("svhn")
    assert (folder / "a").read_bytes() == b"right"
    shutil.rmtree(tmp_path / "server")
    assert download("svhn") == folder
    write_files(tmp_path / "server", {"b": b"wrong"})
    monkeypatch.setitem(DOWNLOADS, "svhn", Download("the page", base, sums))
    with pytest.raises(ConfigError, match="hash does not match") as caught:
        download("svhn")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", DOWNLOADS)
def test_without_a_network_one_line_says_what_to_fetch(monkeypatch, tmp_path, name):
    known = DOWNLOADS[name]
    base = served(monkeypatch, tmp_path)
    monkeypatch.setitem(DOWNLOADS, name, known._replace(base=base))
    with pytest.raises(ConfigError) as caught:
        download(name)
    text = str(caught.value)
    assert text.startswith(f"dataset={name} could not be downloaded (URL fetch failure")
    assert re.search(rf"; fetch {', '.join(known.files)} from {re.escape(known.page)}, and give dataset.path=", text)
    assert "\n" not in text
