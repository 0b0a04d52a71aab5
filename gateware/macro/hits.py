"""The sum of a step's hits for every column: AND, then trees of adders.

Numbers are unsigned, with an offset that is the same for all columns: a granule of g hits with a
sign is g more than its signed count, so that it lies in 0..2g. All that leaves the AND gates is a
number of few bits, bit-sliced over the columns, that costs two tables of four inputs for a pair of
slots; adders of two such numbers are carry chains, one for each column.
"""

from litex.gen import LiteXModule
from migen import Cat, If, Replicate, Signal, bits_for

from dscim.gateware.logic import delayed
from dscim.gateware.macro.slices import add_slices


class Number:
    """Bit-sliced numbers of all columns, at most `most`, that are `offset` too large."""

    def __init__(self, module, slices, most: int, offset: int):
        self.slices, self.most, self.offset = [], most, offset
        for vector in slices:
            kept = Signal(len(slices[0]))
            module.comb += kept.eq(vector)
            self.slices.append(kept)

    def columns(self, module):
        """For each column, a new signal."""
        width = bits_for(self.most)
        values = [Signal(width) for _ in range(len(self.slices[0]))]
        module.comb += [
            value.eq(Cat(*[bits[column] for bits in self.slices[:width]]))
            for column, value in enumerate(values)
        ]
        return values


class Granule:
    """A granule's operands. bits, sign: of the activation; weights, signs (or None): vectors."""

    def __init__(self, bits, sign, weights, signs):
        self.bits, self.sign, self.weights, self.signs = bits, sign, weights, signs

    def hit(self, k: int):
        """Slot k's hits."""
        return self.weights[k] & Replicate(self.bits[k], len(self.weights[k]))

    @property
    def negative(self):
        """The sign of the hits."""
        return self.signs ^ Replicate(self.sign, len(self.signs))


def _kept(module, value, width: int):
    signal = Signal(width)
    module.comb += signal.eq(value)
    return signal


def granule_number(module, granule: Granule, active) -> Number:
    """The hits of a granule of two or four slots; with signs, a cycle later.

    The register after the gates keeps Yosys from finding the same sum in more tables.
    """
    if granule.signs is None:
        return _unsigned_number(module, granule)
    width, g = len(granule.weights[0]), len(granule.weights)
    pairs = []
    for k in range(0, g, 2):
        one, two = granule.hit(k), granule.hit(k + 1)
        low, flipped = Signal(width), Signal(width)
        module.sync += If(active, low.eq(one ^ two), flipped.eq(one ^ granule.negative))
        # if both hits are equal, they are 0 or 2: of the complement of two where negative
        pairs.append((low, ~low & flipped))
    signs, sign = Signal(width), Signal()
    module.sync += If(active, signs.eq(granule.signs), sign.eq(granule.sign))
    positive = ~(signs ^ Replicate(sign, width))
    if g == 2:
        ((low, high),) = pairs
        return Number(module, [low, high ^ positive, high & positive], 4, 2)
    (low1, high1), (low2, high2) = pairs
    # a pair has the high bit only without the low one
    four = _kept(module, high1 & high2, width)
    high = high1 ^ high2 ^ (low1 & low2)
    return Number(module, [low1 ^ low2, high, four ^ positive, four & positive], 8, 4)


def _unsigned_number(module, granule: Granule) -> Number:
    hits = [granule.hit(k) for k in range(len(granule.weights))]
    low, high = hits[0] ^ hits[1], hits[0] & hits[1]
    if len(hits) == 2:
        return Number(module, [low, high], 2, 0)
    low2, high2 = hits[2] ^ hits[3], hits[2] & hits[3]
    return Number(module, [low ^ low2, high ^ high2 ^ (low & low2), high & high2], 4, 0)


def single_numbers(module, granules: list[Granule]) -> list[Number]:
    """The hits of granules of one slot."""
    if granules[0].signs is None:
        return _unsigned_singles(module, granules)
    width = len(granules[0].weights[0])
    numbers, pairs = [], []
    for one, two in zip(granules[::2], granules[1::2], strict=False):
        hit = one.hit(0)
        odd = _kept(module, hit ^ two.hit(0), width)
        up = _kept(module, hit & ~one.negative, width)
        # together with `up`: the half of 2 + signed hits
        more = (odd & ~hit & ~two.negative) | (~odd & (~hit | ~two.negative))
        pairs.append((odd, up, _kept(module, more, width)))
    for (odd1, up1, more1), (odd2, up2, more2) in zip(pairs[::2], pairs[1::2], strict=False):
        total = up1 ^ more1 ^ up2
        carry = (up1 & more1) | (up2 & (up1 ^ more1))
        numbers += [
            Number(module, [odd1, total, carry], 7, 4),
            Number(module, [odd2, more2], 3, 0),
        ]
    if len(pairs) % 2:
        odd, up, more = pairs[-1]
        numbers.append(Number(module, [odd, up ^ more, up & more], 4, 2))
    if len(granules) % 2:
        last = granules[-1]
        hit = last.hit(0)
        numbers.append(Number(module, [~hit, hit & ~last.negative], 2, 1))
    return numbers


def _unsigned_singles(module, granules: list[Granule]) -> list[Number]:
    hits = [[granule.hit(0)] for granule in granules]
    width = len(granules[0].weights[0])
    most = 1
    while len(hits) > 1 and most < 4:
        pairs = zip(hits[::2], hits[1::2], strict=False)
        sums = [add_slices(module, a, b) for a, b in pairs]
        hits = sums + [
            [*one, *[Replicate(0, width)] * (len(sums[0]) - len(one))]
            for one in hits[2 * len(sums) :]
        ]
        most *= 2
    return [Number(module, slices, most, 0) for slices in hits]


class HitSums(LiteXModule):
    """For each column the sum of all granules' hits, in a pipeline.

    granules: `Granule`s of a step. active: they belong to a step. width: bits of a sum.

    | port  | dir | meaning                                               |
    |-------|-----|-------------------------------------------------------|
    | sums  | out | for each column a signed sum, `latency` cycles later  |
    """

    def __init__(self, granules: list[Granule], active, width: int):
        self.latency = 0
        if len(granules[0].bits) == 1:
            numbers = single_numbers(self, granules)
        else:
            numbers = [granule_number(self, granule, active) for granule in granules]
            if granules[0].signs is not None:
                self.latency, active = 1, delayed(self, active)
        self.offset = sum(number.offset for number in numbers)

        # # #

        most = [number.most for number in numbers]
        columns = list(zip(*[number.columns(self) for number in numbers], strict=True))
        # a register after each level also keeps Yosys from merging adders into slower, larger ones
        while len(most) > 1:
            pairs = [(k, k + 1) for k in range(0, len(most) - 1, 2)]
            columns = [self._level(values, most, pairs) for values in columns]
            most = [most[a] + most[b] for a, b in pairs] + most[2 * len(pairs) :]
            columns, active = self._stage(columns, active)
        self.sums = [Signal((width, True), name=f"hits{c}") for c in range(len(columns))]
        for total, (value,) in zip(self.sums, columns, strict=True):
            self.sync += If(active, total.eq(value - self.offset))
        self.latency += 1

    def _level(self, values, most, pairs):
        sums = []
        for a, b in pairs:
            total = Signal(bits_for(most[a] + most[b]))
            self.comb += total.eq(values[a] + values[b])
            sums.append(total)
        return sums + list(values[2 * len(pairs) :])

    def _stage(self, columns, active):
        """Registers, loaded while active: idle adders do not switch."""
        held = [[Signal.like(value) for value in values] for values in columns]
        self.sync += If(
            active,
            *[
                register.eq(value)
                for registers, values in zip(held, columns, strict=True)
                for register, value in zip(registers, values, strict=True)
            ],
        )
        self.latency += 1
        return held, delayed(self, active)
