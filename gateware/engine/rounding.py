"""The rounding steps of TensorFlow Lite's reference kernels, each a cycle."""

from migen import Signal

SUM = (32, True)


def high_mul(module, wide):
    """SaturatingRoundingDoublingHighMul of a product (64 bits): wide / 2**31, ties upwards.

    Returns a new register of `module`, 32 bits, signed.
    """
    nudged, high = Signal((65, True)), Signal(SUM)
    module.comb += nudged.eq(wide + (1 << 30))
    module.sync += high.eq(nudged >> 31)
    return high


def divide_by_power(module, value, right):
    """RoundingDivideByPOT: value (32 bits, signed) / 2**right, right 0..32, ties away from zero.

    Returns a new register of `module`, 32 bits, signed.
    """
    mask, remainder, threshold = Signal(32), Signal(32), Signal(32)
    rounded = Signal(SUM)
    module.comb += [
        mask.eq((1 << right) - 1),
        remainder.eq(value & mask),
        threshold.eq((mask >> 1) + value[31]),
    ]
    module.sync += rounded.eq((value >> right) + (remainder > threshold))
    return rounded


def delayed(module, value, cycles: int):
    """A new register of `module`: `value`, `cycles` cycles later; `value` itself for none."""
    for _ in range(cycles):
        held = Signal.like(value)
        module.sync += held.eq(value)
        value = held
    return value
