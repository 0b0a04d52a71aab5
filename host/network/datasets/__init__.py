"""Finds data sets by name, and loads their labelled images as checked numpy arrays."""

from collections.abc import Callable
from pathlib import Path

from dscim.errors import UserError
from dscim.host.network.datasets.cifar import cifar10
from dscim.host.network.datasets.dataset import Dataset
from dscim.host.network.datasets.folder import image_folder
from dscim.host.network.datasets.idx import fashion_mnist, mnist

__all__ = ["FOLDER", "NAMES", "Dataset", "load"]

DATASETS: dict[str, Callable[[Path | None], Dataset]] = {
    "cifar10": cifar10,
    "fashion-mnist": fashion_mnist,
    "mnist": mnist,
}
"""The loaders of data sets with a fixed image size, by name; they take the folder, or None."""

FOLDER = "folder"
"""The name for a folder of images, which are scaled to the network's size."""

NAMES = (*DATASETS, FOLDER)


def load(
    name: str, folder: Path | None = None, shape: tuple[int, int, int] = (224, 224, 3)
) -> Dataset:
    """The data set `name`; UserError if it is unknown, or if its files are missing or damaged.

    folder: the folder of its files; by default see `locate`. shape: (H, W, C) to which the images
    of a plain folder are scaled and cropped.
    """
    if name == FOLDER:
        return image_folder(folder, shape)
    if name not in DATASETS:
        raise UserError(f"there is no data set {name!r}; choose {', '.join(NAMES)}.")
    return DATASETS[name](folder)
