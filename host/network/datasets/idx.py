"""MNIST and Fashion-MNIST: four IDX files, plain or gzip-compressed."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from dscim.arrays import UInt8
from dscim.errors import UserError
from dscim.host.network.datasets.dataset import Dataset
from dscim.host.network.datasets.locate import find

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""Names of Fashion-MNIST's classes, by label."""

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""The folder of the Debian package dataset-fashion-mnist."""

FIRST = "train-images-idx3-ubyte"
"""The file that identifies a folder."""


def fashion_mnist(folder: Path | None) -> Dataset:
    """Fashion-MNIST, images (N, 28, 28, 1); UserError names the missing or damaged file."""
    place = find(
        folder,
        ("fashion-mnist", "FashionMNIST/raw"),
        FIRST,
        "install the Debian package dataset-fashion-mnist, or download the four IDX files "
        "from github.com/zalandoresearch/fashion-mnist",
        (DEBIAN,),
    )
    return _four_files("Fashion-MNIST", FASHION, place)


def mnist(folder: Path | None) -> Dataset:
    """MNIST, images (N, 28, 28, 1); UserError names the missing or damaged file."""
    place = find(
        folder,
        ("mnist", "MNIST/raw"),
        FIRST,
        "download MNIST's four IDX files from yann.lecun.com/exdb/mnist",
    )
    return _four_files("MNIST", tuple("0123456789"), place)


def read_idx(path: Path) -> UInt8:
    """The uint8 array in an IDX file, plain or gzip-compressed; UserError if damaged."""
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read as an IDX file: {error}.") from error
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08":
        raise UserError(f"{path} is not an IDX file of bytes: its first bytes are {raw[:4]!r}.")
    header = 4 + 4 * raw[3]
    if len(raw) < header:
        raise UserError(f"{path} ends within its header, after {len(raw)} bytes.")
    shape = tuple(int(size) for size in np.frombuffer(raw[4:header], dtype=">u4"))
    if len(raw) - header != int(np.prod(shape, dtype=object)):
        raise UserError(f"{path} holds {len(raw) - header} bytes where its header says {shape}.")
    return np.frombuffer(raw[header:], dtype=np.uint8).reshape(shape)


def _four_files(name: str, classes: tuple[str, ...], folder: Path) -> Dataset:
    """The data set whose four files are in `folder`."""
    parts = [
        read_idx(_file(folder, f"{part}-{kind}"))
        for part in ("train", "t10k")
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    ]
    for images, labels in (parts[:2], parts[2:]):
        if images.ndim != 3 or images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
            raise UserError(
                f"the images in {folder} have shape {images.shape} and the labels {labels.shape}, "
                f"not (N, 28, 28) and (N,): use the original four IDX files of {name}."
            )
    train, train_labels, test, test_labels = parts
    return Dataset(
        name,
        classes,
        train[..., None],
        train_labels.astype(np.int64),
        test[..., None],
        test_labels.astype(np.int64),
    )


def _file(folder: Path, name: str) -> Path:
    """The file `name` or `name`.gz in `folder`; UserError if both are missing."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(f"there is no {name} or {name}.gz in {folder}: all four IDX files are needed.")
