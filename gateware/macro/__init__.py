"""The macro: DS-CIM as an array or row-selected, and exact INT8, behind one interface."""

from dscim.gateware.macro.array import Array
from dscim.gateware.macro.exact import Exact
from dscim.gateware.macro.interface import Macro
from dscim.gateware.macro.point import SelectedPoint
from dscim.gateware.macro.samples import SelectedSamples
from dscim.gateware.specs import MacroSpec

__all__ = ["Macro", "build_macro"]


def build_macro(spec: MacroSpec) -> Macro:
    """The macro that `spec` describes."""
    if spec.form == "exact":
        return Exact(spec)
    if spec.form == "array":
        return Array(spec)
    return SelectedPoint(spec) if spec.lanes == 1 else SelectedSamples(spec)
