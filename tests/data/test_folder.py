"""Folders of images and archives of them: what is found, what is left out and said, kept once, and the same bits."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from unittest.mock import Mock

import numpy as np
import PIL
import pytest
from PIL import Image

from ganlab.cli.hydra import plan
from ganlab.data import cache, folder
from ganlab.data.parallel import run_all
from ganlab.data.sources import DATASETS, class_counts, counts
from ganlab.errors import ConfigError

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (40, 8, 8, 3), np.uint8)
STAGES = "generator.stages=[[8,2],[null,2]]"


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.squeeze()).save(path, **options)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "kept"))


@pytest.fixture
def classes(tmp_path):
    """A folder with 40 images in folders a and b, a quarter in a."""
    root = tmp_path / "pictures"
    for number, pixels in enumerate(PIXELS):
        save(root / ("a" if number % 4 == 0 else "b") / f"{number:03d}.png", pixels)
    return root


def own(settings, path, *overrides):
    return settings("dataset=folder", STAGES, f"dataset.path={path}", *overrides).dataset


def zipped(root, path, prefix="pictures/"):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*"), reverse=True):
            if file.is_file():
                archive.write(file, prefix + str(file.relative_to(root)))
    return path


def tarred(root, path):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        archive.add(root, "pictures")
    return path


def test_classes_are_folders_and_a_share_of_each_is_held_out(settings, classes):
    config = own(settings, classes, "conditional=true", "dataset.licence=CC0")
    assert (config.size, config.channels, config.classes, config.class_names) == (8, 3, 2, ["a", "b"])
    split = folder.folder(config)
    assert counts(config) == (len(split.train.pixels), len(split.held_out.pixels)) == (32, 8)
    assert class_counts(config) == config.class_counts == np.bincount(split.train.labels).tolist() == [8, 24]
    assert split.notes == ("pictures: 32 images to train on, 8 others drawn to be held out, 2 classes; licence CC0",)
    of = {pixels.tobytes(): int(number % 4 != 0) for number, pixels in enumerate(PIXELS)}
    for part in (split.train, split.held_out):
        assert [of[image.tobytes()] for image in part.pixels] == part.labels.tolist()
    assert len(split.held_out_names) == 8 and all((classes / name).is_file() for name in split.held_out_names)
    unlabelled = own(settings, classes, "dataset.labels=none")
    assert (unlabelled.classes, folder.folder(unlabelled).train.labels) == (None, None)


def test_the_same_images_give_the_same_bits_wherever_they_are(settings, classes, tmp_path):
    labels = np.array([int(number % 4 != 0) for number in range(40)])
    np.savez(tmp_path / "own.npz", images=PIXELS[::-1], labels=labels[::-1])
    wanted = DATASETS["arrays"](settings("dataset=arrays", STAGES, f"dataset.path={tmp_path / 'own.npz'}").dataset)
    there = [
        classes,
        zipped(classes, tmp_path / "own.zip"),
        tarred(classes, tmp_path / "own.tar"),
        tarred(classes, tmp_path / "own.tar.gz"),
    ]
    for path in there:
        split = folder.folder(own(settings, path))
        assert split.facts["sha256"] == wanted.facts["sha256"], path
    assert len({own(settings, path).sha256 for path in there}) == 1
    other = folder.folder(own(settings, classes, "dataset.split_seed=1"))
    assert other.facts["sha256"] != wanted.facts["sha256"]


def test_folders_named_train_and_test_are_the_two_parts(settings, tmp_path):
    for number, pixels in enumerate(PIXELS):
        part = ("Train", "test", "val")[min(number // 20, 1) + (number >= 38)]
        save(tmp_path / "set" / part / f"class {number % 2}" / f"{number}.png", pixels)
    split = folder.folder(own(settings, tmp_path / "set"))
    assert (len(split.train.pixels), len(split.held_out.pixels)) == (20, 18)
    assert split.notes == (
        "set: 20 images to train on, 18 held out, 2 classes; licence unknown",
        "2 files of val not used: another part is held out",
    )
    shutil.rmtree(tmp_path / "set" / "test" / "class 0")
    shutil.move(tmp_path / "set" / "test" / "class 1", tmp_path / "set" / "test" / "zebra")
    with pytest.raises(ConfigError, match="held-out images of a class without any to train on, zebra"):
        own(settings, tmp_path / "set")


@pytest.fixture
def parts(tmp_path):
    """A folder with train and test, and in each of them cat and dog."""
    root = tmp_path / "set"
    for number, pixels in enumerate(PIXELS):
        save(root / ("train", "test")[number // 30] / ("cat", "dog")[number % 2] / f"{number}.png", pixels)
    return root


@pytest.mark.parametrize("name", ["README", "latest", "latest.png"])
def test_what_is_no_image_leaves_the_two_parts_as_they_are(settings, parts, tmp_path, name):
    if name == "README":
        (parts / name).write_text("no image")
    else:
        (parts / name).symlink_to(tmp_path)
    split = folder.folder(own(settings, parts))
    assert (len(split.train.pixels), len(split.held_out.pixels)) == (30, 10)
    listing = folder.list_images(str(parts))
    assert (folder.class_names("", listing.good, "folders"), listing.ignored) == (["cat", "dog"], 1)


@pytest.mark.parametrize("name", ["preview.png", "docs/logo.png"])
def test_a_picture_beside_the_two_parts_is_named(settings, parts, name):
    save(parts / name, PIXELS[0])
    with pytest.raises(ConfigError, match=rf"has folders test and train, and beside them {name}; move it elsewhere"):
        own(settings, parts)


def test_an_entry_of_an_older_layout_is_not_used(settings, parts, monkeypatch):
    key, _ = folder._recipe_of(own(settings, parts))
    monkeypatch.setattr(folder, "_VERSION", folder._VERSION + 1)
    assert folder._recipe_of(own(settings, parts))[0] != key
    assert f"Pillow {PIL.__version__}" in cache.VERSION  # so that nothing is left out that another one can read


def test_folders_that_all_files_of_both_parts_share_are_no_class(settings, tmp_path):
    for number, pixels in enumerate(PIXELS):
        save(tmp_path / "set" / ("train", "test")[number // 30] / "images" / f"{number}.png", pixels)
    config = own(settings, tmp_path / "set")
    assert (config.classes, counts(config)) == (None, (30, 10))


def cut(path):
    """Its header can be read, its pixels cannot."""
    path.write_bytes(path.read_bytes()[:-60])


@pytest.mark.parametrize("emptied", ["", "train", "test"])
@pytest.mark.parametrize("change", [cut, lambda path: path.write_text("no image")], ids=["cut", "words"])
def test_a_part_of_which_nothing_can_be_read_is_named_with_what_is_wrong(settings, tmp_path, emptied, change):
    for number, pixels in enumerate(PIXELS[:8]):
        path = tmp_path / "set" / ("train", "test")[number % 2] / f"{number}.jpg"
        save(path, pixels)
        if path.parent.name.startswith(emptied):
            change(path)
    side = {"": "", "train": " to train on", "test": " held out"}[emptied]
    with pytest.raises(ConfigError, match=rf"holds no image{side} that can be read: t\w+/\d.jpg \((trunc|not an im)"):
        own(settings, tmp_path / "set")


@pytest.mark.parametrize("name", ["caf\udce9", "caf\u200f"])  # not UTF-8, an invisible mark of direction
def test_a_class_whose_name_cannot_be_printed_is_named(settings, classes, name):
    (classes / "a").rename(classes / name)
    shown = re.escape(ascii(name)[1:-1])
    with pytest.raises(ConfigError, match=rf"class whose name cannot be printed, {shown}; rename .*labels=none$"):
        own(settings, classes)
    assert own(settings, classes, "dataset.labels=none").classes is None


def test_equal_images_in_both_parts_are_named(settings, tmp_path):
    for number, pixels in enumerate(PIXELS[:20]):
        save(tmp_path / "set" / "train" / f"{number}.png", pixels)
        save(tmp_path / "set" / "test" / f"{number}.png", PIXELS[number + 20])
    shutil.copy(tmp_path / "set" / "train" / "3.png", tmp_path / "set" / "test" / "copy.png")
    assert folder.folder(own(settings, tmp_path / "set")).notes[1:] == (
        "1 held-out image is also among the training images: test/copy.png = train/3.png",
    )


ODD = {
    "broken/cut.png": lambda path: path.write_bytes((path.parent / "whole.png").read_bytes()[:-30]),
    "broken/empty.jpg": lambda path: path.write_bytes(b""),
    "broken/words.png": lambda path: path.write_text("no image"),
    "notes.txt": lambda path: path.write_text("no image"),
    "LICENSE": lambda path: path.write_text("no image"),
    "broken/nameless": lambda path: save(path, PIXELS[3], format="PNG"),
    ".DS_Store": lambda path: path.write_bytes(b"\0\0\0\1Bud1"),
    "__MACOSX/broken/._whole.png": lambda path: path.write_bytes(b"\0\5\x16\7"),
    "broken/.hidden.png": lambda path: path.write_bytes(b""),
    "broken/link.png": lambda path: path.symlink_to("whole.png"),
    "broken/dangling.png": lambda path: path.symlink_to("nowhere.png"),
    "broken/around": lambda path: path.symlink_to(".."),
    "broken/pipe.png": lambda path: os.mkfifo(path),
    "broken/фото день.png": lambda path: save(path, PIXELS[1]),
    "broken/jpeg.png": lambda path: save(path, PIXELS[2], format="JPEG"),
    "broken/line\nbreak.png": lambda path: path.write_text("no image"),
}


def test_odd_files_are_left_out_by_name_or_ignored(settings, tmp_path):
    root = tmp_path / "odd"
    save(root / "broken" / "whole.png", PIXELS[0])
    for number in range(9):
        save(root / "more" / f"{number}.png", PIXELS[number + 10])
    for name, write in ODD.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write(root / name)
    config = own(settings, root)
    split = folder.folder(config)
    assert len(split.train.pixels) + len(split.held_out.pixels) == 14  # whole, its link, фото, jpeg, nameless, and nine
    left_out, *others = split.notes[1:]
    assert left_out.startswith("6 files left out: broken/cut.png (truncated), ")
    assert "broken/dangling.png (a broken link)" in left_out and left_out.endswith(" and 1 more")
    assert all("\n" not in line for line in split.notes)
    assert any("jpeg.png" in line and "JPEG" in line for line in others)
    assert folder.list_images(str(root)).ignored == 6  # among them the link to a folder
    with pytest.raises(ConfigError, match=r"6 files that cannot be read: broken/cut.png .*dataset\.unreadable=skip"):
        own(settings, root, "dataset.unreadable=refuse")


def test_a_file_that_is_damaged_in_an_archive_is_named_and_the_others_are_read(settings, classes, tmp_path):
    path = zipped(classes, tmp_path / "own.zip")
    content = bytearray(path.read_bytes())
    place = content.index((classes / "b" / "002.png").read_bytes()[:60])
    content[place + 50] ^= 255  # its checksum is that of another content now
    path.write_bytes(content)
    split = folder.folder(own(settings, path))
    assert len(split.train.pixels) + len(split.held_out.pixels) == 39
    assert split.notes[1].startswith("1 file left out: pictures/b/002.png (damaged: bad crc-32")


def test_damage_in_an_xz_archive_is_one_line(tmp_path, classes):
    with tarfile.open(tmp_path / "own.tar.xz", "w:xz") as archive:
        archive.add(classes, "pictures")
    content = bytearray((tmp_path / "own.tar.xz").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    (tmp_path / "own.tar.xz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"own\.tar\.xz cannot be read \(Corrupt input data\); give a folder"):
        folder.list_images(str(tmp_path / "own.tar.xz"))


@pytest.mark.parametrize("damage", ["a header", "the checksum", "another archive"])
def test_damage_that_tarfile_takes_for_the_end_is_one_line(tmp_path, classes, damage):
    path = tarred(classes, tmp_path / ("own.tar.gz" if damage == "the checksum" else "own.tar"))
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as archive:
        place = archive.getmembers()[20].offset
    if damage == "another archive":
        content = content * 2
    else:
        content[place if damage == "a header" else -8] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"own\.tar\S* cannot be read \((from byte \d+ on it is damaged|CRC check)"):
        folder.list_images(str(path))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_of_files_of_one_name_in_an_archive_the_last_is_read(settings, tmp_path, kind):
    for number in range(3):
        save(tmp_path / f"{number}.png", PIXELS[number])
    names = {"0.png": "a.png", "1.png": "a.png", "2.png": "b.png"}
    path = tmp_path / f"own.{kind}"
    with zipfile.ZipFile(path, "w") if kind == "zip" else tarfile.open(path, "w") as archive:
        for file, name in names.items():
            (archive.write if isinstance(archive, zipfile.ZipFile) else archive.add)(tmp_path / file, name)
    split = folder.folder(own(settings, path, "dataset.held_out=0.5"))
    images = {image.tobytes() for part in (split.train, split.held_out) for image in part.pixels}
    assert images == {PIXELS[1].tobytes(), PIXELS[2].tobytes()}
    assert "1 file left out: a.png (replaced by a later file of that name)" in split.notes


def test_an_archive_is_unpacked_once_to_list_it(classes, tmp_path, monkeypatch):
    path = str(tarred(classes, tmp_path / "own.tar.gz"))
    listing, headers, following = folder.list_images(path), [], tarfile.TarFile.next
    monkeypatch.setattr(tarfile.TarFile, "next", lambda archive: headers.append(archive) or following(archive))
    assert folder.list_images(path) is listing
    assert len(headers) < 5  # to see that it is a .tar; it has 40 files


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path, classes):
    zipped(classes / "a", classes / "c.zip")
    assert folder.list_images(str(tarred(classes, tmp_path / "own.tar"))).archive.kind == "tar"


def test_large_pictures_are_decoded_a_few_at_a_time(settings, classes):
    config = own(settings, classes).model_copy(update={"size": 1024})
    _, make = folder._recipe_of(config)
    assert len(next(iter(make().blocks())).pixels) == 5


def test_what_cannot_be_read_now_is_not_left_out_for_ever(classes):
    archive = folder.Archive(classes, "x")
    (classes / "a" / "000.png").unlink()
    with pytest.raises(ConfigError, match=r"pictures/a/000\.png cannot be read \(No such file .*\); try again"):
        folder._scan(archive)


def test_a_zip_that_cannot_be_read_now_is_refused_whole(tmp_path, classes, monkeypatch):
    archive = folder.Archive(zipped(classes, tmp_path / "own.zip"), "x")
    monkeypatch.setattr(zipfile.ZipExtFile, "read", Mock(side_effect=OSError(5, "Input/output error")))
    with pytest.raises(ConfigError, match=r"x cannot be read \(Input/output error\)"):
        folder._scan(archive)


def test_a_process_that_is_killed_while_it_reads_is_one_line():
    with pytest.raises(RuntimeError, match="processes that read images was killed, perhaps because memory ran out"):
        list(run_all(os._exit, [9]))


def test_damage_of_a_file_in_a_zip_by_lzma_is_named(tmp_path, classes):
    path = tmp_path / "own.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for number in (0, 4):
            archive.write(classes / "a" / f"{number:03d}.png", f"{number}.png")
    content = bytearray(path.read_bytes())
    content[100:140] = bytes(40)
    path.write_bytes(content)
    assert [picture.problem[:9] for picture in folder.list_images(str(path)).pictures] == ["damaged: ", ""]


@pytest.mark.parametrize("encoding", ["utf-8", "cp437"])  # as a Mac and as Windows write names
def test_names_of_a_zip_that_are_not_marked_as_utf8_are_read(settings, tmp_path, encoding):
    path, name = tmp_path / "own.zip", "Bäume".encode(encoding)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(4):
            save(tmp_path / "1.png", PIXELS[number])
            archive.write(tmp_path / "1.png", f"{number % 2:x<{len(name)}}/{number}.png")
    path.write_bytes(path.read_bytes().replace(b"0".ljust(len(name), b"x") + b"/", name + b"/"))
    assert own(settings, path, "dataset.held_out=0.5").class_names == ["1".ljust(len(name), "x"), "Bäume"]


def test_names_of_a_zip_with_backslashes_are_in_folders(settings, classes, tmp_path):
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        archive.writestr("pictures\\", b"")
        for file in classes.rglob("*.png"):
            archive.write(file, f"pictures\\{file.parent.name}\\{file.name}")
    config = own(settings, tmp_path / "own.zip")
    assert (config.class_names, config.sha256) == (["a", "b"], own(settings, classes).sha256)


WRONG = {
    "does not exist; give a folder of images": lambda root: root / "nowhere",
    "is neither a folder nor a .zip or .tar": lambda root: root / "words.txt",
    "holds no images; give": lambda root: root / "empty",
    "holds no images, and links to folders are not followed; give": lambda root: root / "linked",
    "holds no image that can be read: bad.png (not an image)": lambda root: root / "bad",
    "has images of 2 sizes, 4x4 to 8x8; give one, such as dataset.size=64": lambda root: root / "sizes",
    "beside folders of classes": lambda root: root / "beside",
    "single empty; give at least two images of one class": lambda root: root / "single",
    "twins empty; use a share such as 0.5": lambda root: root / "twins",
}


@pytest.mark.parametrize("message", WRONG)
def test_what_cannot_be_used_is_one_line(settings, tmp_path, message):
    (tmp_path / "words.txt").write_text("words")
    for name in ("empty", "bad", "linked"):
        (tmp_path / name).mkdir()
    (tmp_path / "linked" / "cat").symlink_to(tmp_path / "empty")
    (tmp_path / "bad" / "bad.png").write_text("words")
    for name in ("sizes/1.png", "beside/1.png", "beside/a/2.png", "single/1.png", "twins/1.png", "twins/2.png"):
        save(tmp_path / name, PIXELS[0])
    save(tmp_path / "sizes" / "2.png", PIXELS[0, :4, :4])
    with pytest.raises(ConfigError) as caught:
        own(settings, WRONG[message](tmp_path))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_another_mistake_is_told_before_anything_is_decoded(settings, classes, monkeypatch):
    monkeypatch.setattr(folder, "_decode", None)
    for override, said in {
        "penalty.weight=-1.0": "penalty.weight=-1.0 is out of range",
        "dataset.background=[1,2]": "dataset.background=[1, 2] has too few entries",
        "dataset.background=[1,2,3,4]": "dataset.background=[1, 2, 3, 4] is too long; use at most 3 entries",
        "dataset.background=[1,2,300]": "dataset.background.2=300 is out of range",
        "dataset.crop=middle": "dataset.crop='middle' is unknown; choose one of: centre, none, random",
    }.items():
        with pytest.raises(ConfigError, match=re.escape(said)):
            own(settings, classes, override)


def test_the_runs_of_a_sweep_look_into_a_folder_once(classes, monkeypatch):
    looks = []
    archive = folder.Archive
    monkeypatch.setattr(folder, "Archive", lambda *asked: (looks.append(1), archive(*asked))[1])
    folder._list_images.cache_clear()

    def count(*overrides):
        looks.clear()
        plan(["dataset=folder", STAGES, f"dataset.path={classes}", *overrides], multirun=True)
        return len(looks)

    count("seed=0")  # decodes
    assert count("seed=0,1,2,3", "generator=upsample,transpose") == count("seed=0") > 0


def test_images_are_decoded_once_and_again_when_they_change(settings, classes, capfd):
    own(settings, classes)
    assert "preparing 40 images 8x8x3 once" in capfd.readouterr().err
    first = own(settings, classes)
    assert capfd.readouterr().err == ""
    save(classes / "a" / "000.png", PIXELS[0][::-1])
    with pytest.raises(ConfigError, match="has changed"):
        own(settings, classes, f"dataset.sha256={first.sha256}")
    assert own(settings, classes).sha256 != first.sha256
    assert "preparing" in capfd.readouterr().err


def test_a_broken_link_that_appears_or_goes_is_noticed(classes):
    link = classes / "a" / "0.png"
    for change in (lambda: None, lambda: link.symlink_to("nowhere"), link.unlink):
        change()
        folder._list_images.cache_clear()
        listing = folder.list_images(str(classes))
        members = listing.archive.members
        assert [members[picture.number].name for picture in listing.pictures] == [member.name for member in members]
        assert len(members) - len(listing.good) == link.is_symlink()


@pytest.mark.parametrize("name", ["train.npy", "train_labels.npy", "facts.json", "held_out.txt"])
def test_a_damaged_entry_is_made_again(settings, classes, tmp_path, name):
    config = own(settings, classes)
    wanted = folder.folder(config).facts["sha256"]
    (entry,) = (each for each in (tmp_path / "kept").iterdir() if each.is_dir())
    content = bytearray((entry / name).read_bytes())
    content[-3] ^= 1
    (entry / name).write_bytes(content)
    split = folder.folder(config)
    assert split.facts["sha256"] == wanted
    assert all((classes / each).is_file() for each in split.held_out_names)


def test_it_is_said_what_becomes_of_pictures(settings, tmp_path):
    save(tmp_path / "odd" / "wide.png", RANDOM.integers(0, 256, (20, 40, 3), np.uint8))
    for number in range(5):
        save(tmp_path / "odd" / f"{number}.png", RANDOM.integers(0, 256, (16, 16), np.uint8))
    split = folder.folder(own(settings, tmp_path / "odd", "dataset.size=8"))
    assert split.notes[1:] == (
        "6 images of 16x16 to 20x40 -> 8x8: resized, cropped in the middle",
        "5 grey images are repeated to three channels",
    )


def test_transparent_and_animated_files_are_told_as_they_are_used(settings, tmp_path):
    root = tmp_path / "odd"
    for number in range(6):
        save(root / f"{number}.png", RANDOM.integers(0, 256, (8, 8, 4), np.uint8))
    frames = [Image.fromarray(RANDOM.integers(0, 256, (8, 8, 3), np.uint8)) for _ in range(3)]
    frames[0].save(root / "moving.gif", save_all=True, append_images=frames[1:])
    split = folder.folder(own(settings, root, "dataset.frames=all", "dataset.background=[0,0,9]"))
    assert len(split.train.pixels) + len(split.held_out.pixels) == 9
    assert split.notes[1:] == (
        "6 files: transparent, laid on (0, 0, 9), such as 0.png",
        "1 file: animated, 3 frames, moving.gif",
        "1 file: palette, moving.gif",
        "of files with several frames every one is used",
    )
    assert len(folder.folder(own(settings, root)).train.pixels) == 6


MAKE = """
import sys
from ganlab.cli.hydra import plan
plan(["dataset=folder", "dataset.path=" + sys.argv[1], "generator.stages=[[8,2],[null,2]]"], multirun=False)
"""


@pytest.mark.slow
def test_what_is_killed_while_decoding_leaves_nothing_half_made(settings, tmp_path):
    root = tmp_path / "many"
    for number in range(1500):
        save(root / f"{number}.png", RANDOM.integers(0, 256, (8, 8, 3), np.uint8))
    command = [sys.executable, "-c", MAKE, str(root)]
    for attempt in range(10):
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(0.9 + 0.25 * attempt)
        child.send_signal(signal.SIGKILL)
        child.wait()
    entries = [each for each in (tmp_path / "kept").glob("images-*") if each.is_dir()]
    for entry in entries:  # one that was fast enough is whole
        assert json.loads((entry / "facts.json").read_text())["sizes"]
    two = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    output = "".join(child.communicate(timeout=120)[1] for child in two)
    assert all(child.returncode == 0 for child in two), output
    if not entries:
        assert output.count("preparing 1,500 images") == 1
    assert len(folder.folder(own(settings, root)).train.pixels) == 1200
    assert subprocess.run(["pgrep", "-f", str(root)], capture_output=True).stdout == b""  # no worker lives on


def test_two_that_start_together_decode_once(settings, classes, tmp_path, monkeypatch, capfd):
    import threading

    config = own(settings, classes)
    shutil.rmtree(tmp_path / "kept")
    folder._list_images.cache_clear()
    made = []
    real = cache._write
    monkeypatch.setattr(cache, "_write", lambda *all_: (made.append(1), time.sleep(0.5), real(*all_)))
    threads = [threading.Thread(target=folder.folder, args=(config,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert "another process is preparing these images; waiting for it" in capfd.readouterr().err
