"""The labelled test images that ship with the project.

`fashion-images.npz`: images uint8 (256, 28, 28), pixels 0..255, and labels uint8 (256,), the
first 256 of Fashion-MNIST's test set. A network's input is the pixel less 128, as int8.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from dscim.files import save_bytes
from dscim.host.network.archive import zip_arrays
from dscim.host.network.datasets import Dataset

COUNT = 256


def as_integers(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """Pixels uint8 (N, 28, 28) as a network's input, int8 (N, 28, 28, 1)."""
    return (images ^ np.uint8(128)).view(np.int8)[..., None]


def write(data: Dataset, path: Path) -> None:
    """Write the first images of the test set; equal data give equal bytes."""
    arrays = {
        "images": data.test_images[:COUNT, :, :, 0],
        "labels": data.test_labels[:COUNT].astype(np.uint8),
    }
    save_bytes(path, zip_arrays(arrays), parents=True)
