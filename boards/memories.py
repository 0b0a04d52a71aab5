"""The block RAM that a device's memories take."""

from math import ceil

from dscim.gateware import descriptor
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

SHAPES = ((512, 36), (1024, 18), (2048, 9))
"""Words and bits that a block of 18 kbit can have."""

SUM_BITS = PARAMETER_BITS = 32

MIN_WORDS = 64
"""Of a memory that Yosys puts into block RAM."""


def block_rams(spec: SocSpec) -> int:
    """Blocks of 18 kbit of the memories that the host sees, and of the partial sums.

    What is written in parts of a word is as many memories of that width.
    """
    lanes = spec.requant_lanes
    return (
        _blocks(32, spec.descriptors * descriptor.WORDS)
        + 4 * lanes * _blocks(PARAMETER_BITS, spec.channels // lanes)
        + ceil(spec.macro.columns / 4) * _blocks(32, spec.weight_rows)
        + WORD_BYTES * _blocks(8, spec.activation_words)
        + _blocks(SUM_BITS * (spec.macro.columns + 1), spec.strip)
        + sum(map(macro_blocks, spec.macros))
    )


def macro_blocks(macro: MacroSpec) -> int:
    """Blocks of a macro's weights: a memory of G words a group. Those of 16 words are in tables."""
    if macro.form == "array" or macro.or_width < MIN_WORDS:
        return 0
    operand = macro.side.bit_length() - 1
    bits = 8 if macro.form == "exact" else operand + 1 + (macro.lanes > 1)
    return macro.groups * _blocks(bits * macro.columns, macro.or_width)


def _blocks(width: int, depth: int) -> int:
    """Of one memory that is written a word at a time."""
    return min(ceil(width / bits) * ceil(depth / words) for words, bits in SHAPES)
