"""Migen to Verilog text, in the form that Verilator evaluates best."""

from dataclasses import dataclass
from typing import Any

from litex.gen.fhdl.verilog import convert
from migen.fhdl.structure import Cat, Signal, _Assign, _Fragment
from migen.fhdl.visit import NodeTransformer

from dscim.gateware.verilog import steady


@dataclass(frozen=True)
class Verilog:
    """A module as Verilog text, and the memory contents it reads, by file name."""

    text: str
    files: dict[str, str]


def to_verilog(fragment: Any, ios: Any = (), name: str = "sim", platform: Any = None) -> Verilog:
    """Converts a Migen fragment or module to Verilog module `name`.

    ios: its signals that become ports; empty with a platform, which knows its own.
    """
    whole = fragment if isinstance(fragment, _Fragment) else fragment.get_fragment()
    output = convert(
        split_targets(whole), ios=set(ios), name=name, platform=platform, regular_comb=False
    )
    return Verilog(steady(output.main_source), dict(output.data_files))


def split_targets(fragment: _Fragment) -> _Fragment:
    """The fragment with no combinational assignment to several signals at once.

    `convert(..., regular_comb=False)` then gives each signal its own block. In blocks of many
    signals Verilator sees loops where there are none between the signals, warns of them
    (UNOPTFLAT), and evaluates the design again until nothing changes: a quarter of the time of a
    SoC with LiteEth.
    """
    return _Fragment(
        _Splitter().visit(fragment.comb), fragment.sync, fragment.specials, fragment.clock_domains
    )


class _Splitter(NodeTransformer):  # type: ignore[misc]
    """Puts a signal between what is assigned and the parts of a Cat that it is assigned to."""

    def visit_Assign(self, node: Any) -> Any:
        if not isinstance(node.l, Cat):
            return node
        whole = Signal(len(node.l))
        statements, start = [whole.eq(node.r)], 0
        for part in node.l.l:
            stop = start + len(part)
            statements.append(self.visit_Assign(_Assign(part, whole[start:stop])))
            start = stop
        return statements
