"""Which additions a product's drain does: residual connections without a pass of their own."""

from dscim.gateware import descriptor
from dscim.host.network import Add, Network, Node
from dscim.host.network.weighted import Weighted


def residuals(network: Network) -> dict[str, Add]:
    """By the name of a product, the add that its drain can do.

    The product is the later one of the add's inputs, and nothing else takes its output; so the
    other input is there when it runs.
    """
    places = {node.name: place for place, node in enumerate(network.nodes)}
    found = {}
    for node in network.nodes:
        if not isinstance(node, Add) or not _fits(node):
            continue
        last = max(node.inputs, key=lambda name: places.get(name, -1))
        if (
            last in places
            and isinstance(network.nodes[places[last]], Weighted)
            and _takers(network, last) == 1
        ):
            found[last] = node
    return found


def other_input(add: Add, product: str) -> str:
    """The name of the add's input that is not `product`."""
    return add.inputs[1 - add.inputs.index(product)]


def _takers(network: Network, name: str) -> int:
    """How often nodes take the output of this name."""
    return sum(node.inputs.count(name) for node in network.nodes)


def _fits(add: Node) -> bool:
    """Its sums stay in 32 bits; one that does not is refused where it runs."""
    assert isinstance(add, Add)
    return add.left_shift + max(0, *add.shifts[:2]) <= descriptor.MOST_WIDENING
