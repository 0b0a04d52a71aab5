"""What switches in a macro of 128 x 32 while it multiplies the operands of a layer.

Each part of `dscim.host.fpga.cells.components` is synthesised to gates once, and simulated for all
its instances at once, on the bits that the contract defines. Energy is counted in toggled input
pins of gates (half of C V^2 each).
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8
from dscim.gateware.specs import ProductSpec
from dscim.host.golden.reference.operands import encode_activations, encode_weights

Bits = npt.NDArray[np.bool_]

LANES = 4
"""Lanes of a synthesised comparator and AND/OR part; more lanes take more instances."""

COPIES = 64

WIRE = 1.0
"""Wire capacitance of a net per pin that it drives, in pins: a model."""

CLOCK_PINS = 4
"""Pins that the clock of a flip-flop drives: a model."""


@dataclasses.dataclass(frozen=True, eq=False)
class Operands:
    """x (M, 128) and w (128, C) int8 of one row tile, and the zero point of x."""

    x: Int8
    w: Int8
    zero_point: int = 0


@dataclasses.dataclass
class Meter:
    """Pins toggled by component and by clocks, over all products."""

    pins: dict[str, float] = dataclasses.field(default_factory=dict)
    transistors: dict[str, int] = dataclasses.field(default_factory=dict)

    def run(
        self,
        component: str,
        instances: int,
        part: str,
        *arguments: int,
        steps: Iterable[Mapping[str, Bits]],
    ) -> list[dict[str, Bits]]:
        """Runs a part, and adds what it toggles; the values of its ports in every step.

        steps: values of input ports by name, (bits, instances) each. part: a class of `components`,
        made with `arguments`.
        """
        from dscim.host.fpga.cells.gates import Switching  # noqa: PLC0415 - Migen, slow to import

        nets = synthesised(part, *arguments)
        found, shown = Switching(nets, instances, WIRE), []
        for values in steps:
            ports = found.step(**{name: packed(bits) for name, bits in values.items()})
            shown.append({name: unpacked(nets, instances) for name, nets in ports.items()})
        whole = len(shown) / found.counted  # extrapolates to the steps that were not counted
        self.pins[component] = self.pins.get(component, 0) + whole * found.toggled
        self.pins["clock"] = self.pins.get("clock", 0) + whole * 2 * CLOCK_PINS * found.clocked
        self.transistors[component] = (
            self.transistors.get(component, 0) + instances * nets.transistors
        )
        return shown


@cache
def synthesised(part: str, *arguments: int) -> Any:
    """The netlist of a part of `components`."""
    from dscim.host.fpga.cells import components  # noqa: PLC0415 - Migen
    from dscim.host.fpga.cells.gates import netlist  # noqa: PLC0415 - Migen

    return netlist(getattr(components, part)(*arguments))


def packed(bits: Bits) -> list[int]:
    """(bits, instances) as an int for each bit, with instance 0 in its lowest bit."""
    return [
        int.from_bytes(row.tobytes(), "little")
        for row in np.packbits(bits, axis=1, bitorder="little")
    ]


def unpacked(nets: list[int], instances: int) -> Bits:
    """The inverse of `packed`."""
    size = -(-instances // 8)
    rows = [np.frombuffer(net.to_bytes(size, "little"), np.uint8) for net in nets]
    return np.unpackbits(np.array(rows), axis=1, count=instances, bitorder="little").astype(bool)


def bits_of(values: npt.NDArray[Any], width: int) -> Bits:
    """(width, ...) bits of integers, two's complement, the lowest first."""
    return (values[None] >> np.arange(width).reshape(-1, *[1] * values.ndim) & 1).astype(bool)


class Streams:
    """The bits that the contract defines for a tile's products, P = 64 points per cycle."""

    def __init__(self, spec: ProductSpec, operands: Operands) -> None:
        self.spec, self.count, self.cycles = spec, len(operands.x), spec.length // COPIES
        self.groups = operands.x.shape[1] // spec.or_width
        a, a_sign = encode_activations(operands.x, spec, operands.zero_point)
        w, w_sign = encode_weights(operands.w, spec)
        self.levels_a = a >> spec.operand_shift  # (M, R)
        self.levels_w = w >> spec.operand_shift  # (R, C)
        self.negative_a, self.negative_w = a_sign < 0, w_sign < 0
        self.points = spec.sequence.points(spec.length, spec.or_width).reshape(
            self.cycles, COPIES, 2
        )
        row = np.arange(operands.x.shape[1]) % spec.or_width
        self.regions = row // spec.root, row % spec.root

    def steps(self) -> Iterator[tuple[int, int]]:
        """Every (product, cycle), in order."""
        return ((m, c) for m in range(self.count) for c in range(self.cycles))

    def inside(self, axis: int, cycle: int) -> Bits:
        """(R, P): whether the point is in the row's region, on axis 0 (activations) or 1."""
        return self.regions[axis][:, None] == self.points[cycle, :, axis] // self.spec.side

    def within(self, axis: int, cycle: int) -> npt.NDArray[np.int64]:
        """(P,): the point's coordinate within its region, on axis 0 (activations) or 1."""
        return self.points[cycle, :, axis] % self.spec.side

    def x_a(self, m: int, cycle: int) -> Bits:
        """(R, P): the activations' bits of product m."""
        return self.inside(0, cycle) & (self.levels_a[m][:, None] > self.within(0, cycle))

    def x_w(self, cycle: int) -> Bits:
        """(R, C, P): the weights' bits."""
        return self.inside(1, cycle)[:, None] & (self.levels_w[:, :, None] > self.within(1, cycle))

    def negative(self, m: int) -> Bits:
        """(R, C): whether the product of activation and weight is negative."""
        return self.negative_a[m][:, None] ^ self.negative_w

    def trees(self, m: int, cycle: int) -> tuple[Bits, Bits]:
        """(groups, P, C): the OR trees of positive and of negative rows."""
        fired = self.x_a(m, cycle)[:, None] & self.x_w(cycle)
        sign = self.negative(m)[:, :, None]
        return self._any(fired & ~sign), self._any(fired & sign)

    def _any(self, fired: Bits) -> Bits:
        """(groups, P, C) of (R, C, P)."""
        groups = fired.reshape(self.groups, -1, *fired.shape[1:]).any(axis=1)
        return np.asarray(groups).transpose(0, 2, 1)
