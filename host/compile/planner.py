"""Planning: the places of tensors and the actions of the device, node by node."""

from collections import Counter

from dscim.errors import UserError
from dscim.gateware import descriptor
from dscim.gateware.layout import tensor_rows
from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.host.compile.descriptors import Bases
from dscim.host.compile.lower import LOWERINGS, Lowering
from dscim.host.compile.memories import Segment, Space
from dscim.host.compile.products import (
    MAX_CHANNELS,
    column_groups,
    depthwise_groups,
    describable,
    memory_shape,
    viewed,
)
from dscim.host.compile.program import (
    Action,
    Command,
    Compute,
    Multiply,
    Program,
    Read,
    Run,
    Stage,
    Write,
)
from dscim.host.compile.rows import with_rows
from dscim.host.compile.strips import Strip, strips
from dscim.host.network import INPUT, Add, Conv, Network, Node, Weighted
from dscim.host.network.node import Shape


def plan(
    network: Network, arithmetic: ProductSpec, spec: SocSpec, *, watched: bool = False
) -> Program:
    """The program with which a device of `spec` computes an image of `network` in `arithmetic`.

    watched: whether the output of every node is read, not only that of the last one.
    Raises UserError or SpecError if the network cannot run even when it is split.
    """
    planner = _Planner(network, arithmetic, spec, watched)
    for place, node in enumerate(network.nodes):
        planner.add(node)
        planner.forget(network.nodes[place + 1 :])
    planner.close_segment()
    return Program(
        network,
        arithmetic,
        spec,
        watched,
        tuple(planner.stages),
        planner.strips,
        planner.added,
        planner.by_rows,
    )


def residuals(network: Network) -> dict[str, Add]:
    """Residual additions that need no separate pass, by the name of the product.

    The product's drain does the add. The product is the later of the add's inputs and has no other
    reader, so the other input exists when it runs. An add whose sums exceed 32 bits is left out;
    lowering it raises the error.
    """
    places = {node.name: place for place, node in enumerate(network.nodes)}
    readers = Counter(name for node in network.nodes for name in node.inputs)
    products = {node.name for node in network.nodes_of(Weighted)}
    additions = {}
    for add in network.nodes_of(Add):
        last = max(add.inputs, key=lambda name: places.get(name, -1))
        widest = add.left_shift + max(0, *add.shifts[:2])
        if last in products and readers[last] == 1 and widest <= descriptor.MAX_WIDENING:
            additions[last] = add
    return additions


def layer_by_rows(network: Network, arithmetic: ProductSpec, spec: SocSpec) -> LayerSpec | None:
    """The layer that reads the network's input, if only one does and it can have it by rows."""
    readers = [node for node in network.nodes if INPUT in node.inputs]
    if len(readers) != 1 or not isinstance(readers[0], Conv):
        return None
    layer = readers[0].layer(network.shape, arithmetic)
    usual = viewed(layer) == layer and describable(spec, layer) and column_groups(spec, layer)
    return layer if usual and with_rows(spec, layer) else None


class _Planner:
    """The state between two nodes: the places of tensors, and the segment that is being filled."""

    def __init__(
        self, network: Network, arithmetic: ProductSpec, spec: SocSpec, watched: bool
    ) -> None:
        self.stages: list[Stage] = []
        self.strips: dict[str, int] = {}
        self._arithmetic, self._spec = arithmetic, spec
        self._lowering = Lowering(arithmetic, spec)
        self._shapes = network.shapes()
        self._kept = {node.name for node in network.nodes} if watched else {network.nodes[-1].name}
        self._residuals = residuals(network)
        self._products = {node.name: node for node in network.nodes_of(Weighted)}
        self.added: dict[str, str] = {}
        self.by_rows: dict[str, LayerSpec] = {}
        self._first = layer_by_rows(network, arithmetic, spec)
        self._space = Space(spec.activation_rows)
        self._on_device: dict[str, int] = {}
        self._on_host = {INPUT}
        self._segment = Segment(spec)
        self._begins: tuple[int, int] = (0, 0)

    def add(self, node: Node) -> None:
        """Plans `node`, whose inputs are on the device or on the host."""
        self.stages.append(Stage(node, []))
        shape = self._shapes[node.inputs[0]]
        product = self._products.get(node.name)
        widest = max(shape[2], self._shapes[node.name][2])
        if LOWERINGS[type(node)] is None or (product is None and widest > MAX_CHANNELS):
            self._read(node.inputs)
            self._actions.append(Compute(node))
            self._on_host.add(node.name)
        elif product is not None and not self._describable(product, shape):
            self._multiply(product)
        elif node.name in self.added.values():
            pass  # done by its product's drain
        elif self._run_added(node):
            pass
        elif self._make_room(node.inputs, (node.name,)):
            self._run_whole(node)
        elif not self._run_strips(node):
            if product is None:
                raise UserError(
                    f"node {node.name!r} needs more than the {self._spec.activation_rows} rows of "
                    "activation memory for a single row of its output; build a device with more."
                )
            self._multiply(product)
        if node.name in self._kept:
            self._read([node.name])

    def forget(self, later: tuple[Node, ...]) -> None:
        """Releases the tensors that no node of `later` reads."""
        needed = {name for node in later for name in (node.name, *node.inputs)}
        for name in [name for name in self._on_device if name not in needed]:
            self._space.release(self._on_device.pop(name))
        self._on_host &= needed

    def close_segment(self) -> None:
        """Inserts the segment's load before the actions that need it, and begins a new segment."""
        if self._segment.descriptors:
            stage, place = self._begins
            self.stages[stage].actions.insert(place, self._segment.load())
        self._segment = Segment(self._spec)
        self._begins = len(self.stages) - 1, len(self._actions)

    @property
    def _actions(self) -> list[Action]:
        """The actions of the node that is being planned."""
        return self.stages[-1].actions

    def _make_room(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> bool:
        """Brings the inputs to the device and makes room for the outputs; False if it cannot."""
        if self._place(inputs, outputs):
            return True
        others = [name for name in self._on_device if name not in inputs]
        self._evict(others)
        if others and self._place(inputs, outputs):
            return True
        self._evict(list(self._on_device))
        return self._place(inputs, outputs)

    def _place(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> bool:
        """As `_make_room`, but without moving other tensors; changes nothing when it fails."""
        new = [name for name in dict.fromkeys((*inputs, *outputs)) if name not in self._on_device]
        taken: dict[str, int] = {}
        for name in new:
            base = self._space.take(self._rows(name))
            if base is None:
                for start in taken.values():
                    self._space.release(start)
                return False
            taken[name] = base
        for name, base in taken.items():
            self._on_device[name] = base
            if name not in outputs:
                shape, view = self._shapes[name], self._shape(name)
                rows_for = self._first if name == INPUT else None
                seen = None if rows_for or view == shape else view
                self._actions.append(Write(name, base, 0, shape[0], seen, rows_for))
        return True

    def _rows(self, name: str) -> int:
        """Rows of the activation memory of a tensor."""
        return tensor_rows(self._shape(name), self._spec.banks)

    def _shape(self, name: str) -> Shape:
        """The shape in which a tensor lies in the activation memory."""
        if name == INPUT and self._first:
            rows = with_rows(self._spec, self._first)
            assert rows is not None
            return rows.input
        return memory_shape(self._shapes[name])

    def _describable(self, node: Weighted, shape: Shape) -> bool:
        """Whether descriptors can compute `node` and its weights fit the memory."""
        layer = viewed(node.layer(shape, self._arithmetic))
        groups = depthwise_groups if layer.depthwise else column_groups
        return describable(self._spec, layer) and bool(groups(self._spec, layer))

    def _evict(self, names: list[str]) -> None:
        """Moves tensors from the device to the host."""
        self._read(names)
        for name in names:
            self._space.release(self._on_device.pop(name))

    def _read(self, names: tuple[str, ...] | list[str]) -> None:
        """Copies tensors to the host, unless it already has them."""
        for name in dict.fromkeys(names):
            if name not in self._on_host:
                base = self._on_device[name]
                self._actions.append(Read(name, base, 0, self._shapes[name][0]))
                self._on_host.add(name)

    def _run_added(self, node: Node) -> bool:
        """Runs a product with its residual addition; False if it has none, or if there is no room.

        A watched product runs once more without the addition.
        """
        add = self._residuals.get(node.name)
        if add is None:
            return False
        other = add.inputs[1 - add.inputs.index(node.name)]
        watched = node.name in self._kept
        outputs = (add.name, node.name) if watched else (add.name,)
        needed = sum(map(self._rows, {*node.inputs, other, *outputs}))
        if needed > self._spec.activation_rows or not self._make_room(
            (*node.inputs, other), outputs
        ):
            return False
        shape, place = self._shapes[node.inputs[0]], self._on_device
        bases = Bases(place[node.inputs[0]], place[add.name], place[other])
        by_rows = self._by_rows(node)
        self._run(node, self._lowering.commands(node, shape, bases, add, by_rows))
        self.added[node.name] = add.name
        if watched:
            bases = Bases(place[node.inputs[0]], place[node.name])
            commands = self._lowering.commands(node, shape, bases, by_rows=by_rows)
            self._run(node, commands, aside=True)
        return True

    def _by_rows(self, node: Node) -> LayerSpec | None:
        """The layer that `node` runs as on the network's input by rows; None otherwise."""
        if self._first and INPUT in node.inputs:
            rows = with_rows(self._spec, self._first)
            assert rows is not None
            return self.by_rows.setdefault(node.name, rows)
        return None

    def _run_whole(self, node: Node) -> None:
        bases = Bases(
            self._on_device[node.inputs[0]],
            self._on_device[node.name],
            self._on_device[node.inputs[-1]],
        )
        shape = self._shapes[node.inputs[0]]
        commands = self._lowering.commands(node, shape, bases, by_rows=self._by_rows(node))
        self._run(node, commands)

    def _run_strips(self, node: Node) -> bool:
        """Runs strip by strip, each written from the host and read back; False if none fits.

        All of the activation memory is free.
        """
        shape = self._shapes[node.inputs[0]]
        parts = strips(node, shape, self._spec) if shape[2] <= MAX_CHANNELS else []
        if not parts:
            return False
        self.strips[node.name] = len(parts)
        for part in parts:
            self._run_strip(node, shape, part)
        self._on_host.add(node.name)
        return True

    def _run_strip(self, node: Node, shape: tuple[int, int, int], part: Strip) -> None:
        height = len(part.input)
        size = tensor_rows((height, *shape[1:]), self._spec.banks)
        names = list(dict.fromkeys(node.inputs))
        bases = Bases(0, size * len(names), size * (len(names) - 1))
        for place, name in enumerate(names):
            self._actions.append(Write(name, size * place, part.input.start, part.input.stop))
        self._run(node, self._lowering.commands(part.node, (height, *shape[1:]), bases))
        self._actions.append(Read(node.name, bases.output, part.output.start, part.output.stop))

    def _multiply(self, node: Weighted) -> None:
        """Plans a product that descriptors cannot compute; see `Multiply`."""
        self._evict(list(self._on_device))
        self.close_segment()
        self._actions.append(Multiply(node))
        self._on_host.add(node.name)
        self._begins = len(self.stages) - 1, len(self._actions)

    def _run(self, node: Node, commands: list[Command], aside: bool = False) -> None:
        """Runs commands in as few starts as the segments allow. aside: see `Run`."""
        first, count = 0, 0
        for command in commands:
            place = self._segment.place(command)
            if place is None:
                if count:
                    self._actions.append(Run(first, count, aside))
                self.close_segment()
                count, place = 0, self._segment.place(command)
                if place is None:
                    raise UserError(
                        f"node {node.name!r} does not fit the device's memories; "
                        "build a device with more."
                    )
            first = first if count else place
            count += 1
        self._actions.append(Run(first, count, aside))
