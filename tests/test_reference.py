"""The matrix form equals the contract point by point; requantisation equals big integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.gateware.specs import MAXIMAL_TAPS, ProductSpec, SequenceSpec
from dscim.host.golden.reference import contract, matrix
from dscim.host.golden.reference.requantise import (
    multiply_by_quantized_multiplier,
    multiply_rounding_once,
)
from tests.integers import scale_once
from tests.tables import random_table

taps = st.tuples(st.sampled_from(MAXIMAL_TAPS), st.sampled_from(MAXIMAL_TAPS))
seeds = st.tuples(st.integers(1, 255), st.integers(1, 255))
lfsrs = st.builds(SequenceSpec, st.just("lfsr"), taps, seeds)
sequences = st.one_of(
    st.just(SequenceSpec()), lfsrs, st.builds(random_table, st.just(7), st.integers(0, 99))
)


@st.composite
def products(draw: st.DrawFn) -> ProductSpec:
    or_width = draw(st.sampled_from((16, 64)))
    length = or_width * 2 ** draw(st.integers(0, 6 if or_width == 16 else 5))
    signed = draw(st.sampled_from(("offset", "split")))
    shift = draw(st.integers(0, 3)) if signed == "split" else 0
    return ProductSpec(or_width, length, draw(sequences), signed, shift)


def operands(kind: str, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    if kind == "random":
        return rng.integers(-128, 128, shape).astype(np.int8)
    if kind == "sparse":
        return (rng.integers(-128, 128, shape) * (rng.random(shape) < 0.1)).astype(np.int8)
    return np.full(shape, int(kind), np.int8)


KINDS = st.sampled_from(("random", "sparse", "-128", "127", "0"))


@given(products(), st.integers(1, 150), KINDS, KINDS, st.integers(-128, 127), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_matrix_form_equals_the_contract(spec, depth, x_kind, w_kind, zero_point, seed):
    rng = np.random.default_rng(seed)
    x = operands(x_kind, rng, (3, depth))
    w = operands(w_kind, rng, (depth, 4))
    expected = contract.product(x, w, spec, zero_point)
    np.testing.assert_array_equal(matrix.product(x, w, spec, zero_point), expected)


@pytest.mark.parametrize("or_width", (16, 64))
@pytest.mark.parametrize("kind", ("counter", "lfsr"))
def test_at_most_one_row_of_a_group_owns_a_point(or_width, kind):
    spec = ProductSpec(or_width, 256, SequenceSpec(kind))
    rows = np.arange(or_width)
    for r_a, r_w in spec.sequence.points(256, or_width):
        gates = (r_a // spec.side == rows // spec.root) & (r_w // spec.side == rows % spec.root)
        assert gates.sum() == 1


def test_counter_gives_every_region_the_same_number_of_points():
    for or_width, samples in ((16, 64), (64, 32), (16, 1), (64, 4)):
        spec = ProductSpec(or_width, or_width * samples)
        thresholds = matrix.region_thresholds(spec)
        assert thresholds.shape == (2, or_width, samples)
        assert thresholds.max() < spec.side


def test_exact_is_the_product_of_the_true_integers():
    rng = np.random.default_rng(1)
    x, w = operands("random", rng, (5, 300)), operands("-128", rng, (300, 7))
    expected = (x.astype(np.int64) - 9) @ w.astype(np.int64)
    np.testing.assert_array_equal(matrix.product(x, w, ProductSpec(exact=True), 9), expected)


def divide(numerator: int, denominator: int) -> int:
    """Round half away from zero, with Python's own integers."""
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


@given(st.integers(-(2**31), 2**31 - 1), st.integers(2**30, 2**31 - 1), st.integers(-31, 0))
@settings(max_examples=500, deadline=None)
def test_requantisation_rounds_twice(value, multiplier, shift):
    got = multiply_by_quantized_multiplier(
        np.array([value]), np.array([multiplier]), np.array([shift])
    )[0]
    wide = value * multiplier
    # gemmlowp: nudge, then C's division, which truncates towards zero.
    nudged = wide + (2**30 if wide >= 0 else 1 - 2**30)
    high = abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)
    assert got == divide(high, 2**-shift)


@st.composite
def scalings(draw: st.DrawFn) -> tuple[int, int, int]:
    """A sum, a multiplier and a shift, half of them so that the product is at or next to a tie."""
    shift = draw(st.integers(-31, 12))
    limit = 2**31 >> max(shift, 0)
    value = draw(
        st.sampled_from((-limit, -limit + 1, -1, 0, 1, limit - 1)) | st.integers(-limit, limit - 1)
    )
    if draw(st.booleans()):
        return value, draw(st.integers(0, 2**31 - 1)), shift
    power = draw(st.integers(0, 30))  # ties: odd multiples of half a unit
    unit = 31 - shift - power
    if 1 <= unit <= 31:
        odd = 2 * draw(st.integers(-(limit >> unit), max(0, (limit >> unit) - 1))) + 1
        value = (odd << unit - 1) + draw(st.integers(-1, 1))
    return min(max(value, -limit), limit - 1), 2**power, shift


@given(scalings())
@settings(max_examples=300, deadline=None)
def test_a_single_rounding_is_that_of_the_true_quotient(operands):
    got = multiply_rounding_once(*(np.array([number]) for number in operands))[0]
    assert got == scale_once(*operands)
