"""Layouts: tensors in lines over banks, and weights with their headers, come back as they were."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.gateware.descriptor import Operation
from dscim.gateware.layout import (
    column_tiles,
    depthwise_rows,
    odd_rows,
    pack_activations,
    pack_depthwise,
    pack_product,
    pixel_words,
    product_rows,
    tensor_rows,
    unit_depth,
    unpack_activations,
    unpack_depthwise,
    unpack_product,
    window_places,
    window_units,
)
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.host.golden.reference.depthwise import tap_rows

MACROS = st.builds(
    MacroSpec,
    rows=st.sampled_from((16, 48, 64, 128, 144)),
    columns=st.sampled_from((4, 8, 16, 64, 256)),
) | st.builds(
    MacroSpec,
    rows=st.sampled_from((64, 192)),
    columns=st.sampled_from((8, 32)),
    or_width=st.just(64),
)


def device(macro: MacroSpec) -> SocSpec:
    return SocSpec(macro, weight_rows=1 << 16, requant_lanes=4)


@given(
    st.sampled_from((1, 2, 4, 8, 16)),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40)),
    st.booleans(),
    st.integers(0, 99),
)
@settings(deadline=None)
def test_every_word_of_a_tensor_is_at_its_line(banks, shape, raw, seed):
    """Line y*planes + p is in its bank, one word per pixel; sums take two to a word."""
    height, width, channels = shape
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, (height, width, channels * (4 if raw else 1))).astype(np.int8)
    words = pack_activations(x, banks)
    assert len(words) == 2 * banks * tensor_rows(shape, banks, raw)
    memory, planes = words.view(np.int8).reshape(-1, banks, 8), pixel_words(channels, raw)
    for y, column, octet in np.ndindex(x.shape):
        line = y * planes + octet // 8
        place = line // banks * width + column, line % banks, octet % 8
        assert memory[place] == x[y, column, octet]
    back = unpack_activations(words, shape, banks, raw)
    assert back.shape == shape and np.array_equal(back.view(np.int8), x)


def test_a_tensor_of_packed_pixels_lies_as_the_unpacked():
    """(H, W, C) and (H/m, W, m*C) with the pixels of a column beside each other: the same words."""
    x = np.random.default_rng(0).integers(-128, 128, (8, 5, 24)).astype(np.int8)
    tall = x.reshape(4, 2, 5, 24).transpose(0, 2, 1, 3).reshape(4, 5, 48)
    for banks in (1, 2, 4, 8, 16):
        assert np.array_equal(pack_activations(x, banks), pack_activations(tall, banks))


@given(st.integers(1, 50), st.integers(1, 20))
def test_units_of_a_window(channels, taps):
    """Lanes beyond the last plane are unused; a prefix of units is a prefix of rows."""
    places = window_places(channels, taps * channels)
    planes = pixel_words(channels)
    expected = [
        8 * (tap * planes + channel // 8) + channel % 8
        for tap in range(taps)
        for channel in range(channels)
    ]
    assert places.tolist() == expected
    assert window_units(channels, len(places)) == taps * planes
    for units in range(1, taps * planes + 1):
        depth = unit_depth(channels, units)
        assert depth == (places < 8 * units).sum() and window_units(channels, depth) == units


def test_odd_rows_have_the_contracts_other_order():
    assert odd_rows(np.arange(16), 16).tolist() == [0, 1, 0, 1, 1, 0, 1, 0] * 2
    for width in (16, 64):
        root = int(width**0.5)
        rows = np.arange(300)
        expected = [sum(divmod(row % width, root)) % 2 == 1 for row in rows]
        assert odd_rows(rows, width).tolist() == expected


@given(MACROS, st.integers(1, 30), st.integers(1, 20), st.integers(1, 70), st.integers(0, 99))
@settings(deadline=None)
def test_weights_of_a_product_come_back(macro, channels, taps, outputs, seed):
    spec, rng = device(macro), np.random.default_rng(seed)
    units = int(rng.integers(1, taps * pixel_words(channels) + 1))
    depth = unit_depth(channels, units)
    matrix = rng.integers(-128, 128, (depth, outputs)).astype(np.int8)
    rows = rng.integers(0, 5000, depth)
    words = pack_product(spec, matrix, channels, rows)
    memory = words.view(np.int8).reshape(-1, macro.columns)
    each, tiles = (
        product_rows(spec, channels, depth),
        column_tiles(spec, Operation.PRODUCT, outputs),
    )
    assert len(memory) == each * tiles
    parts = []
    for tile in range(tiles):
        held, odd = unpack_product(spec, memory[tile * each :], channels, units)
        assert np.array_equal(odd, odd_rows(rows, macro.or_width))
        parts.append(held)
    whole = np.concatenate(parts, axis=1)
    assert np.array_equal(whole[:, :outputs], matrix) and not whole[:, outputs:].any()


def test_a_product_in_the_weight_memory():
    """Two row tiles of 2 units; 3 channels per tap; 4 columns: a header takes one row."""
    spec = device(MacroSpec(rows=16, columns=4))
    matrix = np.arange(1, 10, dtype=np.int8)[:, None] * np.array([1, 10], np.int8)
    memory = pack_product(spec, matrix, 3).view(np.uint8).reshape(-1, 4)
    # rows 0, 1, 2 and 8, 9, 10 of the first tile; contract rows 1, 3, 4 of them are odd
    assert memory[0].tolist() == [0b010, 0b011, 0, 0]
    assert memory[1:7, 0].tolist() == [1, 2, 3, 4, 5, 6] and memory[1, 1] == 10
    # contract row 6 of rows 6, 7, 8 is odd
    assert memory[7].tolist() == [0b001, 0, 0, 0]
    assert memory[8:, 0].tolist() == [7, 8, 9]


@given(MACROS, st.integers(1, 40), st.integers(1, 60), st.integers(0, 99))
@settings(deadline=None)
def test_weights_of_a_depthwise_come_back(macro, channels, taps, seed):
    if macro.columns < 8:
        return
    spec, rng = device(macro), np.random.default_rng(seed)
    weights = rng.integers(-128, 128, (taps, channels)).astype(np.int8)
    rows = tap_rows(taps, channels)
    memory = pack_depthwise(spec, weights, rows).view(np.int8).reshape(-1, macro.columns)
    each = depthwise_rows(spec, taps)
    assert len(memory) == each * column_tiles(spec, Operation.DEPTHWISE, channels)
    for plane, first in enumerate(range(0, channels, 8)):
        own = slice(first, min(first + 8, channels))
        lanes = own.stop - first
        held, odd = unpack_depthwise(spec, memory[plane * each :], lanes, taps)
        cube = held.reshape(taps, lanes, lanes)
        lane = np.arange(lanes)
        assert np.array_equal(cube[:, lane, lane], weights[:, own])
        cube[:, lane, lane] = 0
        assert not cube.any()
        assert np.array_equal(odd, odd_rows(rows[:, own].reshape(-1), macro.or_width))


@pytest.mark.parametrize(("columns", "rows"), ((8, 3 + 18 + 3 + 2), (32, 1 + 5 + 1 + 1)))
def test_depthwise_weights_are_compact(columns, rows):
    """20 taps in row tiles of 18 and 2 units: eight bytes per tap, and a header for each tile."""
    assert depthwise_rows(device(MacroSpec(rows=144, columns=columns)), 20) == rows
