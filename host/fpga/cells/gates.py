"""A part as a netlist of static CMOS gates, and what switches in it.

Zero delay: each net changes at most once a cycle, so glitches, which long chains of exclusive ORs
have most, are left out.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from dscim.host.fpga.cells.components import Part
from dscim.host.fpga.cells.synthesis import synthesised

PINS = {
    "$_NOT_": "A",
    "$_NAND_": "AB",
    "$_NOR_": "AB",
    "$_AOI3_": "ABC",
    "$_OAI3_": "ABC",
    "$_AOI4_": "ABCD",
    "$_OAI4_": "ABCD",
}
REGISTER, REGISTER_TRANSISTORS = "$_DFF_P_", 16

WARM_UP = 3
"""Steps until registers hold what a running part holds: they begin at 0 and lie in pairs."""

LOW, HIGH = 0, 1
"""The nets of constants; others are 2 and up, as Yosys numbers them."""

Gate = tuple[str, tuple[int, ...], int]
"""Kind, nets of its pins, net of its output."""


@dataclasses.dataclass(frozen=True, eq=False)
class Netlist:
    """gates: in an order in which inputs are known; registers: (d, q); ports: nets by name."""

    gates: tuple[Gate, ...]
    registers: tuple[tuple[int, int], ...]
    ports: Mapping[str, tuple[int, ...]]

    @property
    def transistors(self) -> int:
        """Of static gates, two a pin, and flip-flops of 16."""
        return sum(2 * len(pins) for _, pins, _ in self.gates) + REGISTER_TRANSISTORS * len(
            self.registers
        )

    def capacitances(self, wire: float) -> dict[int, float]:
        """Of each net, in input pins of a gate: 1 where it is driven, 1 + wire for each pin."""
        found: dict[int, float] = {}
        for _, pins, output in self.gates:
            found[output] = found.get(output, 0.0) + 1
            for net in pins:
                found[net] = found.get(net, 0.0) + 1 + wire
        for d, q in self.registers:
            found[q] = found.get(q, 0.0) + 1
            found[d] = found.get(d, 0.0) + 1 + wire
        return found


def netlist(part: Part) -> Netlist:
    """The part by Yosys; FileNotFoundError without it."""
    script = (
        f"dfflegalize -cell {REGISTER} 01; opt_clean; abc -g cmos4; opt_clean; write_json {{OUT}}"
    )
    return _read(json.loads(synthesised(part, script))["modules"]["part"])


def _read(module: dict[str, Any]) -> Netlist:
    gates, registers = [], []
    for cell in module["cells"].values():
        nets = {pin: _net(bits[0]) for pin, bits in cell["connections"].items()}
        if cell["type"] == REGISTER:
            registers.append((nets["D"], nets["Q"]))
        else:
            gates.append((cell["type"], tuple(nets[pin] for pin in PINS[cell["type"]]), nets["Y"]))
    ports = {name: tuple(map(_net, port["bits"])) for name, port in module["ports"].items()}
    return Netlist(_ordered(gates), tuple(registers), ports)


def _net(bit: int | str) -> int:
    """Constants come as "0", "1" and "x"."""
    return bit if isinstance(bit, int) else HIGH if bit == "1" else LOW


def _ordered(gates: Sequence[Gate]) -> tuple[Gate, ...]:
    """The gates, each behind those that drive it."""
    driver = {gate[2]: gate for gate in gates}
    done: dict[int, Gate] = {}
    stack = list(gates)[::-1]
    while stack:
        gate = stack[-1]
        waiting = [driver[net] for net in gate[1] if net in driver and net not in done]
        if gate[2] in done or not waiting:
            done[gate[2]] = stack.pop()
        else:
            stack += waiting
    return tuple(done.values())


class Switching:
    """Runs a netlist for many instances at once: a net is an int with one bit for each.

    Of all steps but the first WARM_UP, `counted` in number, toggled: capacitance that changed its
    value, in pins; clocked: registers, times the steps.
    """

    def __init__(self, nets: Netlist, instances: int, wire: float) -> None:
        self._nets, self._instances = nets, instances
        self._mask = (1 << instances) - 1
        self._values = {LOW: 0, HIGH: self._mask}
        self._capacitances = nets.capacitances(wire)
        self.toggled, self.clocked, self.counted = 0.0, 0, -WARM_UP

    def step(self, **inputs: Sequence[int]) -> dict[str, list[int]]:
        """A cycle: registers take their inputs, then `inputs`, a net's value for each bit of a
        port, and all gates. The ports' values; those of inputs that were left out stay."""
        old, new = self._values, dict(self._values)
        for d, q in self._nets.registers:
            new[q] = old.get(d, 0)
        for name, values in inputs.items():
            new.update(zip(self._nets.ports[name], values, strict=True))
        for kind, pins, output in self._nets.gates:
            new[output] = _evaluated(kind, [new.get(net, 0) for net in pins], self._mask)
        self._values = new
        if self.counted >= 0:
            self.toggled += sum(
                weight * (new.get(net, 0) ^ old.get(net, 0)).bit_count()
                for net, weight in self._capacitances.items()
            )
            self.clocked += len(self._nets.registers) * self._instances
        self.counted += 1
        return {name: [new.get(net, 0) for net in nets] for name, nets in self._nets.ports.items()}


def _evaluated(kind: str, pins: list[int], mask: int) -> int:
    """The output of a gate; all of them invert."""
    match kind, pins:
        case "$_NOT_", [a]:
            value = a
        case "$_NAND_", [a, b]:
            value = a & b
        case "$_NOR_", [a, b]:
            value = a | b
        case "$_AOI3_", [a, b, c]:
            value = (a & b) | c
        case "$_OAI3_", [a, b, c]:
            value = (a | b) & c
        case "$_AOI4_", [a, b, c, d]:
            value = (a & b) | (c & d)
        case "$_OAI4_", [a, b, c, d]:
            value = (a | b) & (c | d)
        case _:
            raise ValueError(f"A gate {kind!r} of {len(pins)} pins is not known.")
    return ~value & mask
