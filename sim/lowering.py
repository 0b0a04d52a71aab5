"""A fragment's combinational logic in the form that Verilator evaluates best: one block a signal.

In blocks of many signals Verilator sees loops where there are none between the signals, warns of
them (UNOPTFLAT), and evaluates the design again until nothing changes: a quarter of the time of a
SoC with LiteEth.
"""

from typing import Any

from migen.fhdl.structure import Cat, Signal, _Assign, _Fragment
from migen.fhdl.visit import NodeTransformer


def split_targets(fragment: _Fragment) -> _Fragment:
    """The fragment with no combinational assignment to several signals at once.

    `convert(..., regular_comb=False)` then gives each signal a block of its own.
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
