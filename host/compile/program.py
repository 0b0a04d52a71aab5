"""A program: the actions that a device takes for an image. It is the result of planning."""

from collections.abc import Iterator
from dataclasses import dataclass

from dscim.arrays import Words
from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.host.network import Network, Node, Weighted
from dscim.host.network.node import Shape


@dataclass(frozen=True, eq=False)
class Command:
    """One descriptor with its weights and parameters.

    fields: those of the descriptor; when it is placed, its weight_base and parameter_base are set.
    arrays: weights and parameters, or None. Commands with the same weights share one object.
    """

    fields: dict[str, int]
    arrays: "Arrays | None" = None


@dataclass(frozen=True, eq=False)
class Arrays:
    """Packed weights and parameters."""

    weights: Words
    parameters: Words


@dataclass(frozen=True, eq=False)
class Load:
    """Write weights, parameters and descriptors, each from the start of its memory."""

    weights: Words
    parameters: Words
    descriptors: Words

    @property
    def bytes(self) -> int:
        """Bytes that cross the link."""
        return 4 * (len(self.weights) + len(self.parameters) + len(self.descriptors))


@dataclass(frozen=True)
class Write:
    """Write rows first..last-1 of the host's `tensor` to the activation memory at row `base`.

    shape: that of the whole tensor in the memory, if it is another than the network's.
    rows_for: the layer for which its windows' rows are laid out, see `dscim.host.compile.rows`.
    """

    tensor: str
    base: int
    first: int
    last: int
    shape: Shape | None = None
    rows_for: LayerSpec | None = None


@dataclass(frozen=True)
class Run:
    """Run `count` descriptors from `first` on.

    aside: run for comparison only; its cycles do not count as the network's.
    """

    first: int
    count: int
    aside: bool = False


@dataclass(frozen=True)
class Read:
    """Read rows first..last-1 of `tensor` from the activation memory at row `base`."""

    tensor: str
    base: int
    first: int
    last: int


@dataclass(frozen=True)
class Compute:
    """The host computes `node`, for which the device has no operation."""

    node: Node


@dataclass(frozen=True)
class Multiply:
    """The host unrolls the windows of `node`, the device multiplies, and the host adds up.

    Used when descriptors cannot compute it: its weights or tensors do not fit the memories, or its
    windows not the places of an ordered macro. Overwrites all memories.
    """

    node: Weighted


Action = Load | Write | Run | Read | Compute | Multiply


@dataclass(frozen=True, eq=False)
class Stage:
    """All actions for one node, in order."""

    node: Node
    actions: list[Action]


@dataclass(frozen=True, eq=False)
class Program:
    """A network prepared for a device.

    stages:  for one image, one per node, in the network's order.
    watched: whether every node's output is read.
    strips:  by name of node, the number of strips in which it runs because its tensors do not fit
             the memory at once.
    added:   by name of a product, the add that runs with it; the add's own stage runs nothing.
             If the product's output is read, it also runs aside.
    by_rows: by name of a product, the layer that it runs as because its input is laid out by rows.
    """

    network: Network
    arithmetic: ProductSpec
    spec: SocSpec
    watched: bool
    stages: tuple[Stage, ...]
    strips: dict[str, int]
    added: dict[str, str]
    by_rows: dict[str, LayerSpec]

    @property
    def actions(self) -> Iterator[Action]:
        """All actions for one image, in order."""
        return (action for stage in self.stages for action in stage.actions)

    @property
    def loads(self) -> list[Load]:
        """The loads of weights, parameters and descriptors, in order."""
        return [action for action in self.actions if isinstance(action, Load)]

    @property
    def resident(self) -> bool:
        """True if all weights fit the device at once; they are then loaded once for all images."""
        return len(self.loads) <= 1 and not any(
            isinstance(action, Multiply) for action in self.actions
        )

    @property
    def on_host(self) -> frozenset[str]:
        """Names of the nodes that the host computes."""
        return frozenset(action.node.name for action in self.actions if isinstance(action, Compute))
