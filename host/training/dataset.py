"""Fashion-MNIST from its four IDX files, plain or gzip-compressed."""

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dscim.host.errors import UserError

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)
"""Names of the classes, by label."""

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package dataset-fashion-mnist puts the files."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Dataset:
    """Images uint8 (N, 28, 28) and labels uint8 (N,) in 0..9; 60,000 to train, 10,000 to test."""

    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes


def data_folder(option: str | None) -> Path:
    """The folder of the IDX files: the option, else DSCIM_DATA, else Debian's."""
    return Path(option or os.environ.get("DSCIM_DATA") or DEBIAN_FOLDER)


def load(folder: Path) -> Dataset:
    """The data set in `folder`; UserError names a file that is missing or damaged."""
    parts = [
        read_idx(_find(folder, f"{part}-{kind}"))
        for part in ("train", "t10k")
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    ]
    for images, labels in (parts[:2], parts[2:]):
        if images.ndim != 3 or images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
            raise UserError(
                f"the images in {folder} have shape {images.shape} and the labels {labels.shape}, "
                "not (N, 28, 28) and (N,): take Fashion-MNIST's own four IDX files"
            )
    return Dataset(*parts)


def read_idx(path: Path) -> Bytes:
    """The uint8 array in an IDX file, plain or gzip-compressed; UserError when damaged."""
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise UserError(f"{path} cannot be read as an IDX file: {error}") from error
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08":
        raise UserError(f"{path} is not an IDX file of bytes: its first bytes are {raw[:4]!r}")
    header = 4 + 4 * raw[3]
    shape = tuple(int(size) for size in np.frombuffer(raw[4:header], dtype=">u4"))
    if len(raw) < header or len(raw) - header != int(np.prod(shape, dtype=np.int64)):
        raise UserError(f"{path} holds {len(raw) - header} bytes where its header says {shape}")
    return np.frombuffer(raw[header:], dtype=np.uint8).reshape(shape)


def _find(folder: Path, name: str) -> Path:
    """The file `name` or `name`.gz in `folder`."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(
        f"no {name} or {name}.gz in {folder}: install the Debian package dataset-fashion-mnist, "
        "or name the folder of the four IDX files with --data or DSCIM_DATA"
    )
