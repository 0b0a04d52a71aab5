"""Quantised networks: the graph, its file, its integer evaluation."""

from dscim.host.network.evaluate import Evaluator, check_images, host_node, predictions, run
from dscim.host.network.file import file_hash, load, save
from dscim.host.network.graph import INPUT, Add, AveragePool, Conv, Network, Node

__all__ = ["INPUT", "Add", "AveragePool", "Conv", "Evaluator", "Network", "Node", "check_images",
           "file_hash", "host_node", "load", "predictions", "run", "save"]
