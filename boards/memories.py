"""The block RAM that a device needs."""

from math import ceil

from dscim.gateware import descriptor
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

SHAPES = ((512, 36), (1024, 18), (2048, 9))
"""Possible shapes of a block of 18 kbit, in words and bits."""

SUM_BITS = PARAMETER_BITS = 32

MIN_WORDS = 64
"""Yosys puts memories of at least this many words into block RAM."""


def block_rams(spec: SocSpec) -> int:
    """Blocks of 18 kbit for the memories that the host sees, the partial sums and the weights in
    the macros; not for the link.

    A memory that is written in parts of a word counts as several memories of that width.
    """
    lanes = spec.requant_lanes
    return (
        _blocks(32, spec.descriptors * descriptor.WORDS)
        + 4 * lanes * _blocks(PARAMETER_BITS, spec.channels // lanes)
        + ceil(spec.macro.columns / 4) * _blocks(32, spec.weight_rows)
        + spec.banks * WORD_BYTES * _blocks(8, spec.activation_rows)
        + _blocks(SUM_BITS * (spec.macro.columns + 1), spec.strip)
        + sum(map(macro_blocks, spec.macros))
    )


def macro_blocks(macro: MacroSpec) -> int:
    """Blocks for a macro's weights: a memory of G words per group; 16 words fit into LUTs."""
    if macro.form == "array" or macro.or_width < MIN_WORDS:
        return 0
    operand = macro.side.bit_length() - 1
    bits = 8 if macro.form == "exact" else operand + 1 + (macro.lanes > 1)
    return macro.groups * _blocks(bits * macro.columns, macro.or_width)


def _blocks(width: int, depth: int) -> int:
    """Blocks for a memory that is written in whole words."""
    return min(ceil(width / bits) * ceil(depth / words) for words, bits in SHAPES)
