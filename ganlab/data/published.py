"""Well-known data sets, from their authors' files: the MNIST family, CIFAR and SVHN.

What is known of each set, its download, and its images; `mnist` (the family of four), `cifar` and `svhn` read the
files. Keras' own loaders of CIFAR read pickles, so they are not used.
"""

import contextlib
import string
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ganlab.config import Emnist, Published
from ganlab.data import cifar, mnist
from ganlab.data.images import Split
from ganlab.data.survey import Survey, filled, identify, read
from ganlab.data.svhn import find_svhn
from ganlab.errors import ConfigError, in_a_line
from ganlab.files import alone_in, cache_folder


class Facts(NamedTuple):
    """What is known about a set: its authors, its licence, its classes, and how many images there are.

    class_counts: of the images to train on; None if classes differ in size and the sizes are not known here.
    """

    title: str
    source: str
    licence: str
    class_names: tuple[str, ...]
    train: int
    held_out: int
    class_counts: tuple[int, ...] | None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes; empty if they are the numbers of the labels."""
        numbers = tuple(map(str, range(len(self.class_names))))
        return () if self.class_names == numbers else self.class_names


def facts(name: str, split: str | None = None) -> Facts:
    """The facts of a set, and of EMNIST those of one split."""
    return FACTS[name if split is None else f"{name}-{split}"]


_DIGITS = tuple(string.digits)
_CLOTHES = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_CAPITALS, _LETTERS = tuple(string.ascii_uppercase), tuple(string.ascii_lowercase)
_MERGED = (*_DIGITS, *_CAPITALS, *"abdefghnqrt")  # letters whose two cases look alike are one class


def _emnist(split: str, names: tuple[str, ...], train: int, held_out: int, per_class: int | None) -> Facts:
    counts = None if per_class is None else (per_class,) * len(names)
    source = f"EMNIST {split} of Cohen, Afshar, Tapson and van Schaik (2017), NIST"
    return Facts("EMNIST", source, "unknown", names, train, held_out, counts)


FACTS: dict[str, Facts] = {
    "mnist": Facts(
        "MNIST", "MNIST of LeCun, Cortes and Burges", "CC BY-SA 3.0", _DIGITS, 60_000, 10_000,
        (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    ),
    "fashion_mnist": Facts(
        "Fashion-MNIST", "Fashion-MNIST of Xiao, Rasul and Vollgraf (2017), Zalando", "MIT", _CLOTHES,
        60_000, 10_000, (6000,) * 10,
    ),
    "kmnist": Facts(
        "KMNIST", "KMNIST of Clanuwat et al. (2018), CODH", "CC BY-SA 4.0", _KANA, 60_000, 10_000, (6000,) * 10
    ),
    "emnist-balanced": _emnist("balanced", _MERGED, 112_800, 18_800, 2400),
    "emnist-byclass": _emnist("byclass", (*_DIGITS, *_CAPITALS, *_LETTERS), 697_932, 116_323, None),
    "emnist-bymerge": _emnist("bymerge", _MERGED, 697_932, 116_323, None),
    "emnist-digits": _emnist("digits", _DIGITS, 240_000, 40_000, 24_000),
    "emnist-letters": _emnist("letters", _CAPITALS, 124_800, 20_800, 4800),
    "emnist-mnist": _emnist("mnist", _DIGITS, 60_000, 10_000, 6000),
    "cifar10": Facts(
        "CIFAR-10", "CIFAR-10 of Krizhevsky (2009)", "not stated", cifar.CIFAR10, 50_000, 10_000, (5000,) * 10
    ),
    "cifar100": Facts(
        "CIFAR-100", "CIFAR-100 of Krizhevsky (2009)", "not stated", cifar.CIFAR100, 50_000, 10_000, (500,) * 100
    ),
    "svhn": Facts(
        "SVHN", "SVHN of Netzer et al. (2011)", "non-commercial use", _DIGITS, 73_257, 26_032,
        (4948, 13_861, 10_585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
    ),
}  # fmt: skip
"""By name; EMNIST by name and split, as in `emnist-letters`."""

# --- downloads ------------------------------------------------------------------------------------------------------


class Download(NamedTuple):
    """Where files come from: the page for people, the address in front of each name, and the sha256 of each file."""

    page: str
    base: str
    files: dict[str, str]


DOWNLOADS = {
    "fashion_mnist": Download(
        "github.com/zalandoresearch/fashion-mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
    "kmnist": Download(
        "codh.rois.ac.jp/kmnist",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        {
            "train-images-idx3-ubyte.gz": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "train-labels-idx1-ubyte.gz": "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "t10k-images-idx3-ubyte.gz": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "t10k-labels-idx1-ubyte.gz": "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        },
    ),
    "emnist": Download(
        "nist.gov/itl/products-and-services/emnist-dataset",
        "https://biometrics.nist.gov/cs_links/EMNIST/",
        {"gzip.zip": "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"},
    ),
    "cifar10": Download(
        "cs.toronto.edu/~kriz/cifar.html",
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
    ),
    "cifar100": Download(
        "cs.toronto.edu/~kriz/cifar.html",
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-100-binary.tar.gz": "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"},
    ),
    "svhn": Download(
        "ufldl.stanford.edu/housenumbers",
        "http://ufldl.stanford.edu/housenumbers/",
        {
            "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
        },
    ),
}
"""The checksums are those that TensorFlow Datasets lists for the same files."""


def download(name: str) -> Path:
    """The directory that holds a set's files, in Keras' directory of data sets; they are downloaded if missing.

    A reader takes it as its path. Raises ConfigError, which says what to fetch by hand, if there is no network or a
    file has another sha256.
    """
    import keras  # TensorFlow comes with it

    source, path = DOWNLOADS[name], Path()
    for file_name, sha256 in source.files.items():
        try:
            with _alone():
                path = Path(keras.utils.get_file(
                    file_name, source.base + file_name, cache_subdir=f"datasets/ganlab/{name}", hash_algorithm="sha256",
                    file_hash=sha256,
                ))  # fmt: skip
        except Exception as error:  # Keras raises plain Exception if the network fails
            raise ConfigError(
                f"dataset={name} could not be downloaded ({in_a_line(error, 120)}); fetch {', '.join(source.files)} "
                f"from {source.page}, and give dataset.path=DIRECTORY"
            ) from error
    return path.parent


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """While inside, no other process is: Keras would download to the file that another still writes, and spoil both."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        yield


# --- their images -----------------------------------------------------------------------------------------------------


def published(settings: Published | Emnist) -> Split:
    """A set from its authors' files, which are downloaded if no path is given; their test set is held out."""
    data = survey(settings.name, settings.path, getattr(settings, "split", None))
    if settings.name == "mnist" and not mnist.is_genuine(data):
        data = replace(data, source=Path(settings.path or "").name, licence="unknown")
    return read(data, settings)


def survey(name: str, path: str | None, split: str | None = None) -> Survey:
    """Look into the files of a set; ConfigError if they are not those of the set."""
    set_facts = facts(name, split)
    # A file that is not named as the authors' own are is read as Keras'.
    if name == "mnist" and (path is None or not (Path(path).is_dir() or "ubyte" in Path(path).name)):
        with _alone() if path is None else contextlib.nullcontext():
            found = mnist.find_npz(path)
        return replace(found, source=set_facts.source, licence=set_facts.licence)
    place = download(name) if path is None else Path(path)
    where = f"dataset={name}" if path is None else f"dataset.path={path}"
    if name in ("cifar10", "cifar100", "svhn") and place.is_file() and zipfile.is_zipfile(place):
        raise ConfigError(
            f"{where} is a .zip, but {set_facts.title} is not published as one; for a .zip of pictures use "
            "dataset=folder"
        )
    if name == "svhn":
        found = find_svhn(place, where)
    elif name in ("cifar10", "cifar100"):
        found = cifar.find_cifar(place, where, classes=10 if name == "cifar10" else 100)
    else:
        found = mnist.find_idx(place, where, set_facts.title, set_facts.class_names, split)
    if path is not None and name in ("mnist", "fashion_mnist", "kmnist"):
        _refuse_another(found, name)
    complete = _has_sizes(found, set_facts)
    return replace(
        found,
        class_names=set_facts.names,
        files={} if path is None else found.files,
        source=set_facts.source if complete else place.name,
        licence=set_facts.licence if complete else "unknown",
    )


def _has_sizes(found: Survey, known: Facts) -> bool:
    """Whether there are as many images, in all and by class, as a set is known to have."""
    assert found.held_out
    counts = found.train.count, found.held_out.count
    return counts == (known.train, known.held_out) and known.class_counts in (None, tuple(found.train_counts(0.0)))


def _refuse_another(found: Survey, name: str) -> None:
    """Raise ConfigError if files with the names of MNIST's are those of another set, by their sums or their classes."""
    sums = {sha256: other for other, source in DOWNLOADS.items() for sha256 in source.files.values()}
    others = {sums.get(identify((path,), found.where).sha256, name) for path in found.files["path"]}
    others |= {"mnist"} if _has_sizes(found, FACTS["mnist"]) else set()
    if others := sorted(others - {name}):
        raise ConfigError(
            f"{found.where} holds {FACTS[others[0]].title}, not {FACTS[name].title}; use dataset={others[0]}"
        )


def fill_in(tree: Mapping[str, Any], conditional: bool) -> dict[str, Any]:
    """Settings with null values filled in from what is known about the set, or from its files; raises ConfigError."""
    name, path, split = tree["name"], tree.get("path"), tree.get("split")
    key = name if name != "emnist" else f"{name}-{split}"
    if isinstance(path, str) and key in FACTS:
        return filled(tree, survey(name, path, split), conditional)
    if path is not None or key not in FACTS:
        return dict(tree)
    set_facts = FACTS[key]
    counts = _class_counts(name, None, split) if conditional else None
    classes = {"classes": len(set_facts.class_names), "class_names": list(set_facts.names) or None}
    return dict(tree) | classes | {"class_counts": counts}


def counts(settings: Published | Emnist) -> tuple[int, int]:
    """How many images to train on, and how many held out."""
    if settings.path is None:
        set_facts = facts(settings.name, getattr(settings, "split", None))
        return set_facts.train, set_facts.held_out
    return survey(settings.name, settings.path, getattr(settings, "split", None)).counts(0.0)


def class_counts(settings: Published | Emnist) -> list[int]:
    """How many training images each class has; empty without labels."""
    return _class_counts(settings.name, settings.path, getattr(settings, "split", None))


def _class_counts(name: str, path: str | None, split: str | None) -> list[int]:
    set_facts = facts(name, split)
    if path is None and set_facts.class_counts is not None:
        return list(set_facts.class_counts)
    return survey(name, path, split).class_counts(0.0) or []
