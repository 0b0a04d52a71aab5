"""Labelled images from files, as numpy arrays: the usual layouts, located and checked."""

from dscim.host.network.datasets.dataset import Dataset
from dscim.host.network.datasets.names import FOLDER, NAMES, load

__all__ = ["FOLDER", "NAMES", "Dataset", "load"]
