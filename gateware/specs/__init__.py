"""Frozen specs: the numpy twin and the gateware are both made from the same object.

Specs import only numpy, so that the host can use them without Migen.
"""

from dscim.gateware.specs.base import Spec, SpecError
from dscim.gateware.specs.layer import LayerSpec
from dscim.gateware.specs.macro import MacroSpec, default_macro
from dscim.gateware.specs.product import MAX_DEPTH, VARIANTS, ProductSpec
from dscim.gateware.specs.sequence import MAXIMAL_TAPS, SequenceSpec
from dscim.gateware.specs.soc import SocSpec
from dscim.gateware.specs.tables import TABLES, describe, table_gain, table_sequence

__all__ = [
    "MAXIMAL_TAPS",
    "MAX_DEPTH",
    "TABLES",
    "VARIANTS",
    "LayerSpec",
    "MacroSpec",
    "ProductSpec",
    "SequenceSpec",
    "SocSpec",
    "Spec",
    "SpecError",
    "default_macro",
    "describe",
    "table_gain",
    "table_sequence",
]
