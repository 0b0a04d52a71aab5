"""CIFAR-10 in its official Python layout: pickled batches, read without executing their code."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from dscim.arrays import Int64, UInt8
from dscim.errors import UserError
from dscim.host.network.datasets.dataset import Dataset
from dscim.host.network.datasets.locate import find

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""Names of the classes, by label."""

SHAPE = (3, 32, 32)
"""(channels, height, width) of an image in a row of a batch."""

ALLOWED = {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")} | {
    (module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray")
}
"""The Python objects that a batch needs; a pickle that names another one is rejected."""


def cifar10(folder: Path | None) -> Dataset:
    """CIFAR-10, images (N, 32, 32, 3); UserError names the missing or damaged file.

    A file NAME next to the batches gives the name of a re-encoded copy.
    """
    place = find(
        folder,
        ("cifar-10-batches-py",),
        "test_batch",
        "download the Python version of CIFAR-10 from www.cs.toronto.edu/~kriz/cifar.html "
        "and unpack it",
    )
    batches = [read_batch(place / f"data_batch_{number}") for number in range(1, 6)]
    test, test_labels = read_batch(place / "test_batch")
    note = place / "NAME"
    name = note.read_text().strip() if note.is_file() else "CIFAR-10"
    return Dataset(
        name,
        CLASSES,
        np.concatenate([images for images, _ in batches]),
        np.concatenate([labels for _, labels in batches]),
        test,
        test_labels,
    )


def read_batch(path: Path) -> tuple[UInt8, Int64]:
    """Images (N, 32, 32, 3) and labels (N,) of one batch; UserError if damaged or unsafe."""
    try:
        batch = _Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        data, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"], np.int64)
    except OSError as error:
        raise UserError(
            f"'{path}' cannot be read: {error.strerror}; all six batches of CIFAR-10 are needed."
        ) from error
    except Exception as error:  # a damaged pickle may raise anything
        raise UserError(
            f"'{path}' is not a batch of CIFAR-10, or it is damaged: {error!r}."
        ) from error
    if data.dtype != np.uint8 or data.shape != (len(labels), np.prod(SHAPE)):
        raise UserError(
            f"'{path}' holds {data.dtype} of the shape {data.shape} and {len(labels)} "
            "labels, not uint8 (N, 3072) and N: use CIFAR-10's Python version."
        )
    images = data.reshape(-1, *SHAPE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels


class _Unpickler(pickle.Unpickler):
    """Builds arrays only, although a pickle may name any function to call."""

    def find_class(self, module: str, name: str) -> Any:
        """The class or function `name` if a batch may use it; else UnpicklingError."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it uses {module}.{name}")
        return super().find_class(module, name)
