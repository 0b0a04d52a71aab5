"""The macro: DS-CIM as an array or row-selected, and exact INT8, behind one interface."""

from dscim.gateware.macro.array import Array
from dscim.gateware.macro.exact import Exact
from dscim.gateware.macro.interface import Macro
from dscim.gateware.macro.point import SelectedPoint
from dscim.gateware.macro.selected import Selected
from dscim.gateware.specs import MacroSpec

__all__ = ["Macro", "build_macro"]


def build_macro(spec: MacroSpec, words: int) -> Macro:
    """The macro that `spec` describes. words: words per beat of activations, a power of two."""
    if spec.form == "exact":
        return Exact(spec, words)
    if spec.form == "array":
        return Array(spec, words)
    return SelectedPoint(spec, words) if spec.sequence.kind == "lfsr" else Selected(spec, words)
