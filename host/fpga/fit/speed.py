"""The speed of a network on a device: cycles of every layer, from the engine's cycle model."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.host.compile import Load, Multiply, Program, Read, Write, plan
from dscim.host.compile.cycles import add_cycles, pool_cycles, product_cycles
from dscim.host.compile.strips import strips
from dscim.host.network import (
    ON_HOST,
    Add,
    AveragePool,
    Conv,
    Depthwise,
    MaxPool,
    Mean,
    Network,
    Node,
    Pad,
    Requantise,
    Reshape,
    Softmax,
    Weighted,
)
from dscim.host.network.node import ByKind, Padding, Shape


@dataclasses.dataclass(frozen=True)
class LayerSpeed:
    """The speed of one node.

    cycles: busy cycles of the engine per image; 0 if `place` names what computes it instead, None
    if the host adds up partial products. strips: the number of strips, 1 if it fits as a whole.
    """

    name: str
    kind: str
    output: Shape
    cycles: int | None
    strips: int
    place: str = ""


@dataclasses.dataclass(frozen=True)
class Speed:
    """A network on a device.

    resident: all weights are in the device at once, so only tensors cross the link.
    link_bytes: bytes that cross the link per image.
    """

    layers: tuple[LayerSpeed, ...]
    resident: bool
    link_bytes: int

    @property
    def cycles(self) -> int | None:
        """Busy cycles per image; None if those of a layer are not known."""
        known = [layer.cycles for layer in self.layers if layer.cycles is not None]
        return sum(known) if len(known) == len(self.layers) else None

    @property
    def by_kind(self) -> dict[str, int]:
        """Busy cycles of the layers of each kind that takes any, the largest first."""
        kinds: Counter[str] = Counter()
        for layer in self.layers:
            kinds[layer.kind] += layer.cycles or 0
        return {kind: cycles for kind, cycles in kinds.most_common() if cycles}


def network_speed(network: Network, arithmetic: ProductSpec, spec: SocSpec) -> Speed:
    """What the cycle model predicts; UserError or SpecError if the network cannot run at all."""
    program = plan(network, arithmetic, spec)
    shapes = network.shapes()
    partial = {action.node.name for action in program.actions if isinstance(action, Multiply)}
    specs = {node.name: layer for node, layer in network.layers(arithmetic)} | program.by_rows
    layers = []
    elsewhere = {name: "on the host" for name in program.on_host} | {
        add: f"by {product}" for product, add in program.added.items()
    }
    for node in network.nodes:
        shape = shapes[node.inputs[0]]
        count = program.strips.get(node.name, 1)
        cycles: int | None = 0
        if node.name in partial:
            cycles = None
        elif node.name in program.by_rows and node.name not in program.added:
            cycles = product_cycles(spec, specs[node.name])
        elif node.name in program.added:
            cycles = product_cycles(spec, specs[node.name], residual=True)
        elif node.name not in elsewhere:
            parts = (
                [(part.node, (len(part.input), *shape[1:])) for part in strips(node, shape, spec)]
                if count > 1
                else [(node, shape)]
            )
            cycles = sum(_cycles(spec, arithmetic, *part) for part in parts)
        layers.append(
            LayerSpeed(
                node.name,
                type(node).__name__,
                shapes[node.name],
                cycles,
                count,
                elsewhere.get(node.name, ""),
            )
        )
    return Speed(tuple(layers), program.resident, sum(_crossing(program)))


def _crossing(program: Program) -> Iterable[int]:
    """The bytes that each action transfers per image."""
    shapes = program.network.shapes()
    for action in program.actions:
        if isinstance(action, Write | Read):
            _, width, channels = shapes[action.tensor]
            rows = action.rows_for if isinstance(action, Write) else None
            if rows is not None:
                width, channels = rows.output[1], rows.kernel[1] * channels
            yield (action.last - action.first) * width * -(-channels // 8) * 8
        if isinstance(action, Load) and not program.resident:
            yield action.bytes


def _product(spec: SocSpec, arithmetic: ProductSpec, node: Weighted, shape: Shape) -> int:
    return product_cycles(spec, node.layer(shape, arithmetic))


def _add(spec: SocSpec, arithmetic: ProductSpec, node: Add, shape: Shape) -> int:
    return add_cycles(spec, _window(shape, (1, 1)))


def _values(spec: SocSpec, arithmetic: ProductSpec, node: Requantise, shape: Shape) -> int:
    return pool_cycles(spec, _window(shape, (1, 1)))


def _mean(spec: SocSpec, arithmetic: ProductSpec, node: Mean, shape: Shape) -> int:
    return pool_cycles(spec, _window(shape, shape[:2]))


def _average_pool(spec: SocSpec, arithmetic: ProductSpec, node: AveragePool, shape: Shape) -> int:
    window = _window(shape, node.kernel, node.stride, node.padding)
    return pool_cycles(spec, window, averages=True)


def _max_pool(spec: SocSpec, arithmetic: ProductSpec, node: MaxPool, shape: Shape) -> int:
    return pool_cycles(spec, _window(shape, node.kernel, node.stride, node.padding))


CYCLES: ByKind[Callable[[SocSpec, ProductSpec, Any, Shape], int] | None] = {
    Conv: _product,
    Depthwise: _product,
    Add: _add,
    AveragePool: _average_pool,
    MaxPool: _max_pool,
    Mean: _mean,
    Requantise: _values,
    Pad: None,
    Reshape: None,
    Softmax: None,
    **dict.fromkeys(ON_HOST),
}
"""Busy cycles of each kind of node with all tensors in the device; None: it runs on the host."""


def _cycles(spec: SocSpec, arithmetic: ProductSpec, node: Node, shape: Shape) -> int:
    """Busy cycles of a node on inputs of `shape`."""
    count = CYCLES[type(node)]
    assert count is not None, "nodes on the host take no cycles of the engine"
    return count(spec, arithmetic, node, shape)


def _window(
    shape: Shape,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: Padding = ((0, 0), (0, 0)),
) -> LayerSpec:
    return LayerSpec(shape, shape[2], kernel, stride, padding, depthwise=True)
