"""What ships with the package: trained networks and labelled images."""

from importlib import resources

import numpy as np
import numpy.typing as npt

from dscim.errors import UserError
from dscim.host.network import Network, load
from dscim.host.network.test_images import as_integers

TUNED = "fashion-resnet8.npz"
"""A residual network for Fashion-MNIST, fine-tuned for ds-cim1 at L = 256."""

EXACT = "fashion-resnet8-int8.npz"
"""The INT8 network that it was fine-tuned from, for the exact product."""

IMAGES = "fashion-images.npz"
FILES = (TUNED, EXACT, IMAGES)


def shipped_network(name: str) -> Network:
    """The network in the file `name`, TUNED or EXACT."""
    with resources.as_file(resources.files("dscim.host") / "data" / name) as path:
        return load(path)


def shipped_images(count: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """The first `count` images (N, 28, 28, 1) int8, the network's input, and labels (N,).

    UserError when there are not so many.
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
