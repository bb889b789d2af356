"""The settings of the data sets."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ganlab.config.base import Count, Length, Pair, Settings

Side = Annotated[int, Field(ge=16, le=128)]
Share = Annotated[float, Field(gt=0, lt=1)]
Images = Annotated[int, Field(ge=1, le=10**7)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Level = Annotated[int, Field(ge=0, le=255)]


class DatasetSettings(Settings):
    """What every data set takes."""

    flip: Literal["none", "horizontal"] = "none"


class _FileSettings(DatasetSettings):
    """Images in files; what identifies them is filled in before anything starts.

    classes: how many there are; None without labels. class_names: their names, if any. class_counts: training images
    of each class, for conditional networks. sha256, bytes: of the file, of all files together.
    """

    classes: Count | None = None
    class_names: list[str] | None = None
    class_counts: list[Annotated[int, Field(ge=0)]] | None = None
    sha256: str | None = None
    bytes: int | None = None


class Digits(DatasetSettings):
    """scikit-learn's 1797 handwritten digits, 8x8."""

    name: Literal["digits"]
    classes: ClassVar[int] = 10
    size: Length | Pair
    channels: Literal[1, 3]
    held_out: Share


class Published(_FileSettings):
    """A well-known set, from its authors' files: 28x28 grey, or 32x32 RGB."""

    name: Literal["mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn"]
    size: Length | Pair
    channels: Literal[1, 3]
    path: str | None


class Emnist(_FileSettings):
    """Handwritten letters and digits, 28x28 grey, in one of six splits."""

    name: Literal["emnist"]
    split: Literal["balanced", "byclass", "bymerge", "digits", "letters", "mnist"]
    size: Length | Pair
    channels: Literal[1, 3]
    path: str | None


class Shapes(DatasetSettings):
    """Rendered shapes whose factors are known: class, place, size, angle and colour."""

    name: Literal["shapes"]
    classes: ClassVar[int] = 5
    size: Side | tuple[Side, Side]
    channels: Literal[1, 3]
    images: Images
    held_out: Images
    seed: Seed


class Photos(DatasetSettings):
    """Crops of scikit-learn's two photographs; the class is which of them."""

    name: Literal["photos"]
    classes: ClassVar[int] = 2
    size: Side | tuple[Side, Side]
    channels: Literal[1, 3]
    reduction: Annotated[int, Field(ge=1, le=4)]
    images: Images
    held_out: Images


class Arrays(_FileSettings):
    """Your own images in an .npz or .npy file; settings that are null in YAML are filled in from it."""

    name: Literal["arrays"]
    path: str
    held_out_path: str | None
    held_out: Share
    split_seed: Seed
    size: Length | Pair
    channels: Literal[1, 3]
    images_key: str | None
    labels_key: str | None
    held_out_images_key: str | None
    held_out_labels_key: str | None
    source: str | None
    licence: str | None
    held_out_sha256: str | None = None


class Folder(_FileSettings):
    """Your own images as files in a folder, or in a .zip or .tar of one."""

    name: Literal["folder"]
    path: str
    labels: Literal["folders", "none"]
    held_out: Share
    split_seed: Seed
    size: Length | Pair
    channels: Literal[1, 3]
    crop: Literal["centre", "random", "none"]
    background: tuple[Level, Level, Level]
    frames: Literal["first", "all"]
    unreadable: Literal["skip", "refuse"]
    source: str | None
    licence: str | None


class _Prepared(_FileSettings):
    """A set from a library, with splits of its own."""

    train_split: str
    held_out_split: str | None
    held_out: Share
    split_seed: Seed
    size: Length | Pair
    channels: Literal[1, 3]
    images_key: str | None
    labels_key: str | None
    source: str | None
    licence: str | None


class Tfds(_Prepared):
    """An image set of TensorFlow Datasets."""

    name: Literal["tfds"]
    set: str
    data_dir: str | None


class HuggingFace(_Prepared):
    """An image set of Hugging Face's library."""

    name: Literal["huggingface"]
    path: str
    config: str | None


Dataset = Annotated[
    Arrays | Folder | Published | Emnist | Tfds | HuggingFace | Digits | Photos | Shapes, Field(discriminator="name")
]
