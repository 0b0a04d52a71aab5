"""Labelled images from files, as numpy arrays: the usual layouts, located and checked."""

from dscim.host.datasets.dataset import Dataset
from dscim.host.datasets.names import DATASETS, load

__all__ = ["DATASETS", "Dataset", "load"]
