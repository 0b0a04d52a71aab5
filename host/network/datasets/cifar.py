"""CIFAR-10 in its official python layout: pickled batches, read without running any of them."""

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
"""(channels, height, width) of an image, as a row of a batch holds it."""

ALLOWED = {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")} | {
    (module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray")
}
"""All that a batch needs of Python; a pickle that asks for anything else is refused."""


def cifar10(folder: Path | None) -> Dataset:
    """CIFAR-10, images (N, 32, 32, 3); UserError names what is missing or damaged.

    A re-encoded copy is labelled so when a file NAME beside the batches says its name.
    """
    place = find(
        folder,
        ("cifar-10-batches-py",),
        "test_batch",
        "take the python version of CIFAR-10 from www.cs.toronto.edu/~kriz/cifar.html "
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
    """Images (N, 32, 32, 3) and labels (N,) of one batch; UserError when damaged or hostile."""
    try:
        batch = _Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        data, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"], np.int64)
    except OSError as error:
        raise UserError(
            f"'{path}' cannot be read: {error.strerror}; CIFAR-10's six batches belong together."
        ) from error
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
        raise UserError(f"'{path}' is no batch of CIFAR-10, or damaged: {error!r}.") from error
    if data.dtype != np.uint8 or data.shape != (len(labels), np.prod(SHAPE)):
        raise UserError(
            f"'{path}' holds {data.dtype} of the shape {data.shape} and {len(labels)} "
            "labels, not uint8 (N, 3072) and N: take CIFAR-10's python version."
        )
    images = data.reshape(-1, *SHAPE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels


class _Unpickler(pickle.Unpickler):
    """Builds arrays, and nothing else: a pickle may name any function to be called."""

    def find_class(self, module: str, name: str) -> Any:
        """The class or function that a batch may use; UnpicklingError for any other."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)
