"""The block RAM that a device needs."""

from math import ceil

from dscim.gateware import descriptor
from dscim.gateware.descriptor import MAX_KERNEL
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

SHAPES = ((512, 36), (1024, 18), (2048, 9))
"""Possible shapes of a block of 18 kbit, in words and bits."""

BYTE_BITS = 9
"""Bits of a block for each byte that is written alone."""

SUM_BITS = PARAMETER_BITS = 32

SHARE_BLOCKS = 4
"""Blocks for the tables of a lane's additions: 256 numbers of 61 bits for each input."""

BLOCK_COST = 128
"""LUTs of distributed RAM for which Yosys takes a block."""


def block_rams(spec: SocSpec) -> int:
    """Blocks of 18 kbit for the memories that the host sees, the partial sums and the weights in
    the macros; not for the link.

    A memory that is written in 32-bit parts counts as several memories of that width, one with two
    read ports as two copies. Blocks have an enable for each byte.
    """
    return (
        _blocks(32, spec.descriptors * descriptor.WORDS)
        + 4 * _blocks(PARAMETER_BITS, spec.channels)
        + SHARE_BLOCKS * spec.requant_lanes
        + ceil(spec.macro.columns / 4) * _blocks(32, spec.weight_rows)
        + spec.read_ports * spec.banks * _blocks(BYTE_BITS * WORD_BYTES, spec.activation_rows)
        + _blocks(SUM_BITS * (spec.macro.columns + 1), spec.strip)
        + sum(map(macro_blocks, spec.macros))
        + depthwise_blocks(spec)
    )


def depthwise_blocks(spec: SocSpec) -> int:
    """Blocks for the weights of the depthwise unit: for each bank and both output rows a memory of
    eight channels."""
    if not spec.depthwise:
        return 0
    width = WORD_BYTES * (spec.depthwise + 1)
    depth = MAX_KERNEL**2 * spec.depthwise_steps
    return 2 * spec.banks * _blocks(width, depth) if _in_blocks(width, depth) else 0


def macro_blocks(macro: MacroSpec) -> int:
    """Blocks for a macro's weights; 0 if they are in LUTs or in registers."""
    count, width, depth = weight_memories(macro)
    return count * _blocks(width, depth) if count and _in_blocks(width, depth) else 0


def weight_tables(macro: MacroSpec) -> int:
    """LUTs for a macro's weights in distributed RAM; 0 if they are in blocks or in registers."""
    count, width, depth = weight_memories(macro)
    return count * _tables(width, depth) if count and not _in_blocks(width, depth) else 0


def weight_memories(macro: MacroSpec) -> tuple[int, int, int]:
    """Number, bits and words of the memories of a macro's weights, both banks; (0, 0, 0): none.

    A selected macro has one for each granule of max(1, P div G) points of a group, with the bits of
    its points and the sign; or registers, if a product is one step.
    """
    group, lanes, signed = macro.or_width, macro.lanes, "split" in macro.signed
    if macro.form == "array":
        return 0, 0, 0
    if macro.form == "exact":
        return macro.groups * lanes, 8 * macro.columns, 2 * group // lanes
    if macro.ordered:
        return macro.groups, (macro.side.bit_length() - 1 + signed) * macro.columns, 2 * group
    steps, granule = max(1, group * macro.max_samples // lanes), max(1, lanes // group)
    if steps == 1:
        return 0, 0, 0
    return macro.groups * lanes // granule, (granule + signed) * macro.columns, 2 * steps


def _in_blocks(width: int, depth: int) -> bool:
    """Whether Yosys prefers blocks for a memory that can be in LUTs."""
    return _tables(width, depth) >= BLOCK_COST * _blocks(width, depth)


def _tables(width: int, depth: int) -> int:
    """LUTs of a distributed RAM of 16 words of 4 bits each, of four LUTs."""
    return 4 * ceil(width / 4) * ceil(depth / 16)


def _blocks(width: int, depth: int) -> int:
    """Blocks for a memory that is written in whole words."""
    return min(ceil(width / bits) * ceil(depth / words) for words, bits in SHAPES)
