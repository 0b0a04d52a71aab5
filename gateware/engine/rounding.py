"""The rounding steps of TensorFlow Lite's reference kernels, each a cycle.

A quotient by 2**(31 + right) that is rounded once takes the same two steps: the first rounds down
and tells whether it dropped anything, the second then knows a tie from what lies above it.
"""

from migen import Signal

SUM = (32, True)


def high_mul(module, wide, nudge):
    """The floor of wide / 2**31 (64 bits, signed), or of that plus 1/2 where `nudge` is 1.

    With the nudge it is SaturatingRoundingDoublingHighMul, whose ties go upwards.
    Returns a new register of `module`, 32 bits, signed.
    """
    nudged, high = Signal(35), Signal(SUM)
    module.comb += nudged.eq(wide[30:] + nudge)
    module.sync += high.eq(nudged[1:33])
    return high


def divide_by_power(module, value, right, above=None):
    """RoundingDivideByPOT: value (32 bits, signed) / 2**right, right 0..32, ties away from zero.

    right: a cycle before `value`. above: 1 where `value` was rounded down from something greater,
    so that a negative half is no tie; None: it never was. Returns a new register of `module`, 32
    bits, signed. What is shifted out rounds up from half on, a negative value from more than half.
    """
    half, below = Signal(32), Signal(32)  # the upper bit that leaves, and the others
    rounded, up = Signal(SUM), Signal()
    held = Signal.like(right)
    stays = value[31] if above is None else value[31] & ~above
    module.comb += up.eq(((value & half) != 0) & (~stays | ((value & below) != 0)))
    module.sync += [
        held.eq(right),
        half.eq((1 << right) >> 1),
        below.eq(((1 << right) - 1) >> 1),
        rounded.eq((value >> held) + up),
    ]
    return rounded


def delayed(module, value, cycles: int):
    """A new register of `module`: `value`, `cycles` cycles later; `value` itself for none."""
    for _ in range(cycles):
        held = Signal.like(value)
        module.sync += held.eq(value)
        value = held
    return value
