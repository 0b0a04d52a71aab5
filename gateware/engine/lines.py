"""Places of lines in the banked memory (see `dscim.gateware.layout`), and steps from line to line.

A place is a bank and the address of the line's first word in it. So many lines further, the bank
is reached by an addition modulo the number of banks; its carry moves the address by a line's width.
"""

from migen import Cat, Mux, Record, Signal, log2_int

ROW_BITS = 17
"""Bits of an address in a bank: more than any memory needs; they wrap."""


def bank_bits(banks: int) -> int:
    """Bits of a bank's number; one bit, always 0, for a single bank."""
    return max(1, log2_int(banks))


def place_layout(banks: int):
    """A line's bank, and the address of its first word there."""
    return [("bank", bank_bits(banks)), ("row", ROW_BITS)]


class Lines:
    """Adds numbers of lines to places.

    module: the logic is added to it. banks: of the memory. width: a line's words, a value.
    """

    def __init__(self, module, banks: int, width):
        self.module, self.banks, self.width = module, banks, width

    def place(self, name: str):
        """A new place."""
        return Record(place_layout(self.banks), name=name)

    def moved(self, place, bank, rows):
        """A new place: `place` moved by `bank` lines, fewer than the banks, and by `rows` words."""
        there = self.place("moved")
        carry, moved = self._bank(place.bank, bank)
        self.module.comb += [
            there.bank.eq(moved),
            there.row.eq(place.row + rows + Mux(carry, self.width, 0)),
        ]
        return there

    def further(self, place, lines: int):
        """A new place: `lines` lines further, a constant."""
        whole = lines // self.banks
        rows = sum(self.width << bit for bit in range(whole.bit_length()) if whole >> bit & 1)
        return self.moved(place, lines % self.banks, rows)

    def wraps(self, bank, lines):
        """Whether the bank `lines` lines further is behind the last one: a new signal."""
        return self._bank(bank, lines)[0]

    def _bank(self, bank, lines):
        """The carry and the bank that is `lines` lines further."""
        total = Signal(bank_bits(self.banks) + 1)
        self.module.comb += total.eq(bank + lines)
        if self.banks == 1:
            return 0, 0
        return total[-1], total[:-1]


def rotated(module, words, amount, width: int):
    """The words, `width` bits each, rotated down: word 0 of the result is word `amount`."""
    count = len(words) // width
    for bit in range(log2_int(count)):
        turned, low = Signal(len(words)), width << bit
        module.comb += turned.eq(Mux(amount[bit], Cat(words[low:], words[:low]), words))
        words = turned
    return words


def each_bank(banks: int, first, near, far):
    """An address for each bank, side by side: `far` before the bank `first`, else `near`."""
    return Cat(
        *[Mux(first > bank, far, near) for bank in range(banks - 1)],
        near,
    )
