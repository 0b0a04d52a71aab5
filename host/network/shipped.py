"""What ships with the package: trained networks and labelled images.

`fashion-images.npz` holds the first 256 images of Fashion-MNIST's test set: images uint8
(256, 28, 28), pixels 0..255, and labels uint8 (256,). A network's input is the pixel minus 128.
"""

from importlib import resources
from pathlib import Path

import numpy as np

from dscim.arrays import Int8, Int64, UInt8
from dscim.errors import UserError
from dscim.files import save_bytes
from dscim.host.network import Network, load
from dscim.host.network.archive import zip_arrays
from dscim.host.network.datasets import Dataset

TUNED = "fashion-resnet8.npz"
"""A residual network for Fashion-MNIST, fine-tuned for ds-cim1 at L = 256."""

SHORT = "fashion-resnet8-ds-cim1-64.npz"
"""The same network, fine-tuned for ds-cim1 at L = 64."""

EXACT = "fashion-resnet8-int8.npz"
"""The INT8 network that it was fine-tuned from, for the exact product."""

IMAGES = "fashion-images.npz"
FILES = (TUNED, SHORT, EXACT, IMAGES)

COUNT = 256
"""Number of images that ship."""


def shipped_network(name: str) -> Network:
    """The network in the file `name`: TUNED, SHORT or EXACT."""
    with resources.as_file(resources.files("dscim.host") / "data" / name) as path:
        return load(path)


def shipped_images(count: int) -> tuple[Int8, Int64]:
    """The first `count` images (N, 28, 28, 1) int8, the network's input, and labels (N,).

    UserError if there are fewer, or if the file cannot be read.
    """
    with resources.as_file(resources.files("dscim.host") / "data" / IMAGES) as path:
        try:
            with np.load(path, allow_pickle=False) as archive:
                images, labels = archive["images"], archive["labels"]
        except OSError as error:
            raise UserError(
                f"The images '{path}' that ship with dscim cannot be read "
                f"({error.strerror}); install dscim again."
            ) from error
    if not 1 <= count <= len(images):
        raise UserError(f"{count} images are outside 1..{len(images)}, which ship with dscim.")
    return as_integers(images[:count]), labels[:count].astype(np.int64)


def as_integers(images: UInt8) -> Int8:
    """Pixels uint8 (N, 28, 28) as a network's input, int8 (N, 28, 28, 1)."""
    return (images ^ np.uint8(128)).view(np.int8)[..., None]


def write_images(data: Dataset, path: Path) -> None:
    """Writes the shipped file of images from Fashion-MNIST; equal data give equal bytes."""
    arrays = {
        "images": data.test_images[:COUNT, :, :, 0],
        "labels": data.test_labels[:COUNT].astype(np.uint8),
    }
    save_bytes(path, zip_arrays(arrays), parents=True)
