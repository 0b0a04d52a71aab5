"""The generators of points compared with their sequences."""

import pytest
from migen import run_simulation

from dscim.gateware.prng import build_prng, jump_matrix
from dscim.gateware.specs import MAXIMAL_TAPS, SequenceSpec
from dscim.gateware.specs.sequence import lfsr_step
from tests.tables import random_table

SEQUENCES = [
    SequenceSpec(),
    SequenceSpec("lfsr"),
    SequenceSpec("lfsr", (0x8E, 0xFA), (56, 201)),
    random_table(6),
]


def shown(prng, samples_log2: int, count: int):
    """The first `count` points after a false start, a restart during an advance, and pauses."""
    points = []

    def drive():
        yield prng.samples_log2.eq(samples_log2)
        yield prng.advance.eq(1)
        for _ in range(5):
            yield
        yield prng.restart.eq(1)
        yield
        yield prng.restart.eq(0)
        yield prng.advance.eq(0)
        yield  # the restart has happened
        while len(points) < count:
            for r_a, r_w in prng.points:
                points.append(((yield r_a), (yield r_w)))
            if len(points) % 3 == 0:
                yield  # without advance the points stay
            yield prng.advance.eq(1)
            yield
            yield prng.advance.eq(0)
            yield

    run_simulation(prng, [drive()])
    return points


@pytest.mark.parametrize(
    "lanes", [1, 4, 64, *[pytest.param(lanes, marks=pytest.mark.slow) for lanes in (2, 8, 16, 32)]]
)
@pytest.mark.parametrize("or_width", [16, 64])
@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda each: f"{each.kind}{each.taps}")
def test_lanes_show_the_sequence(sequence, or_width, lanes):
    longest = min(256 // int(or_width**0.5), sequence.max_samples)
    most = longest.bit_length() - 1
    for samples_log2 in (0, 1, 2, most) if sequence.kind != "lfsr" else [4]:
        length = or_width << samples_log2
        if length % lanes or (lanes < 8 and length > 256):
            continue
        got = shown(build_prng(sequence, or_width, lanes), samples_log2, length)
        assert got == [tuple(point) for point in sequence.points(length, or_width).tolist()]


def test_lfsr_lanes_wrap_with_the_period():
    sequence = SEQUENCES[2]
    got = shown(build_prng(sequence, 16, 64), 6, 1024)
    assert got == [tuple(point) for point in sequence.points(1024, 16).tolist()]


@pytest.mark.parametrize("taps", MAXIMAL_TAPS, ids=hex)
def test_jump_matrix_is_that_many_steps(taps):
    state = 0xB7
    for steps in range(1, 65):
        state = lfsr_step(state, taps)
        rows = jump_matrix(taps, steps)
        bits = [(row & 0xB7).bit_count() & 1 for row in rows]
        assert sum(bit << k for k, bit in enumerate(bits)) == state
