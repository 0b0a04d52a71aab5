"""A design placed and routed by nextpnr-ecp5, as Verilog of the chip's wires.

Every wire that the router used is a signal, driven by the wire that its switch selects; cells are
connected to the wires of their places. The net of a pin is ignored, so a route that misses its pin,
or leads to a wrong one, computes something else. The router may lead a net to another input of a
table: the switch shows this, and the packer permutes the table's bits. Packing into a bitstream is
not covered.
"""

import json
import re
from pathlib import Path
from typing import Any

from tests.trellis_cells import FLOATING, pin_wire

Json = dict[str, Any]
_SWITCH = re.compile(r"X(\d+)/Y(\d+)/(-?\d+)_(-?\d+)_(\w+)->(-?\d+)_(-?\d+)_(\w+)")


class RoutedDesign:
    """cells: by name, as written by nextpnr. sources: for each wire, the wire that drives it.

    wires: all that the router used. driven: those driven by cells and pads.
    """

    def __init__(self, path: Path):
        (top,) = json.loads(path.read_text())["modules"].values()
        self.ports: Json = top["ports"]
        self.cells: Json = top["cells"]
        self.sources: dict[str, str] = {}
        self.wires: set[str] = set()
        self.driven: set[str] = set()
        clocks = {
            cell["connections"]["CLKO"][0]: pin_wire("DCCA", _bel(cell), "CLKO")
            for cell in self.cells.values()
            if cell["type"] == "DCCA"
        }
        for net in top["netnames"].values():
            route = net["attributes"].get("ROUTING", "").strip()
            if route:
                self._add(_switches(route), clocks.get(net["bits"][0]))

    def _add(self, route: dict[str, str], clock: str | None) -> None:
        """A net's wires. A clock's spine, between its driver and the tiles, is not in the file."""
        assert not self.wires & set(route), "a wire is in two nets"
        self.wires |= set(route)
        for wire, source in route.items():
            if source in route:
                self.sources[wire] = source
            elif clock is not None and wire != clock:
                self.sources[wire] = clock
            else:
                assert not source, f"{wire} comes from {source}, which is not routed"

    def verilog(self) -> str:
        """Module `bench`, with the ports of nextpnr's input."""
        pads = {
            cell["connections"]["B"][0]: cell
            for cell in self.cells.values()
            if cell["type"] == "TRELLIS_IO"
        }
        lines = [
            f"module bench ({', '.join(map(_port, self.ports.items()))});",
            *(f"wire {_name(wire)};" for wire in sorted(self.wires)),
            *(
                f"assign {_name(wire)} = {_name(source)};"
                for wire, source in sorted(self.sources.items())
            ),
        ]
        for name, port in self.ports.items():
            for index, bit in enumerate(port["bits"]):
                at = f"{name}[{index}]" if len(port["bits"]) > 1 else name
                lines.extend(self._pad(pads[bit], at))
        for name, cell in self.cells.items():
            if cell["type"] != "TRELLIS_IO" and _mode(cell) != "RAMW_BLOCK":
                lines.append(self._instance(name, cell))
        assert self.driven == self.wires - set(self.sources), "routes without a start, or with two"
        return "\n".join([*lines, "endmodule\n"])

    def _pad(self, cell: Json, port: str) -> list[str]:
        """A pad is a wire to or from its port; that of an unused input leads nowhere."""
        direction = cell["parameters"]["DIR"]
        pin = {"INPUT": "O", "OUTPUT": "I"}[direction]
        wire = pin_wire("TRELLIS_IO", _bel(cell), pin)
        if direction == "OUTPUT":
            return [f"assign {port} = {self._reached(wire)};"]
        return [f"assign {self._drives(wire)} = {port};"] if wire in self.wires else []

    def _instance(self, name: str, cell: Json) -> str:
        kind = cell["type"]
        module = f"{kind}_{_mode(cell)}" if kind == "TRELLIS_COMB" else kind
        pins = dict(FLOATING[module])
        for pin, bits in cell["connections"].items():
            if bits:
                wire = pin_wire(kind, _bel(cell), pin)
                if cell["port_directions"][pin] == "input":
                    pins[pin] = self._reached(wire)
                else:  # an unused one has no route
                    pins[pin] = self._drives(wire) if wire in self.wires else ""
        connected = ", ".join(f".{pin}({wire})" for pin, wire in pins.items())
        return f"{module} {_parameters(cell)} {_name(name)} ({connected});"

    def _reached(self, wire: str) -> str:
        assert wire in self.wires, f"{wire} is not routed"
        return _name(wire)

    def _drives(self, wire: str) -> str:
        self.driven.add(wire)
        return _name(wire)


def _switches(route: str) -> dict[str, str]:
    """Each wire of a route, and the wire that drives it, "" at the start."""
    fields = route.split(";")
    sources = {}
    for wire, switch in zip(fields[::3], fields[1::3], strict=True):
        sources[wire] = ""
        if switch:
            found = _SWITCH.fullmatch(switch)
            assert found, switch
            x, y, left, up, source, right, down, sink = found.groups()
            assert wire == f"X{int(x) + int(right)}/Y{int(y) + int(down)}/{sink}", switch
            sources[wire] = f"X{int(x) + int(left)}/Y{int(y) + int(up)}/{source}"
    return sources


def _bel(cell: Json) -> str:
    return cell["attributes"]["NEXTPNR_BEL"]


def _mode(cell: Json) -> str:
    return cell["parameters"].get("MODE", "LOGIC")


def _name(name: str) -> str:
    return f"\\{name} "


def _port(item: tuple[str, Json]) -> str:
    name, port = item
    width = len(port["bits"])
    return f"{port['direction']} {f'[{width - 1}:0] ' if width > 1 else ''}{name}"


def _parameters(cell: Json) -> str:
    """nextpnr appends a space to a text that could be a number."""
    texts = {
        key: f'"{value.strip()}"'
        for key, value in cell["parameters"].items()
        if key not in ("MODE", "INITVAL")
    }
    if "INITVAL" in cell["parameters"]:
        texts["INITVAL"] = f"16'b{cell['parameters']['INITVAL']}"
    if not texts:
        return ""
    return f"#({', '.join(f'.{key}({value})' for key, value in texts.items())})"
