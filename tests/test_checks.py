"""Wrong arguments of public functions are a typed error with both values, never a result."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from dscim.errors import ArgumentError
from dscim.gateware import registers
from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.host.compile.parameters import LayerParameters
from dscim.host.device import Device
from dscim.host.device.target import open_target
from dscim.host.golden.emulator import prepare
from dscim.host.golden.reference import PreparedLayer, PreparedWeights, contract, product
from dscim.host.golden.reference.depthwise import PreparedDepthwise
from dscim.host.golden.reference.depthwise import product as depthwise_product
from tests.small_devices import NARROW

X, W = np.ones((20, 5), np.int8), np.ones((5, 40), np.int8)
SPEC = ProductSpec(length=64)

WRONG_OPERANDS = [
    (X, np.ones((200, 40), np.int8), 0, "x is int8 of shape (20, 5), not int8 of shape (M, 200)"),
    (X.astype(np.int16), W, 0, "x is int16 of shape (20, 5), not int8"),
    (X.astype(np.float64), W, 0, "x is float64"),
    (X.tolist(), W, 0, "x is a list, not int8 of shape (M, 5)"),
    (X, W.astype(np.uint8), 0, "w is uint8"),
    (X[0], W, 0, "x is int8 of shape (5,), not int8 of shape (M, 5)"),
    (X, W[None], 0, "w is int8 of shape (1, 5, 40), not int8 of shape (K, N)"),
    (X[:, :0], W[:0], 0, "0"),
    (X, W, 128, "zero_point 128 is not an integer within -128..127"),
    (X, W, 0.5, "zero_point 0.5"),
]
MULTIPLIERS: list[Callable[..., object]] = [
    lambda x, w, z: product(x, w, SPEC, z),
    lambda x, w, z: PreparedWeights(w, SPEC, z).product(x),
    lambda x, w, z: contract.product(x, w, SPEC, z),
    lambda x, w, z: open_target("ref", NARROW).multiply(x, w, SPEC, z),
]


@pytest.mark.parametrize("multiply", MULTIPLIERS)
@pytest.mark.parametrize(("x", "w", "zero", "words"), WRONG_OPERANDS)
def test_wrong_operands(
    multiply: Callable[..., object], x: object, w: object, zero: object, words: str
) -> None:
    with pytest.raises(ArgumentError, match=re.escape(words)):
        multiply(x, w, zero)


LAYER = LayerSpec((6, 6, 8), 4, (3, 3), padding=((1, 1), (1, 1)), product=SPEC)
ARRAYS = (
    np.ones((4, 3, 3, 8), np.int8),
    np.zeros(4, np.int32),
    np.full(4, 1 << 30, np.int32),
    np.full(4, -9, np.int32),
)
IMAGES = np.ones((2, 6, 6, 8), np.int8)
LAYERS = [
    (PreparedLayer, LAYER, ARRAYS),
    (prepare, LAYER, ARRAYS),
    (
        PreparedDepthwise,
        LayerSpec((6, 6, 8), 8, (3, 3), product=SPEC, depthwise=True),
        (np.ones((3, 3, 8), np.int8), *[np.zeros(8, np.int32)] * 3),
    ),
]


@pytest.mark.parametrize(("make", "layer", "arrays"), LAYERS)
def test_wrong_layers(make: Callable[..., object], layer: LayerSpec, arrays: tuple) -> None:
    prepared = make(layer, *arrays)
    for run in (prepared.run, prepared.accumulate):
        for wrong in (IMAGES[:, :5], IMAGES[0], IMAGES.astype(np.uint8)):
            with pytest.raises(ArgumentError, match=r"x is u?int8 .*\(N, 6, 6, 8\)"):
                run(wrong)
    for place in range(4):
        for change in (lambda a: a[..., :-1], lambda a: a.astype(np.int64)):
            changed = list(arrays)
            changed[place] = change(arrays[place])
            with pytest.raises(ArgumentError, match=r" is .* not int(8|32) of shape"):
                make(layer, *changed)


@pytest.fixture(name="device", scope="module")
def _device() -> Device:
    return open_target("ref", NARROW)


ROWS = NARROW.activation_rows
WORDS = np.zeros(4, np.uint32)
WRONG_CALLS: list[tuple[Callable[[Device], object], str]] = [
    (lambda d: d.run_layer(LAYER, LayerParameters(*ARRAYS), IMAGES[:, :5]), "(N, 6, 6, 8)"),
    (lambda d: d.multiply_windows(LAYER, ARRAYS[0][:3], IMAGES), "(4, 3, 3, 8)"),
    (lambda d: d.multiply_windows(LAYER, ARRAYS[0], IMAGES[..., :7]), "(N, 6, 6, 8)"),
    (lambda d: d.write_tensor(0, np.full((1, 1, 1), 300, np.int16)), "int16"),
    (lambda d: d.write_tensor(0, IMAGES), "(H, W, C)"),
    (lambda d: d.write_tensor(ROWS, IMAGES[0]), f"row {ROWS}"),
    (lambda d: d.write_tensor(-1, IMAGES[0]), "row -1"),
    (lambda d: d.read_tensor(ROWS - 1, (6, 6, 8)), f"the device has {ROWS}"),
    (lambda d: d.read_tensor(0, (6, 0, 8)), "(6, 0, 8)"),
    (lambda d: d.start(0, NARROW.descriptors + 1), f"0..{NARROW.descriptors}"),
    (lambda d: d.start(-1, 1), "first descriptor -1"),
    (lambda d: d.load(WORDS.astype(np.int64), WORDS, WORDS), "weights is int64"),
    (lambda d: d.load(WORDS, WORDS, np.zeros(1 << 20, np.uint32)), "descriptors 1048576"),
    (lambda d: d.link.read(registers.address("magic") + 1, 1), "multiples of 4"),
    (lambda d: d.link.read(0, -1), "-1 words"),
    (lambda d: d.link.write(0x4000_0002, WORDS), "0x40000002"),
    (lambda d: d.link.write(0x4000_0000, WORDS.astype(np.int32)), "int32"),
    (lambda d: d.link.write(0x4000_0000, WORDS.reshape(2, 2)), "(2, 2)"),
]


@pytest.mark.parametrize(("call", "words"), WRONG_CALLS)
def test_wrong_calls_of_a_device(
    device: Device, call: Callable[[Device], object], words: str
) -> None:
    with pytest.raises(ArgumentError, match=re.escape(words)):
        call(device)


def test_wrong_depthwise_operands() -> None:
    x, w = np.ones((3, 9, 4), np.int8), np.ones((9, 8), np.int8)
    assert depthwise_product(x, w, SPEC).shape == (3, 8)
    for wrong_x, wrong_w in ((x[:, :8], w), (x, w[:, :7]), (x.astype(np.int32), w)):
        with pytest.raises(ArgumentError):
            depthwise_product(wrong_x, wrong_w, SPEC)


def test_no_rows_are_no_error(device: Device) -> None:
    assert device.multiply(X[:0], W, SPEC).values.shape == (0, 40)
    assert product(X[:0], W, SPEC).shape == (0, 40)
