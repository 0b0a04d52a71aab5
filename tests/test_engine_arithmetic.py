"""Scaling and addition of inputs against the reference, on random and extreme numbers."""

import numpy as np
from litex.gen import LiteXModule
from migen import Record, run_simulation

from dscim.gateware.descriptor import MOST_WIDENING
from dscim.gateware.engine.addend import ADDEND_LATENCY, Addend
from dscim.gateware.engine.scale import SCALE_LATENCY, Scale
from dscim.gateware.engine.setup import PLAN_LAYOUT, descriptor_layout
from dscim.host.reference.requantise import multiply_by_quantized_multiplier, requantise
from tests.integers import (
    beside_ties,
    product_units,
    random_channels,
    random_fields,
    random_multipliers,
    scale_once,
    scale_twice,
)
from tests.streams import set_fields


class ScaleOfALayer(LiteXModule):
    """A scale with a layer's fields."""

    def __init__(self):
        self.fields = Record(descriptor_layout())
        self.scale = Scale(self.fields)


def scaled(module, fields, channels, seen):
    """Sends a channel a cycle, and appends the (total, output) of each."""
    scale, latency = module.scale, SCALE_LATENCY
    yield from set_fields(module.fields, fields)
    count, activation_sum, bias, multiplier, shift = (values.tolist() for values in channels)
    for k in range(len(count) + latency + 1):
        if k < len(count):
            yield scale.count.eq(count[k])
            yield scale.activation_sum.eq(activation_sum[k])
            yield from set_fields(scale.parameters, {
                "bias": bias[k], "multiplier": multiplier[k], "shift": shift[k]})
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
        output = requantise(total, multiplier, shift, fields["output_zero"],
                            (fields["clamp_low"], fields["clamp_high"]),
                            bool(fields["single_rounding"]))
        np.testing.assert_array_equal(np.array(seen), np.stack([total, output], axis=1))


def test_scale_rounds_ties_as_python_s_integers_do():
    """Once and twice, of every right shift, positive and negative, the least int32, left shifts."""
    rng = np.random.default_rng(23)
    least = [np.full(64, -2**31), np.tile([2**31 - 1, 2**30, 1, 2**30 + 1], 16),
             -np.repeat(np.arange(32), 2)]
    left = [rng.integers(-300, 300, 96), np.full(96, 2**30), np.repeat(np.arange(8), 12)]
    sums, multiplier, shift = (np.concatenate(parts) for parts in zip(
        beside_ties(rng, 700), least, left, strict=True))
    nothing = 0 * sums
    seen: dict[int, list[tuple[int, int]]] = {0: [], 1: []}

    def control(module):
        for once, outputs in seen.items():
            fields = {"decode_shift": 0, "offset": 0, "single_rounding": once, "output_zero": 0,
                      "clamp_low": -128, "clamp_high": 127}
            yield from scaled(module, fields, (nothing, nothing, sums, multiplier, shift), outputs)

    module = ScaleOfALayer()
    run_simulation(module, control(module))
    numbers = list(zip(sums.tolist(), multiplier.tolist(), shift.tolist(), strict=True))
    for once, scale in enumerate((scale_twice, scale_once)):
        expected = [(number[0], min(max(scale(*number), -128), 127)) for number in numbers]
        assert seen[once] == expected
    differing = np.array(seen[0]) != np.array(seen[1])
    assert differing.sum() > 50                             # the two are not the same


class AddendOfALayer(LiteXModule):
    """An addend with a layer's fields."""

    def __init__(self):
        self.fields, self.plan = Record(descriptor_layout()), Record(PLAN_LAYOUT)
        self.addend = Addend(self.fields, self.plan)


def random_addition(rng) -> dict[str, int]:
    """Any integers that an add may have."""
    left = int(rng.choice((0, 20, 22, *rng.integers(0, 23, 2))))
    fields = {"input_zero": int(rng.choice((-128, 127, 0, 9))), "left_shift": left,
              "second_zero": int(rng.choice((-128, 127, 0, -9)))}
    for name, multiplier in zip(("first", "second"), random_multipliers(rng, 2), strict=True):
        fields[f"{name}_multiplier"] = int(multiplier)
        fields[f"{name}_shift"] = int(rng.choice((0, -1, -31, MOST_WIDENING - left,
                                                  rng.integers(-31, 1))))
    return fields


def test_addend_is_the_reference():
    """All pairs of one input, with the other at random, for many scales; and slots as they are."""
    rng = np.random.default_rng(22)
    octets = np.arange(-128, 128)
    cases = [(random_addition(rng), rng.permutation(octets), int(rng.random() < 0.9))
             for _ in range(30)]
    seen = []

    def control(module):
        addend = module.addend
        for fields, others, add in cases:
            yield from set_fields(module.fields, fields)
            yield module.plan.add.eq(add)
            slots = ((octets & 0xFF) | (others & 0xFF) << 8).tolist()
            for k, slot in enumerate([*slots, *[0] * (ADDEND_LATENCY + 1)]):
                yield addend.slot.eq(slot)
                if k > ADDEND_LATENCY:
                    seen.append((yield addend.term))
                yield

    module = AddendOfALayer()
    run_simulation(module, control(module))
    expected = []
    for fields, others, add in cases:
        terms = [multiply_by_quantized_multiplier(
            (x - fields[f"{tensor}_zero"]) << fields["left_shift"],
            np.array(fields[f"{name}_multiplier"]), np.array(fields[f"{name}_shift"]))
            for x, tensor, name in ((octets, "input", "first"), (others, "second", "second"))]
        expected.append(sum(terms) if add else (octets & 0xFF) | (others & 0xFF) << 8)
    np.testing.assert_array_equal(seen, np.concatenate(expected))
