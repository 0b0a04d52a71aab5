"""Pairs and pools of one to four planes, stalled at random on both ends, compared with Python."""

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, run_simulation

from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.setup import descriptor_layout
from dscim.gateware.engine.vector import Pairs, Pool
from dscim.gateware.specs import MacroSpec, SocSpec
from tests.streams import drain, feed, set_fields

DEVICES = {
    8: SocSpec(MacroSpec(rows=16, columns=4), banks=1, requant_lanes=1),
    16: SocSpec(MacroSpec(rows=48, columns=16), banks=8, requant_lanes=16),
    32: SocSpec(MacroSpec(rows=64, columns=32), banks=16, requant_lanes=32),
}
"""By the channels of a step."""
CASES = (
    (8, (0, 0)),
    (8, (0.1, 0.8)),
    (16, (0.3, 0.3)),
    (32, (0.8, 0.1)),
)
"""Channels of a step, and the probabilities that the source and the sink stall."""

cases = pytest.mark.parametrize(
    ("channels", "stalls"), CASES, ids=[f"{c}-{s[0]}-{s[1]}" for c, s in CASES]
)


def beat(rng, channels: int, values, padding: bool = False, last: int = 0) -> dict[str, int]:
    """A beat of int8 values, with noise in the banks behind them."""
    octets = np.asarray(values, np.int8).tobytes()
    size = 8 * DEVICES[channels].banks
    octets += rng.bytes(size - len(octets))
    return {
        "data": int.from_bytes(octets, "little"),
        "padding": ((1 << size // 8) - 1) * padding,
        "last": last,
    }


def slots(word: int, count: int) -> list[int]:
    """The first `count` slots of 32 bits, signed."""
    return np.frombuffer(word.to_bytes(4 * count, "little"), "<i4").tolist()


@cases
def test_pairs(channels, stalls):
    rng, *seeds = np.random.default_rng(3).spawn(3)
    pairs, taken = Pairs(DEVICES[channels]), []
    inputs = rng.integers(-128, 128, (40, 2, channels))
    beats = [
        beat(rng, channels, values, last=place)
        for pair in inputs
        for place, values in enumerate(pair)
    ]
    run_simulation(
        pairs,
        [
            feed(pairs.sink, beats, seeds[0], stalls[0]),
            drain(pairs.source, taken, len(inputs), seeds[1], stalls[1]),
        ],
    )
    expected = (inputs[:, 0] & 0xFF) | (inputs[:, 1] & 0xFF) << 8
    assert [slots(got["slots"], channels) for got in taken] == expected.tolist()


class PoolOfALayer(LiteXModule):
    """A pool with a layer's fields."""

    def __init__(self, spec: SocSpec):
        self.fields = Record(descriptor_layout())
        self.pool = Pool(spec, self.fields)


def pooled(operation: Operation, values: np.ndarray, inside: np.ndarray, zero: int) -> list[int]:
    """The output for a window (taps, channels); inside: (taps,)."""
    held = values[inside]
    if operation is Operation.MAX_POOL:
        return (held.max(axis=0, initial=-128) - zero).tolist()
    if operation is Operation.SUM_POOL:
        return (held - zero).sum(axis=0).tolist()
    total, count = held.sum(axis=0), max(1, len(held))
    return (np.sign(total) * ((2 * abs(total) + count) // (2 * count)) - zero).tolist()


@cases
@pytest.mark.parametrize(
    "operation",
    (Operation.MAX_POOL, Operation.AVERAGE_POOL, Operation.SUM_POOL),
    ids=lambda o: o.name.lower(),
)
def test_pool(operation, channels, stalls):
    rng, *seeds = np.random.default_rng(4).spawn(3)
    zero = int(rng.choice((-128, 127, 5)))
    beats, expected = [], []
    for taps in (1, 2, 3, 4, 9, *rng.integers(1, 20, 64 // channels)):
        values = rng.integers(-128, 128, (taps, channels))
        if rng.random() < 0.4:
            values[:] = rng.choice((-128, -1, 0, 127), (1, channels))
        inside = rng.random(taps) < rng.choice((0, 0.5, 1, 1))
        beats += [
            beat(rng, channels, row, not here, int(tap == taps - 1))
            for tap, (row, here) in enumerate(zip(values, inside, strict=True))
        ]
        expected.append(pooled(operation, values, inside, zero))
    module, taken = PoolOfALayer(DEVICES[channels]), []

    def layer():
        yield from set_fields(module.fields, {"operation": operation, "input_zero": zero})
        yield
        yield
        yield from feed(module.pool.sink, beats, seeds[0], stalls[0])

    run_simulation(
        module, [layer(), drain(module.pool.source, taken, len(expected), seeds[1], stalls[1])]
    )
    assert [slots(got["slots"], channels) for got in taken] == expected
