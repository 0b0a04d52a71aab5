"""Quantised networks: the graph, its file and its evaluation in integers."""

from dscim.host.network.evaluate import Evaluator, check_images, host_node, predictions, run
from dscim.host.network.file import file_hash, load, save
from dscim.host.network.lookup import Combine, Lookup
from dscim.host.network.moves import Concat, Select, Transpose
from dscim.host.network.network import Network
from dscim.host.network.node import INPUT, Node, Shape
from dscim.host.network.nodes import KINDS, ON_HOST
from dscim.host.network.plain import Add, Pad, Requantise, Reshape
from dscim.host.network.pools import AveragePool, MaxPool, Mean
from dscim.host.network.reduce import Extreme, Sum
from dscim.host.network.softmax import IntegerSoftmax, LogSoftmax, Softmax
from dscim.host.network.weighted import Conv, Depthwise, Weighted

__all__ = [
    "INPUT",
    "KINDS",
    "ON_HOST",
    "Add",
    "AveragePool",
    "Combine",
    "Concat",
    "Conv",
    "Depthwise",
    "Evaluator",
    "Extreme",
    "IntegerSoftmax",
    "LogSoftmax",
    "Lookup",
    "MaxPool",
    "Mean",
    "Network",
    "Node",
    "Pad",
    "Requantise",
    "Reshape",
    "Select",
    "Shape",
    "Softmax",
    "Sum",
    "Transpose",
    "Weighted",
    "check_images",
    "file_hash",
    "host_node",
    "load",
    "predictions",
    "run",
    "save",
]
