"""The bus addresses that frames may access."""

import dataclasses
from collections.abc import Sequence
from functools import reduce
from operator import or_

from litex.gen import LiteXModule
from migen import Signal, bits_for, log2_int

from dscim.gateware.link.protocol import MAX_WORDS


@dataclasses.dataclass(frozen=True)
class Region:
    """`size` bytes from `origin`, whole words. origin: a multiple of `window`. memory: must not be
    read while locked."""

    origin: int
    size: int
    memory: bool

    @property
    def window(self) -> int:
        """The power of two that holds the region."""
        return 1 << bits_for(self.size - 1)


class Reach(LiteXModule):
    """Checks whether words are inside one of `regions`, which have different origins.

    | port    | dir | meaning                                                  |
    |---------|-----|----------------------------------------------------------|
    | address | in  | byte address of the first word                           |
    | final   | in  | byte address of the last word, 33 bits, with the carry   |
    | inside  | out | all are inside the same region, and `address` is aligned |
    | memory  | out | `address` is in a memory                                 |
    """

    def __init__(self, regions: Sequence[Region]):
        self.address, self.final = Signal(32), Signal(33)
        self.inside, self.memory = Signal(), Signal()

        # # #

        holds = [self._holds(self.address, region) for region in regions]
        whole = [first & self._ends(region) for first, region in zip(holds, regions, strict=True)]
        memories = [first for first, region in zip(holds, regions, strict=True) if region.memory]
        self.comb += [
            self.inside.eq((self.address[:2] == 0) & reduce(or_, whole)),
            self.memory.eq(reduce(or_, memories, 0)),
        ]

    @staticmethod
    def _holds(address: Signal, region: Region):
        assert region.origin % region.window == 0, f"{region} is not aligned to its size"
        return address[_bits(region) :] == region.origin >> _bits(region)

    def _ends(self, region: Region):
        """Whether the last word is in the region too, if the first one is.

        The words of a frame are mostly fewer than those of a region, so that an end in the next
        window differs in the lowest bit of the window's number.
        """
        bits = _bits(region)
        if region.window > 4 * MAX_WORDS:
            same = self.final[bits] == self.address[bits]
        else:
            same = self.final[bits:] == region.origin >> bits
        return same & (self.final[:bits] < region.size) if region.size < region.window else same


def _bits(region: Region) -> int:
    """The bits of an address inside the region."""
    return log2_int(region.window)
