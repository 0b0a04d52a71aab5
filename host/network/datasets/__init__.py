"""Labelled images from files, as numpy arrays: data sets by name, located and checked."""

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
"""A loader for each name whose images have a size of their own; it takes the option's folder."""

FOLDER = "folder"
"""The name of the data set whose images are scaled to the network's size."""

NAMES = (*DATASETS, FOLDER)


def load(
    name: str, folder: Path | None = None, shape: tuple[int, int, int] = (224, 224, 3)
) -> Dataset:
    """The data set `name`; UserError when there is no such one, or its files miss or are damaged.

    folder: where its files are; without it DSCIM_DATA says so. shape: (H, W, C) that images of
    a plain folder are scaled and cropped to.
    """
    if name == FOLDER:
        return image_folder(folder, shape)
    if name not in DATASETS:
        raise UserError(f"there is no data set {name!r}; choose {', '.join(NAMES)}.")
    return DATASETS[name](folder)
