"""Official files, fetched from their authors' pages into Keras' directory of data sets and checked by their sha256.

Keras' own loaders of CIFAR read pickles, so they are not used; MNIST comes through Keras, as one .npz (see `mnist`).
"""

from pathlib import Path
from typing import NamedTuple

from ganlab.errors import ConfigError, in_a_line


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
    """The directory that holds a set's files, downloaded if missing; a reader takes it as its path.

    Raises ConfigError, which says what to fetch by hand, if there is no network or a file has another sha256.
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
