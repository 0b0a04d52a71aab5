"""Counting ones in bit-sliced form: many columns side by side in one vector."""

from migen import Cat, Signal


def _keep(module, value, width: int):
    signal = Signal(width)
    module.comb += signal.eq(value)
    return signal


def add_slices(module, a, b, carry=None):
    """The sum of two bit-sliced numbers; slice k is a vector with bit k of every column.

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


def sum_slices(module, numbers):
    """The sum of bit-sliced numbers, as a balanced tree."""
    while len(numbers) > 1:
        pairs = zip(numbers[::2], numbers[1::2], strict=False)
        numbers = [add_slices(module, a, b) for a, b in pairs] + numbers[len(numbers) // 2 * 2 :]
    return numbers[0]


def count_columns(module, vectors, columns: int):
    """For each column the number of ones that it has in all vectors, as an expression.

    vectors: lane-major, bit p*columns + c belongs to column c; all as long, lanes a power of two.
    """
    number = sum_slices(module, [[vector] for vector in vectors])
    while len(number[0]) > columns:
        half = len(number[0]) // 2
        number = add_slices(
            module, [bits[:half] for bits in number], [bits[half:] for bits in number]
        )
    return [Cat(*[bits[column] for bits in number]) for column in range(columns)]
