"""Scaling and addition of inputs against the reference, on random and extreme numbers."""

import numpy as np
from litex.gen import LiteXModule
from migen import Record, run_simulation

from dscim.gateware.engine.addition import ADDITION_LATENCY, FILLING, Addition, Shares
from dscim.gateware.engine.scale import SCALE_LATENCY, Scale
from dscim.gateware.engine.setup import descriptor_layout
from dscim.host.golden.reference.requantise import multiply_by_quantized_multiplier, requantise
from tests.integers import (
    INT32,
    MULTIPLIERS,
    beside_ties,
    product_units,
    random_addition,
    random_channels,
    random_fields,
    scale_once,
    scale_twice,
)
from tests.streams import pulse, set_fields


class ScaleOfALayer(LiteXModule):
    """A scale with a layer's fields."""

    def __init__(self):
        self.fields = Record(descriptor_layout())
        self.scale = Scale(self.fields)


def scaled(module, fields, channels, seen):
    """Sends a channel per cycle, and appends the (total, output) of each."""
    scale, latency = module.scale, SCALE_LATENCY
    yield from set_fields(module.fields, fields)
    yield
    count, activation_sum, bias, multiplier, shift = (values.tolist() for values in channels)
    for k in range(len(count) + latency + 1):
        if k < len(count):
            yield scale.count.eq(count[k])
            yield scale.activation_sum.eq(activation_sum[k])
            yield from set_fields(
                scale.parameters, {"bias": bias[k], "multiplier": multiplier[k], "shift": shift[k]}
            )
        if k > latency:
            seen.append(((yield scale.total), (yield scale.output)))
        yield


def test_scale_is_the_reference():
    rng = np.random.default_rng(20)
    cases = []
    for _ in range(12):
        fields = random_fields(rng)
        cases.append((fields, random_channels(rng, 120, fields), []))

    def control(module):
        for fields, channels, seen in cases:
            yield from scaled(module, fields, channels, seen)

    module = ScaleOfALayer()
    run_simulation(module, control(module))
    for fields, (count, activation_sum, bias, multiplier, shift), seen in cases:
        total = product_units(count, activation_sum, bias, fields)
        output = requantise(
            total,
            multiplier,
            shift,
            fields["output_zero"],
            (fields["clamp_low"], fields["clamp_high"]),
            bool(fields["single_rounding"]),
        )
        np.testing.assert_array_equal(np.array(seen), np.stack([total, output], axis=1))


def test_scale_rounds_ties_as_python_s_integers_do():
    """Once and twice, of every right shift, positive and negative, the least int32, left shifts."""
    rng = np.random.default_rng(23)
    least = [
        np.full(64, -(2**31)),
        np.tile([2**31 - 1, 2**30, 1, 2**30 + 1], 16),
        -np.repeat(np.arange(32), 2),
    ]
    left = [rng.integers(-300, 300, 96), np.full(96, 2**30), np.repeat(np.arange(8), 12)]
    sums, multiplier, shift = (
        np.concatenate(parts) for parts in zip(beside_ties(rng, 700), least, left, strict=True)
    )
    nothing = 0 * sums
    seen: dict[int, list[tuple[int, int]]] = {0: [], 1: []}

    def control(module):
        for once, outputs in seen.items():
            fields = {
                "decode_shift": 0,
                "offset": 0,
                "single_rounding": once,
                "output_zero": 0,
                "clamp_low": -128,
                "clamp_high": 127,
            }
            yield from scaled(module, fields, (nothing, nothing, sums, multiplier, shift), outputs)

    module = ScaleOfALayer()
    run_simulation(module, control(module))
    numbers = list(zip(sums.tolist(), multiplier.tolist(), shift.tolist(), strict=True))
    for once, scale in enumerate((scale_twice, scale_once)):
        expected = [(number[0], min(max(scale(*number), -128), 127)) for number in numbers]
        assert seen[once] == expected
    differing = np.array(seen[0]) != np.array(seen[1])
    assert differing.sum() > 50  # the two differ


def test_scale_takes_every_shift_and_extreme_numbers():
    """Every shift, once and twice, with outputs in the range of the clamp and far beyond it."""
    rng = np.random.default_rng(24)
    numbers = []
    for shift in range(-31, 31):
        left = max(shift, 0)
        near = rng.integers(-300, 300, 4) * 2.0**-shift + rng.integers(-2, 3, 4)
        some = np.concatenate([INT32, rng.integers(-(2**31), 2**31, 2)]) >> left
        for x in (*near.clip(some[0], -some[0] - 1).astype(int), *some):
            for multiplier in (*MULTIPLIERS, int(rng.integers(2**30, 2**31))):
                numbers.append((int(x), int(multiplier), shift))
    sums, multiplier, shift = (np.array(values) for values in zip(*numbers, strict=True))
    layer = {
        "decode_shift": 0,
        "offset": 0,
        "output_zero": -3,
        "clamp_low": -120,
        "clamp_high": 127,
    }
    cases = [({**layer, "single_rounding": once}, []) for once in (0, 1)]

    def control(module):
        for fields, outputs in cases:
            yield from scaled(
                module, fields, (sums, 0 * sums, 0 * sums, multiplier, shift), outputs
            )

    module = ScaleOfALayer()
    run_simulation(module, control(module))
    for fields, outputs in cases:
        scale = scale_once if fields["single_rounding"] else scale_twice
        clamp = fields["clamp_low"], fields["clamp_high"]
        expected = np.clip([scale(*n) + fields["output_zero"] for n in numbers], *clamp)
        np.testing.assert_array_equal([output for _, output in outputs], expected)
        assert len(set(expected.tolist())) > 150, "the seed must reach many outputs"


class AdditionOfALayer(LiteXModule):
    """An addition with a layer's fields, and what fills its tables."""

    def __init__(self):
        self.fields = Record(descriptor_layout())
        self.shares = Shares(self.fields)
        self.addition = Addition(self.fields, self.shares.entry)


def test_addition_is_the_reference():
    """All values of one input, with the other at random, for many scales."""
    rng = np.random.default_rng(22)
    octets = np.arange(-128, 128)
    cases = [(random_addition(rng), rng.permutation(octets)) for _ in range(30)]
    outputs = []

    def control(module):
        addition, shares = module.addition, module.shares
        for fields, others in cases:
            yield from set_fields(module.fields, fields)
            yield shares.wanted.eq(1)
            yield from pulse(shares.start)
            yield
            waited = 0
            while not (yield shares.ready):
                waited += 1
                yield
            assert waited == FILLING
            pairs = [*zip(octets.tolist(), others.tolist(), strict=True)]
            for k, (first, second) in enumerate([*pairs, *[(0, 0)] * (ADDITION_LATENCY + 1)]):
                yield addition.first.eq(first)
                yield addition.second.eq(second)
                if k > ADDITION_LATENCY:
                    outputs.append((yield addition.output))
                yield

    module = AdditionOfALayer()
    run_simulation(module, control(module))
    expected = []
    for fields, others in cases:
        parts = [
            multiply_by_quantized_multiplier(
                (x - fields[f"{name}_zero"]) << fields["left_shift"],
                np.array(fields[f"{name}_multiplier"]),
                np.array(fields[f"{name}_shift"]),
            )
            for x, name in ((octets, "first"), (others, "second"))
        ]
        expected.append(
            requantise(
                sum(parts),
                fields["output_multiplier"],
                fields["output_shift"],
                fields["sum_zero"],
                (fields["sum_low"], fields["sum_high"]),
            )
        )
    np.testing.assert_array_equal(outputs, np.concatenate(expected))
    assert len(set(outputs)) > 100, "the seed must reach many outputs"
