"""Bit-sliced numbers: bit k of many numbers side by side in one vector.

A number is a list of slices, bit 0 first. All slices of one number have the same length, a bit per
column or per lane.
"""

from migen import Cat, Replicate, Signal, bits_for


def greater(module, operand, threshold):
    """A new signal: for each place whether operand > threshold."""
    above = None
    for o, t in zip(operand, threshold, strict=True):
        step = Signal(len(t))
        module.comb += step.eq(o & ~t if above is None else (o & ~t) | (~(o ^ t) & above))
        above = step
    return above


def add_slices(module, a, b, carry=None):
    """The sum of two numbers, with a carry out.

    carry: a vector that is added at bit 0.
    """
    width = len(a[0])
    total = []
    for k in range(max(len(a), len(b))):
        terms = [number[k] for number in (a, b) if k < len(number)]
        terms += [carry] if carry is not None else []
        total.append(_keep(module, _parity(terms), width))
        carry = _keep(module, _majority(terms), width) if len(terms) > 1 else None
    return [*total, carry] if carry is not None else total


def sum_slices(module, numbers):
    """The sum of numbers, as a balanced tree."""
    while len(numbers) > 1:
        pairs = zip(numbers[::2], numbers[1::2], strict=False)
        numbers = [add_slices(module, a, b) for a, b in pairs] + numbers[len(numbers) // 2 * 2 :]
    return numbers[0]


def count_columns(module, vectors, columns: int):
    """For each column, a new signal: the number of ones that all vectors have in it.

    vectors: lane-major, bit p*columns + c belongs to column c; of one length, lanes a power of two.
    """
    ones = len(vectors) * len(vectors[0]) // columns
    number = sum_slices(module, [[vector] for vector in vectors])
    while len(number[0]) > columns:
        half = len(number[0]) // 2
        number = add_slices(
            module, [bits[:half] for bits in number], [bits[half:] for bits in number]
        )
    counts = [Signal(bits_for(ones)) for _ in range(columns)]
    module.comb += [
        count.eq(Cat(*[bits[column] for bits in number])) for column, count in enumerate(counts)
    ]
    return counts


def choose(module, select, entries, columns: int):
    """A vector: for every column, the entry that its number in `select` names.

    entries: 2**len(select) bits, common to all columns.
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
    the first chooses one of the lower two, or else passes on which of the upper two to choose."""
    low = select[0]
    passed, chosen = Signal(len(low)), Signal(len(low))
    lower = (low & entries[1]) | (~low & entries[0])
    if len(select) == 1:
        module.comb += chosen.eq(lower)
        return chosen
    high = select[1]
    module.comb += [
        passed.eq((high & low) | (~high & lower)),
        chosen.eq((~high & passed) | (high & ((passed & entries[3]) | (~passed & entries[2])))),
    ]
    return chosen


def _keep(module, value, width: int):
    signal = Signal(width)
    module.comb += signal.eq(value)
    return signal


def _parity(terms):
    value = terms[0]
    for term in terms[1:]:
        value = value ^ term
    return value


def _majority(terms):
    if len(terms) == 2:
        return terms[0] & terms[1]
    a, b, c = terms
    return (a & b) | (c & (a ^ b))
