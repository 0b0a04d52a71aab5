"""Several pixels of a column in one window: the same bits in fewer products."""

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
from dscim.host.compile.descriptors import Bases
from dscim.host.compile.lower import Lowering
from dscim.host.compile.packing import best_packing, packed_layer, packed_matrix, packings
from dscim.host.device.run import NetworkRun
from dscim.host.device.target import open_target
from dscim.host.golden.reference import contract, weight_matrix, windows
from dscim.host.network import INPUT, Network
from tests.small_network import conv

COUNTER16 = ProductSpec(length=64, activation_shift=1)
COUNTER64 = ProductSpec(64, 64, activation_shift=2)
TABLE = ProductSpec(sequence=table_sequence("wide"), length=64)
LFSR = ProductSpec(sequence=SequenceSpec("lfsr"), length=64)
EXACT = ProductSpec(exact=True)
PRODUCTS = (COUNTER16, COUNTER64, TABLE, LFSR, EXACT)


def soc(product: ProductSpec) -> SocSpec:
    """A device with a macro for `product`, and an exact one."""
    lanes = 1 if product.sequence.kind == "lfsr" else 16
    return SocSpec(
        MacroSpec(rows=64, or_width=product.or_width, sequence=product.sequence, lanes=lanes)
    )


def alignment(product: ProductSpec) -> int:
    """The rows by which a pixel may move down."""
    if product.exact or product.sequence.kind == "table":
        return 1
    if product.sequence.kind == "lfsr":
        return product.or_width
    return {16: 8, 64: 16}[product.or_width]


def estimates(x: np.ndarray, matrix: np.ndarray, layer: LayerSpec) -> np.ndarray:
    """(H, W, outputs): the contract's estimates of one image, point by point."""
    rows = windows(x[None], layer)[0].reshape(-1, layer.depth)
    if layer.product.exact:
        return ((rows.astype(int) - layer.input_zero) @ matrix).reshape(layer.output)
    return contract.product(rows, matrix, layer.product, layer.input_zero).reshape(layer.output)


def unpacked(tall: np.ndarray, layer: LayerSpec) -> np.ndarray:
    """(H, W, outputs) of `layer` from the outputs of all pixels of each window."""
    height, width, _ = tall.shape
    pixels = layer.output[0] // height
    parts = tall.reshape(height, width, pixels, layer.outputs).transpose(0, 2, 1, 3)
    return parts.reshape(layer.output)


@given(
    st.sampled_from(PRODUCTS),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.sampled_from((8, 16)),
    st.integers(1, 12),
    st.integers(-128, 127),
    st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_the_estimates_are_those_of_one_pixel_per_window(
    product, high, wide, stride, outputs, channels, zero, seed
):
    step = alignment(product)
    moved = stride * wide * channels
    if moved % step:
        channels *= step // np.gcd(moved, step)
    if product.sequence.kind == "lfsr":
        channels = -(-channels // 8) * 8
    layer = LayerSpec(
        (4 * stride + high - 2, wide, channels),
        outputs,
        (high, wide),
        (stride, 1),
        ((1, 0), (1, 1)),
        zero,
        product=product,
    )
    assert layer.output[0] == 4
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, layer.input).astype(np.int8)
    weights = rng.integers(-128, 128, (outputs, *layer.kernel, channels)).astype(np.int8)
    expected = estimates(x, weight_matrix(weights), layer)
    offered = list(packings(soc(product), layer))
    assert offered == ([1, 2, 4] if outputs == 8 else [1, 2])
    for pixels in offered:
        matrix = packed_matrix(weights, layer, pixels)
        found = estimates(x, matrix, packed_layer(layer, pixels))
        assert np.array_equal(unpacked(found, layer), expected)


def layer(
    product: ProductSpec, channels: int = 16, outputs: int = 8, height: int = 8, stride: int = 1
) -> LayerSpec:
    """Of three taps in a row, same padding."""
    return LayerSpec(
        (stride * height, 8, channels),
        outputs,
        (1, 3),
        (stride, 1),
        ((0, 0), (1, 1)),
        product=product,
    )


@pytest.mark.parametrize(
    ("shape", "offered"),
    (
        (layer(COUNTER16), [1, 2, 4]),
        (layer(COUNTER16, channels=12), [1]),  # 36 rows down: other regions are odd
        (layer(COUNTER16, channels=12, stride=2), [1, 2, 4]),
        (layer(COUNTER64), [1, 2, 4]),
        (layer(COUNTER64, channels=8), [1]),
        (layer(COUNTER64, channels=8, stride=2), [1, 2, 4]),
        (layer(TABLE, channels=5), [1, 2, 4]),
        (layer(EXACT, channels=5), [1, 2, 4]),
        (layer(LFSR), [1, 2, 4]),
        (layer(LFSR, channels=8), [1]),
        (layer(LFSR, channels=8, stride=2), [1, 2, 4]),
        (layer(ProductSpec(signed="offset")), [1]),
        (layer(COUNTER16, outputs=12), [1]),
        (layer(COUNTER16, outputs=16), [1, 2]),
        (layer(COUNTER16, outputs=24), [1]),
        (layer(COUNTER16, height=6), [1, 2]),
        (layer(COUNTER16, height=7), [1]),
        (LayerSpec((8, 8, 16), 16, depthwise=True), [1]),
    ),
)
def test_what_is_offered(shape, offered):
    assert list(packings(soc(shape.product), shape)) == offered


def test_weights_that_change_their_region_change_the_bits():
    """Why the rows must move by whole units: here they do not, and the bits differ."""
    shape = layer(COUNTER16, channels=12)
    rng = np.random.default_rng(3)
    x = rng.integers(-128, 128, shape.input).astype(np.int8)
    weights = rng.integers(-128, 128, (8, 1, 3, 12)).astype(np.int8)
    found = estimates(x, packed_matrix(weights, shape, 2), packed_layer(shape, 2))
    expected = estimates(x, weight_matrix(weights), shape)
    assert not np.array_equal(unpacked(found, shape), expected)


def test_what_takes_the_fewest_products_is_chosen():
    spec = SocSpec()
    same = ((1, 1), (1, 1))
    # 18, 24 and 36 units: 2, 2 and 3 row tiles for 1, 2 and 4 pixels
    assert best_packing(spec, LayerSpec((32, 32, 16), 8, (3, 3), padding=same)) == 4
    assert best_packing(spec, LayerSpec((32, 32, 16), 16, (3, 3), padding=same)) == 2
    # 16 and 32 units of 1x1 windows: no fewer products
    assert best_packing(spec, LayerSpec((32, 32, 128), 16, stride=(1, 1))) == 1
    # one row tile each
    assert best_packing(spec, LayerSpec((32, 32, 8), 8)) == 4


@pytest.mark.parametrize("product", PRODUCTS, ids=("counter16", "counter64", "table", "lfsr", "e"))
@pytest.mark.parametrize("words", [8192, 128], ids=["whole", "in strips"])
def test_a_network_on_the_device_has_the_references_bits(words, product):
    made = soc(product)
    spec = SocSpec(made.macro, activation_words=words, weight_rows=512, banks=4, requant_lanes=8)
    rng = np.random.default_rng(1)
    nodes = (
        conv("first", INPUT, 16, 8, 3, rng, zeros=(3, -128)),
        conv("second", "first", 8, 16, 3, rng, zeros=(-128, 2)),
        conv("third", "second", 16, 8, 3, rng, zeros=(2, 0), stride=2),
        conv("fourth", "third", 8, 8, 1, rng, zeros=(0, 5)),
    )
    network = Network("pixels", (8, 8, 16), 1.0, 3, nodes, (), product, {})
    heights = [
        Lowering(product, spec)
        .commands(node, network.shapes()[node.inputs[0]], Bases())[0]
        .fields["output_height"]
        for node in nodes
    ]
    images = rng.integers(-128, 128, (2, 8, 8, 16)).astype(np.int8)
    with open_target("ref", spec) as device:
        run = NetworkRun([device], network, product, images, compare=True)
        list(run.execute(lambda *_: None))
    assert run.holds
    assert heights[0] < 8
    assert bool(run.program.strips) == (words == 128)
