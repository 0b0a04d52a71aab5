"""Logic that several parts share: delays and balanced trees."""

from migen import Cat, Signal


def delayed(module, value, cycles: int = 1):
    """A new register of `module`: `value`, `cycles` cycles later; `value` itself for 0 cycles."""
    for _ in range(cycles):
        held = Signal.like(value)
        module.sync += held.eq(value)
        value = held
    return value


def delayed_all(module, values, cycles: int = 1):
    """`delayed` for each of the values, as a list."""
    return [delayed(module, value, cycles) for value in values]


def any_of(terms):
    """OR of equally long vectors, as a balanced tree."""
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2], strict=False)
        terms = [a | b for a, b in pairs] + terms[len(terms) // 2 * 2 :]
    return terms[0]


def signed_sum(terms):
    """The sum of signed or unsigned values, as a balanced tree."""
    return sum_with_carries(None, terms, ())[0]


def sum_with_carries(module, terms, carries):
    """The sum of values and at most as many bits, as (total, bit).

    Each bit is the carry into an adder of the tree. A bit without an adder is returned, else None.
    """
    carries = list(carries)
    while len(terms) > 1:
        sums = [
            add_with_carry(module, a, b, carries.pop()) if carries else a + b
            for a, b in zip(terms[::2], terms[1::2], strict=False)
        ]
        terms = sums + terms[2 * len(sums) :]
    return terms[0], carries[0] if carries else None


def add_with_carry(module, a, b, carry):
    """A new signed signal: a + b + carry in one carry chain, fed from a bit below the lowest."""
    total = Signal((max(len(a), len(b)) + 1, True))
    wide = Signal((len(total) + 1, True))
    sides = []
    for term in (a, b):
        side = Signal((len(term) + 1, True))
        module.comb += side.eq(Cat(carry, term))
        sides.append(side)
    module.comb += [wide.eq(sides[0] + sides[1]), total.eq(wide[1:])]
    return total
