"""How fast a network is on a device: cycles of every layer, from the engine's cycle model."""

import dataclasses
from collections.abc import Iterable

from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.host.compile import Load, Multiply, Program, Read, Write, plan
from dscim.host.compile.cycles import add_cycles, pool_cycles, product_cycles
from dscim.host.compile.strips import strips
from dscim.host.network import Add, AveragePool, Conv, Depthwise, Mean, Network, Node
from dscim.host.network.node import Shape


@dataclasses.dataclass(frozen=True)
class LayerSpeed:
    """cycles: that the engine is busy with a node for one image; 0 where `place` says who computes
    it instead, None where the host adds up pieces. strips: in which it runs, 1 where it fits as a
    whole."""

    name: str
    kind: str
    output: Shape
    cycles: int | None
    strips: int
    place: str = ""


@dataclasses.dataclass(frozen=True)
class Speed:
    """A network on a device.

    resident: all weights are in the device at once, so that images alone cross the link.
    link_bytes: that cross the link for an image.
    """

    layers: tuple[LayerSpeed, ...]
    resident: bool
    link_bytes: int

    @property
    def cycles(self) -> int | None:
        """Busy cycles of an image; None where a layer's are not known."""
        known = [layer.cycles for layer in self.layers if layer.cycles is not None]
        return sum(known) if len(known) == len(self.layers) else None


def network_speed(network: Network, arithmetic: ProductSpec, spec: SocSpec) -> Speed:
    """What the cycle model says of `network`; UserError or SpecError where it cannot run at all."""
    program = plan(network, arithmetic, spec)
    shapes = network.shapes()
    pieces = {action.node.name for action in program.actions if isinstance(action, Multiply)}
    layers = []
    elsewhere = {name: "on the host" for name in program.on_host} | {
        add: f"by {product}" for product, add in program.added.items()
    }
    for node in network.nodes:
        shape = shapes[node.inputs[0]]
        count = program.strips.get(node.name, 1)
        cycles: int | None = 0
        if node.name in pieces:
            cycles = None
        elif node.name in program.added:
            assert isinstance(node, Conv | Depthwise)
            cycles = product_cycles(spec, node.layer(shape, arithmetic), residual=True)
        elif node.name not in elsewhere:
            parts = (
                [
                    (part.node, (len(part.input), *shape[1:]))
                    for part in strips(node, shape, spec.activation_words)
                ]
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
    """Bytes of every action that an image needs."""
    shapes = program.network.shapes()
    for action in program.actions:
        if isinstance(action, Write | Read):
            _, width, channels = shapes[action.tensor]
            yield (action.last - action.first) * width * -(-channels // 8) * 8
        if isinstance(action, Load) and not program.resident:
            yield action.bytes


def _cycles(spec: SocSpec, arithmetic: ProductSpec, node: Node, shape: Shape) -> int:
    """Busy cycles of a node whose tensors are in the device."""
    if isinstance(node, Conv | Depthwise):
        return product_cycles(spec, node.layer(shape, arithmetic))
    if isinstance(node, Add):
        return add_cycles(spec, _window(shape, (1, 1)))
    if isinstance(node, Mean):
        return pool_cycles(spec, _window(shape, shape[:2]))
    kernel = getattr(node, "kernel", (1, 1))
    stride, padding = getattr(node, "stride", (1, 1)), getattr(node, "padding", ((0, 0), (0, 0)))
    layer = LayerSpec(shape, shape[2], kernel, stride, padding, depthwise=True)
    return pool_cycles(spec, layer, averages=isinstance(node, AveragePool))


def _window(shape: Shape, kernel: tuple[int, int]) -> LayerSpec:
    return LayerSpec(shape, shape[2], kernel, depthwise=True)
