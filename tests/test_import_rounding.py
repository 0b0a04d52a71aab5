"""A single rounding with 31 bits compared with one of 53: every difference is counted."""

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.host.network.importers.scales import nearest_scaling, reach
from dscim.host.network.scaling import quantise_multiplier
from tests.integers import half_away, scale_once, scale_twice


def differing(real: float, multiplier: int, shift: int, sums: Iterable[int]) -> int:
    """The number of unsaturated sums that do not round as their product in double precision."""
    return sum(
        scale_once(total, multiplier, shift) != half_away(Fraction(real * total))
        for total in sums
        if abs(real * total) < 256
    )


@settings(deadline=None, max_examples=25)
@given(st.floats(2.0**-9, 3), st.integers(-1500, 0), st.integers(0, 1500))
def test_every_sum_that_differs_is_counted(real, least, most):
    multiplier, shift, wrong = nearest_scaling(real, least, most)
    assert differing(real, multiplier, shift, range(least, most + 1)) == wrong


def test_a_factor_of_more_bits_than_31_is_counted():
    """A sum of 30 bits is a ten-millionth of an output, so some lie between the factors' ties."""
    real = 1.2345678901e-7
    multiplier, shift, wrong = nearest_scaling(real, 0, 2**31 - 1)
    assert wrong > 0
    near = {round((k + 0.5) / real) + off for k in range(256) for off in range(-40, 41)}
    assert differing(real, multiplier, shift, sorted(near)) == wrong


@pytest.mark.parametrize("real", [0.5, 0.25, 2.0**-7, 3 * 2.0**-9, 1.5, 5.0])
def test_ties_go_away_from_zero_on_both_sides(real):
    multiplier, shift, wrong = nearest_scaling(real, -4000, 4000)
    assert wrong == 0
    assert not differing(real, multiplier, shift, range(-1500, 1501))


def test_twice_is_worse_than_once():
    """With two roundings many more sums differ."""
    real = 0.022592034071161442
    multiplier, shift, wrong = nearest_scaling(real, -20000, 20000)
    assert wrong == 0 and (multiplier, shift) == tuple(
        int(number[0]) for number in quantise_multiplier([real])
    )
    sums = range(-10000, 10000, 7)
    off = sum(
        scale_twice(total, multiplier, shift) != half_away(Fraction(real * total)) for total in sums
    )
    assert off > 0.005 * len(sums)


def test_factors_beyond_the_integers_and_none():
    assert nearest_scaling(0.0, -5, 5) == (0, 0, 0)
    assert nearest_scaling(1e-300, -(2**31), 2**31 - 1) == (0, 0, 0)
    assert nearest_scaling(0.3, 7, 7)[2] == 0


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**16), st.integers(-128, 127))
def test_reach_holds_every_sum(seed, zero):
    generator = np.random.default_rng(seed)
    weights = generator.integers(-128, 128, (3, 7)).astype(np.int8)
    bias = generator.integers(-5000, 5000, 3).astype(np.int32)
    least, most = reach(weights, bias, zero)
    x = generator.integers(-128, 128, (50, 7)) - zero
    sums = x @ weights.T.astype(int) + bias
    assert (sums >= least).all() and (sums <= most).all()
    ends = np.where(weights > 0, 127, -128) - zero
    assert np.array_equal((ends * weights.astype(int)).sum(axis=1) + bias, most)
