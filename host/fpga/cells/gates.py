"""A part as a netlist of static CMOS gates, and its switching activity.

Gates have no delay, so each net changes at most once per cycle. Glitches are left out; long chains
of exclusive ORs have most of them.
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
"""Steps until registers, which start at 0 and come in pairs, have the values of a running part."""

LOW, HIGH = 0, 1
"""The nets of constants. Others start at 2, as numbered by Yosys."""

Gate = tuple[str, tuple[int, ...], int]
"""Kind, nets of the input pins, net of the output."""


@dataclasses.dataclass(frozen=True, eq=False)
class Netlist:
    """gates: each after those that drive it; registers: (d, q); ports: nets by name."""

    gates: tuple[Gate, ...]
    registers: tuple[tuple[int, int], ...]
    ports: Mapping[str, tuple[int, ...]]

    @property
    def transistors(self) -> int:
        """The number of transistors: two per pin of a gate, 16 per flip-flop."""
        return sum(2 * len(pins) for _, pins, _ in self.gates) + REGISTER_TRANSISTORS * len(
            self.registers
        )

    def capacitances(self, wire: float) -> dict[int, float]:
        """The capacitance of each net, in input pins of a gate: 1 per driver, 1 + wire per pin."""
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
    """The netlist of a part, synthesised with Yosys; FileNotFoundError without Yosys."""
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
    """The number of a net; constants are "0", "1" and "x"."""
    return bit if isinstance(bit, int) else HIGH if bit == "1" else LOW


def _ordered(gates: Sequence[Gate]) -> tuple[Gate, ...]:
    """The gates, each after those that drive it."""
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
    """Runs a netlist for many instances at once: a net's value is an int with a bit per instance.

    No count includes the first WARM_UP steps. counted: steps. toggled: capacitance of the nets that
    changed, in pins. clocked: clock cycles of registers, over all instances.
    """

    def __init__(self, nets: Netlist, instances: int, wire: float) -> None:
        self._nets, self._instances = nets, instances
        self._mask = (1 << instances) - 1
        self._values = {LOW: 0, HIGH: self._mask}
        self._capacitances = nets.capacitances(wire)
        self.toggled, self.clocked, self.counted = 0.0, 0, -WARM_UP

    def step(self, **inputs: Sequence[int]) -> dict[str, list[int]]:
        """Runs a cycle: updates the registers, then sets `inputs`, then evaluates all gates.

        inputs: by port, a value for each bit; other ports keep their values. Returns the values of
        all ports.
        """
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
    """The output of a gate; all gates invert."""
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
            raise ValueError(f"Unknown gate {kind!r} with {len(pins)} pins.")
    return ~value & mask
