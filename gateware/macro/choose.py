"""Choosing by bit-sliced numbers: bit k of every column's number side by side in one vector."""

from migen import Replicate, Signal


def choose(module, select, entries, columns: int):
    """A vector: for every column the entry that its number names.

    select: slices, bit 0 first; entries: 2**len(select) bits, common to all columns.
    """
    entries = [Replicate(entry, columns) for entry in entries]
    while select:
        now, select = select[:2], select[2:]
        size = 1 << len(now)
        entries = [
            _one_of(module, now, entries[first : first + size])
            for first in range(0, len(entries), size)
        ]
    return entries[0]


def _one_of(module, select, entries):
    """One vector of two, or of four in two tables of four inputs, which synthesis does not find:
    the first takes one of the lower two, or else tells the second which of the upper two."""
    low = select[0]
    told, chosen = Signal(len(low)), Signal(len(low))
    lower = (low & entries[1]) | (~low & entries[0])
    if len(select) == 1:
        module.comb += chosen.eq(lower)
        return chosen
    high = select[1]
    module.comb += [
        told.eq((high & low) | (~high & lower)),
        chosen.eq((~high & told) | (high & ((told & entries[3]) | (~told & entries[2])))),
    ]
    return chosen


def exceeds(number, constant: int):
    """number > constant, without a carry chain: an expression of one bit, or 0."""
    greater = 0
    for k in range(max(len(number), constant.bit_length())):
        bit = number[k] if k < len(number) else 0
        greater = bit & greater if constant >> k & 1 else bit | greater
    return greater
