"""Data sets as their authors publish them: the facts of each set, and its download.

Their files are read by `mnist` (the family of four), `cifar` and `svhn`. Keras' own loaders of CIFAR read pickles, so
they are not used.
"""

import string
from pathlib import Path
from typing import NamedTuple

from ganlab.errors import ConfigError, in_a_line


class Facts(NamedTuple):
    """What is known about a set: its authors, its licence, its classes, the side of its images, and how many there are.

    class_counts: of the images to train on; None if classes differ in size and the sizes are not known here.
    """

    title: str
    source: str
    licence: str
    class_names: tuple[str, ...]
    size: int
    channels: int
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
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


def _emnist(split: str, names: tuple[str, ...], train: int, held_out: int, per_class: int | None) -> Facts:
    counts = None if per_class is None else (per_class,) * len(names)
    source = f"EMNIST {split} of Cohen, Afshar, Tapson and van Schaik (2017), NIST"
    return Facts("EMNIST", source, "unknown", names, 28, 1, train, held_out, counts)


FACTS: dict[str, Facts] = {
    "mnist": Facts(
        "MNIST", "MNIST of LeCun, Cortes and Burges", "CC BY-SA 3.0", _DIGITS, 28, 1, 60_000, 10_000,
        (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    ),
    "fashion_mnist": Facts(
        "Fashion-MNIST", "Fashion-MNIST of Xiao, Rasul and Vollgraf (2017), Zalando", "MIT", _CLOTHES, 28, 1,
        60_000, 10_000, (6000,) * 10,
    ),
    "kmnist": Facts(
        "KMNIST", "KMNIST of Clanuwat et al. (2018), CODH", "CC BY-SA 4.0", _KANA, 28, 1, 60_000, 10_000, (6000,) * 10
    ),
    "emnist-balanced": _emnist("balanced", _MERGED, 112_800, 18_800, 2400),
    "emnist-byclass": _emnist("byclass", (*_DIGITS, *_CAPITALS, *_LETTERS), 697_932, 116_323, None),
    "emnist-bymerge": _emnist("bymerge", _MERGED, 697_932, 116_323, None),
    "emnist-digits": _emnist("digits", _DIGITS, 240_000, 40_000, 24_000),
    "emnist-letters": _emnist("letters", _CAPITALS, 124_800, 20_800, 4800),
    "emnist-mnist": _emnist("mnist", _DIGITS, 60_000, 10_000, 6000),
    "cifar10": Facts(
        "CIFAR-10", "CIFAR-10 of Krizhevsky (2009)", "not stated", _CIFAR10, 32, 3, 50_000, 10_000, (5000,) * 10
    ),
    "cifar100": Facts(
        "CIFAR-100", "CIFAR-100 of Krizhevsky (2009)", "not stated", _CIFAR100, 32, 3, 50_000, 10_000, (500,) * 100
    ),
    "svhn": Facts(
        "SVHN", "SVHN of Netzer et al. (2011)", "non-commercial use", _DIGITS, 32, 3, 73_257, 26_032,
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
