"""The list of all kinds of nodes. Add new kinds here; tests name the tables that lack them."""

from dscim.host.network.lookup import Combine, Lookup
from dscim.host.network.moves import Concat, Select, Transpose
from dscim.host.network.node import Node
from dscim.host.network.plain import Add, Pad, Requantise, Reshape
from dscim.host.network.pools import AveragePool, MaxPool, Mean
from dscim.host.network.reduce import Extreme, Sum
from dscim.host.network.softmax import IntegerSoftmax, LogSoftmax, Softmax
from dscim.host.network.weighted import Conv, Depthwise

ON_HOST: tuple[type[Node], ...] = (
    Combine,
    Concat,
    Extreme,
    IntegerSoftmax,
    LogSoftmax,
    Lookup,
    Select,
    Sum,
    Transpose,
)
"""The kinds that only the host computes: for tables that treat all of them alike."""

KINDS: dict[str, type[Node]] = {
    kind.__name__: kind
    for kind in (
        Conv,
        Depthwise,
        Add,
        AveragePool,
        MaxPool,
        Mean,
        Pad,
        Requantise,
        Reshape,
        Softmax,
        *ON_HOST,
    )
}
"""Every kind of node, by its name in a network file."""
