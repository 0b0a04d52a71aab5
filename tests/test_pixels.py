"""Several pixels packed into one window: the same bits in fewer cycles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.gateware.specs import (
    LayerSpec,
    MacroSpec,
    ProductSpec,
    SequenceSpec,
    SocSpec,
    table_sequence,
)
from dscim.host.compile.cycles import best_packing, product_cycles
from dscim.host.compile.descriptors import Bases
from dscim.host.compile.lower import Lowering
from dscim.host.compile.packing import UNPACKED, Packing, packed_layer, packed_matrix, packings
from dscim.host.device.run import NetworkRun
from dscim.host.device.target import open_target
from dscim.host.golden.reference import PreparedWeights, weight_matrix, windows
from dscim.host.network import INPUT, Network
from tests.small_network import conv

PRODUCTS = (
    ProductSpec(),
    ProductSpec(length=64, activation_shift=1),
    ProductSpec(exact=True),
    ProductSpec(sequence=SequenceSpec("lfsr")),
    ProductSpec(64, 64),
    ProductSpec(sequence=table_sequence("wide")),
)

SOC = SocSpec()


def estimates(
    x: np.ndarray, matrix: np.ndarray, layer: LayerSpec, packing: Packing = UNPACKED
) -> np.ndarray:
    """(H, W, outputs): the product's estimates of one image; layer: with one pixel per window."""
    made = packed_layer(layer, packing)
    if packing.stacked:  # pixel by pixel, each from a whole OR group
        rows = windows(x[None], layer)[0].reshape(-1, layer.depth)
        gap = -layer.depth % layer.product.or_width
        rows = np.pad(rows, ((0, 0), (0, gap)), constant_values=layer.input_zero)
        rows = rows.reshape(-1, packing.pixels * rows.shape[1])[:, : len(matrix)]
    else:
        rows = windows(x[None], made)[0].reshape(-1, made.depth)
    prepared = PreparedWeights(matrix, layer.product, layer.input_zero)
    return prepared.product(rows).reshape(layer.output)


def check_all(layer: LayerSpec, seed: int) -> list[Packing]:
    """Checks that every packing has the estimates of one pixel per window; returns them."""
    generator = np.random.default_rng(seed)
    x = generator.integers(-128, 128, layer.input).astype(np.int8)
    weights = generator.integers(-128, 128, (layer.outputs, *layer.kernel, layer.input[2])).astype(
        np.int8
    )
    expected = estimates(x, weight_matrix(weights), layer)
    offered = list(packings(SOC, layer))
    for packing in offered:
        matrix = packed_matrix(weights, layer, packing, layer.product.or_width)
        assert np.array_equal(estimates(x, matrix, layer, packing), expected)
    return offered


@given(
    st.sampled_from(PRODUCTS),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.sampled_from((8, 16)),
    st.integers(1, 3),
    st.integers(-128, 127),
    st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_the_estimates_are_those_of_one_pixel_per_window(
    product, high, wide, stride, outputs, wider, zero, seed
):
    channels = 3 if product.exact else product.or_width
    width = 4 * wider * stride + wide - 1
    layer = LayerSpec(
        (5, width - 2, channels),
        outputs,
        (high, wide),
        (1, stride),
        ((1, 0), (1, 1)),
        zero,
        product=product,
    )
    assert check_all(layer, seed)[:2] == [UNPACKED, Packing(2)]


@given(
    st.sampled_from(PRODUCTS[:2]),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.sampled_from((8, 16)),
    st.integers(1, 7),
    st.integers(-128, 127),
    st.integers(0, 2**16),
)
@settings(max_examples=40, deadline=None)
def test_stacked_windows_have_them_too(product, high, wide, stride, outputs, channels, zero, seed):
    layer = LayerSpec(
        (5, 8 * stride + wide - 3, channels),
        outputs,
        (high, wide),
        (1, stride),
        ((1, 0), (1, 1)),
        zero,
        product=product,
    )
    groups = -(-layer.depth // product.or_width)
    most = min(SOC.macro.columns // outputs, SOC.macro.rows // (groups * product.or_width))
    assert check_all(layer, seed) == [
        UNPACKED,
        *(Packing(pixels, True) for pixels in (2, 4) if pixels <= most),
    ]


@pytest.mark.parametrize(
    "layer",
    [
        LayerSpec((8, 8, 12), 8, (3, 3)),
        LayerSpec((8, 8, 32), 8, (3, 3), product=ProductSpec(64, 64)),
        LayerSpec((8, 8, 16), 8, product=ProductSpec(signed="offset")),
        LayerSpec((8, 8, 16), 12),
        LayerSpec((8, 7, 16), 8),
        LayerSpec((8, 8, 16), 24),
        LayerSpec((8, 8, 16), 16, depthwise=True),
    ],
    ids=[
        "too deep when stacked",
        "a wide group",
        "offset",
        "ragged words",
        "odd width",
        "too few columns",
        "depthwise",
    ],
)
def test_other_layers_have_one_pixel_per_window(layer):
    assert list(packings(SOC, layer)) == [UNPACKED]


def test_weights_that_change_their_region_change_the_bits():
    """Why taps must fill OR groups if windows overlap: here they do not, and the bits differ."""
    layer = LayerSpec((8, 8, 12), 8, (3, 3))
    generator = np.random.default_rng(3)
    x = generator.integers(-128, 128, layer.input).astype(np.int8)
    weights = generator.integers(-128, 128, (8, 3, 3, 12)).astype(np.int8)
    matrix = packed_matrix(weights, layer, Packing(2), 16)
    assert not np.array_equal(
        estimates(x, matrix, layer, Packing(2)), estimates(x, weight_matrix(weights), layer)
    )


def test_what_takes_the_fewest_cycles_is_chosen():
    layer = LayerSpec((32, 32, 16), 16, (3, 3), padding=((1, 1), (1, 1)))
    assert best_packing(SOC, layer) == Packing(2)
    assert product_cycles(SOC, layer) < 0.52 * 33216  # counted with one pixel per window
    few = LayerSpec((1, 2, 256), 16, (1, 2), padding=((0, 0), (0, 1)))  # 4 and 6 row tiles
    assert best_packing(SOC, few) == UNPACKED
    first = LayerSpec((32, 32, 3), 16, (3, 3), padding=((1, 1), (1, 1)))
    assert best_packing(SOC, first) == Packing(2, stacked=True)
    assert product_cycles(SOC, first) < 0.57 * 16550  # counted with one pixel per window


@pytest.mark.parametrize("words", [8192, 128], ids=["whole", "in strips"])
def test_a_network_on_the_device_has_the_references_bits(words):
    spec = SocSpec(MacroSpec(rows=64, columns=16), activation_words=words, weight_rows=256)
    rng = np.random.default_rng(1)
    nodes = (
        conv("first", INPUT, 16, 8, 3, rng, zeros=(3, -128)),
        conv("second", "first", 8, 16, 3, rng, zeros=(-128, 2)),
        conv("third", "second", 16, 8, 3, rng, zeros=(2, 0), stride=2),
        conv("fourth", "third", 8, 8, 1, rng, zeros=(0, 5)),
    )
    network = Network("pixels", (8, 8, 16), 1.0, 3, nodes, (), ProductSpec(), {})
    made = [
        Lowering(ProductSpec(), spec).commands(node, network.shapes()[node.inputs[0]], Bases())
        for node in nodes
    ]
    assert [commands[0].fields["kernel_width"] for commands in made] == [4, 3, 5, 1]
    assert [commands[0].fields["windows_log2"] for commands in made] == [0, 0, 0, 1]
    images = rng.integers(-128, 128, (2, 8, 8, 16)).astype(np.int8)
    with open_target("ref", spec) as device:
        run = NetworkRun([device], network, ProductSpec(), images, compare=True)
        list(run.execute(lambda *_: None))
    assert run.holds
    assert bool(run.program.strips) == (words == 128)
