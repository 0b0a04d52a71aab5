"""A single rounding by a multiplier without a shift: proved where it says so, counted else."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.host.importers.rounding import once_rounded, reach, single_rounding
from dscim.host.network.scaling import quantise_multiplier
from tests.test_network_evaluate import half_away, scale


@settings(deadline=None, max_examples=60)
@given(st.floats(2.0**-9, 0.9), st.integers(0, 2**16))
def test_the_share_is_counted_over_every_sum(real, seed):
    multiplier, shift, wrong = single_rounding(real, -3000, 2500)
    bound = int(260 / real)
    sums = range(max(-3000, -bound), min(2500, bound) + 1)
    chosen = np.random.default_rng(seed).choice(np.array(sums), 200)
    differing = [int(total) for total in chosen if scale(int(total), multiplier, shift)
                 != half_away(Fraction(real * int(total)))]
    assert len(differing) <= 200 * wrong + 10 * (wrong > 0)


@pytest.mark.parametrize("real", [0.5, 0.25, 2.0**-7, 3 * 2.0**-9])
def test_ties_go_away_from_zero_on_both_sides(real):
    multiplier, shift, wrong = single_rounding(real, -4000, 4000)
    assert wrong == 0
    bound = int(200 / real)
    assert all(scale(total, multiplier, shift) == half_away(Fraction(real * total))
               for total in range(-bound, bound + 1, max(1, bound // 500)))


def test_twice_is_worse_than_once():
    """The kernels' own integers round twice, and many more sums come out otherwise."""
    real = 0.022592034071161442
    multiplier, shift, wrong = single_rounding(real, -20000, 20000)
    assert wrong == 0 and shift == 0
    twice = [int(number[0]) for number in quantise_multiplier([real])]
    sums = range(-10000, 10000, 7)
    off = sum(scale(total, *twice) != half_away(Fraction(real * total)) for total in sums)
    assert off > 0.005 * len(sums)
    assert not sum(scale(total, multiplier, shift) != half_away(Fraction(real * total))
                   for total in sums)


def test_many_sums_are_sampled_and_their_share_is_no_less_than_expected():
    multiplier, shift, wrong = single_rounding(2.0**-13 * 1.37, -2**22, 2**22, 1000)
    assert 0 < wrong < 0.01 and multiplier > 0 and -31 <= shift <= 0
    assert single_rounding(0.0, -5, 5)[2] == 0


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


@given(st.lists(st.floats(1e-9, 4), min_size=1, max_size=5))
def test_once_rounded_stands_for_its_factors(reals):
    multiplier, shift = once_rounded(np.array(reals))
    held = multiplier.astype(float) * 2.0 ** (shift - 31)
    assert np.allclose(held, reals, rtol=2.0**-18, atol=2.0**-40)
    assert ((multiplier >= 0) & (shift <= 3)).all()
