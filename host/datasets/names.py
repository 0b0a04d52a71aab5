"""The data sets by name."""

from collections.abc import Callable
from pathlib import Path

from dscim.host.datasets.cifar import cifar10
from dscim.host.datasets.dataset import Dataset
from dscim.host.datasets.idx import fashion_mnist, mnist
from dscim.host.errors import UserError

DATASETS: dict[str, Callable[[Path | None], Dataset]] = {
    "cifar10": cifar10,
    "fashion-mnist": fashion_mnist,
    "mnist": mnist,
}
"""A loader for each name: it takes the folder of the option, or None."""


def load(name: str, folder: Path | None = None) -> Dataset:
    """The data set `name`; UserError when there is no such one, or its files miss or are damaged.

    folder: where its files are; without it DSCIM_DATA says so.
    """
    if name not in DATASETS:
        raise UserError(f"there is no data set {name!r}; choose {', '.join(DATASETS)}.")
    return DATASETS[name](folder)
