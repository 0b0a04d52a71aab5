"""The depthwise reference compared with the contract's own loops on a block diagonal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.gateware.specs import LayerSpec, MacroSpec, ProductSpec, SequenceSpec, SocSpec
from dscim.host.device.run import NetworkRun
from dscim.host.device.target import open_target
from dscim.host.golden.reference import contract, requantise
from dscim.host.golden.reference.depthwise import (
    PreparedDepthwise,
    depthwise_windows,
    product,
    tap_rows,
)
from dscim.host.network import INPUT, Depthwise, Network

LFSR = MacroSpec(rows=48, lanes=1, sequence=SequenceSpec("lfsr"))
"""An ordered macro: the host unrolls depthwise layers for it."""

SPECS = st.one_of(
    st.builds(
        ProductSpec,
        st.just(16),
        st.sampled_from([16, 64, 256]),
        st.sampled_from([SequenceSpec(), SequenceSpec("lfsr")]),
        activation_shift=st.integers(0, 3),
    ),
    st.builds(
        ProductSpec, st.just(64), st.sampled_from([64, 256]), activation_shift=st.integers(0, 3)
    ),
)


def extremes(generator, shape):
    """Random int8, many of them at the ends of the range."""
    x = generator.integers(-128, 128, shape)
    return np.where(
        generator.random(shape) < 0.2, generator.choice([-128, -1, 0, 127], shape), x
    ).astype(np.int8)


def block_diagonal(x, w, spec, zero):
    """The contract's product of each row tile with zero weights off the diagonal."""
    (taps, outputs), channels = w.shape, x.shape[2]
    each, together = outputs // channels, max(1, 128 // taps)
    total = np.zeros((len(x), outputs), np.int64)
    for first in range(0, channels, together):
        held = range(first, min(first + together, channels))
        tile = x[:, :, first : held.stop].transpose(0, 2, 1).reshape(len(x), -1)
        for channel in held:
            for o in range(channel * each, (channel + 1) * each):
                column = np.zeros((tile.shape[1], 1), np.int8)
                column[(channel - first) * taps : (channel - first + 1) * taps, 0] = w[:, o]
                total[:, o] += contract.product(tile, column, spec, zero)[:, 0]
    return total


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**16),
    SPECS,
    st.integers(1, 30),
    st.integers(1, 7),
    st.integers(1, 2),
    st.integers(-128, 127),
)
def test_product_is_the_contract_on_a_block_diagonal(seed, spec, taps, channels, each, zero):
    generator = np.random.default_rng(seed)
    x = extremes(generator, (3, taps, channels))
    w = extremes(generator, (taps, channels * each))
    assert np.array_equal(product(x, w, spec, zero), block_diagonal(x, w, spec, zero))


def test_more_taps_than_rows_begin_a_tile_again():
    generator = np.random.default_rng(0)
    x, w = extremes(generator, (2, 150, 2)), extremes(generator, (150, 2))
    spec = ProductSpec(64, 256)
    assert np.array_equal(product(x, w, spec, 3), block_diagonal(x, w, spec, 3))


@settings(deadline=None, max_examples=20)
@given(
    st.integers(0, 2**16),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(-128, 127),
)
def test_exact_product_is_the_true_integers(seed, taps, channels, each, zero):
    generator = np.random.default_rng(seed)
    x = extremes(generator, (4, taps, channels))
    w = extremes(generator, (taps, channels * each))
    wide = np.repeat(x.astype(np.int64) - zero, each, axis=2)
    assert np.array_equal(
        product(x, w, ProductSpec(exact=True), zero), (wide * w.astype(np.int64)).sum(axis=1)
    )


def test_rows_are_packed_as_the_contract_says():
    rows = tap_rows(9, 30)
    assert rows.shape == (9, 30)
    assert rows[:, 0].tolist() == list(range(9))
    assert rows[0, 13] == 117 and rows[8, 13] == 125 and rows[0, 14] == 0
    assert tap_rows(200, 3)[127:130, 2].tolist() == [127, 0, 1]


@pytest.mark.parametrize("channels", [5, 32])
@pytest.mark.parametrize("each", [1, 2])
@pytest.mark.parametrize("taps", [(3, 3), (1, 7), (12, 12)])
def test_a_devices_rows_do_not_matter(taps, each, channels):
    """The same layer on macros of 128, 144 and 16 rows has the reference's bits."""
    rng = np.random.default_rng([channels, each, *taps])
    shape, outputs = (13, 13, channels), channels * each
    node = Depthwise(
        "depthwise",
        (INPUT,),
        4,
        1.0,
        weights=extremes(rng, (*taps, outputs)),
        bias=rng.integers(-999, 999, outputs).astype(np.int32),
        multiplier=rng.integers(1 << 30, (1 << 31) - 1, outputs).astype(np.int32),
        shift=np.full(outputs, -7, np.int32),
        input_zero=-3,
        stride=(2, 3),
    )
    network, image = Network("one", shape, 1.0, -3, (node,)), extremes(rng, (1, *shape))
    for macro in (MacroSpec(), MacroSpec(rows=144), MacroSpec(rows=16, columns=4), LFSR):
        arithmetic = ProductSpec(sequence=macro.sequence)
        spec = SocSpec(macro, requant_lanes=4, exact=False)
        with open_target("ref", spec) as device:
            run = NetworkRun([device], network, arithmetic, image)
            list(run.execute(lambda *_: None))
        assert run.holds, macro


def test_offset_is_refused():
    x, w = np.zeros((1, 9, 2), np.int8), np.zeros((9, 2), np.int8)
    with pytest.raises(ValueError, match="split, not in offset"):
        product(x, w, ProductSpec(signed="offset"))


@pytest.mark.parametrize("exact", [False, True])
def test_layer_pads_strides_and_requantises(exact):
    """Every value of a layer from its own window; channel multiplier 2, unequal padding."""
    generator = np.random.default_rng(1)
    layer = LayerSpec(
        (5, 6, 3),
        6,
        (3, 2),
        (2, 1),
        ((1, 0), (0, 1)),
        -7,
        4,
        (-100, 90),
        ProductSpec(length=64, activation_shift=1, exact=exact),
        depthwise=True,
    )
    x = generator.integers(-128, 128, (2, 5, 6, 3)).astype(np.int8)
    weights = generator.integers(-128, 128, (3, 2, 6)).astype(np.int8)
    bias = generator.integers(-2000, 2000, 6).astype(np.int32)
    ready = PreparedDepthwise(
        layer, weights, bias, np.full(6, 1 << 30, np.int32), np.full(6, -6, np.int32)
    )
    sums = ready.accumulate(x)
    assert sums.shape == (2, *layer.output)
    padded = np.pad(x, ((0, 0), (1, 0), (0, 1), (0, 0)), constant_values=-7)
    for n, i, j in np.ndindex(sums.shape[:3]):
        window = padded[n, 2 * i : 2 * i + 3, j : j + 2].reshape(1, 6, 3)
        wanted = product(window, weights.reshape(6, 6), layer.product, -7)[0] + bias
        assert np.array_equal(sums[n, i, j], wanted)
    assert np.array_equal(ready.run(x), requantise(sums, 1 << 30, -6, 4, (-100, 90)))
    assert np.array_equal(
        depthwise_windows(x, layer)[1, 0, 0].reshape(3, 2, 3), padded[1, 0:3, 0:2]
    )
