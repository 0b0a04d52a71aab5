"""The macro: DS-CIM as an array or row-selected, and exact INT8, behind one interface."""

from dscim.gateware.macro.factory import build_macro
from dscim.gateware.macro.interface import Macro

__all__ = ["Macro", "build_macro"]
