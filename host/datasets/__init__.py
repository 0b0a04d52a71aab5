"""Labelled images from files, as numpy arrays: the usual layouts, located and checked."""

from dscim.host.datasets.dataset import Dataset
from dscim.host.datasets.names import NAMES, load

__all__ = ["NAMES", "Dataset", "load"]
