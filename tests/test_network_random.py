"""Random networks of every kind of node: written, read and evaluated; some kinds one by one."""

from fractions import Fraction
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.gateware.specs import ProductSpec
from dscim.host.network import (
    Evaluator,
    MaxPool,
    Mean,
    Pad,
    Requantise,
    Reshape,
    Softmax,
    host_node,
    load,
    run,
    save,
)
from dscim.host.network.file import pack
from dscim.host.network.scaling import mean_factors, quantise_multiplier, softmax_table
from tests.integers import scale_once, scale_twice
from tests.random_networks import networks, random_images
from tests.test_network_evaluate import INT8

ARITHMETICS = [ProductSpec(exact=True), ProductSpec(), ProductSpec(64, 64)]


@settings(deadline=None, max_examples=60)
@given(networks(), st.integers(0, 2**16))
def test_a_network_survives_its_file(tmp_path_factory, network, seed):
    path = tmp_path_factory.mktemp("random") / "n.npz"
    save(network, path)
    read = load(path)
    assert pack(read) == path.read_bytes()
    images = random_images(network, 2, seed)
    for arithmetic in (None, *ARITHMETICS):
        first, second = run(network, images, arithmetic), run(read, images, arithmetic)
        shapes = network.shapes()
        for name, value in first.items():
            assert value.dtype == np.int8 and value.shape == (2, *shapes[name])
            assert np.array_equal(value, second[name])


@settings(deadline=None, max_examples=30)
@given(networks(), st.integers(0, 2**16))
def test_every_image_is_alone(network, seed):
    """An image gives the same result alone and in a batch."""
    images = random_images(network, 3, seed)
    together = Evaluator(network).outputs(images)
    assert all(
        np.array_equal(Evaluator(network).outputs(images[i : i + 1])[0], together[i])
        for i in range(3)
    )


def one(values, *shape):
    return np.array(values, np.int8).reshape(1, *shape)


@settings(deadline=None, max_examples=100)
@given(st.lists(INT8, min_size=1, max_size=12), INT8, INT8, st.floats(0.01, 100), st.booleans())
def test_mean(values, zero, output_zero, real, once):
    multiplier, shift = mean_factors(real, len(values))
    node = Mean(
        "mean",
        ("a",),
        output_zero,
        1.0,
        (-120, 110),
        input_zero=zero,
        multiplier=multiplier,
        shift=shift,
        single_rounding=once,
    )
    scale = scale_once if once else scale_twice
    total = scale(sum(values) - zero * len(values), multiplier, shift) + output_zero
    got = int(host_node(node, [one(values, len(values), 1, 1)]).item())
    assert got == min(max(total, -120), 110)
    exact = Fraction(real) * Fraction(sum(values) - zero * len(values), len(values)) + output_zero
    assert abs(got - min(max(exact, -120), 110)) < 1  # rounded twice


@settings(deadline=None, max_examples=100)
@given(INT8, INT8, INT8, st.floats(1e-4, 1000), st.booleans())
def test_requantise(value, zero, output_zero, real, once):
    multiplier, shift = (int(number[0]) for number in quantise_multiplier([real]))
    node = Requantise(
        "other",
        ("a",),
        output_zero,
        1.0,
        (-128, 100),
        input_zero=zero,
        multiplier=multiplier,
        shift=shift,
        single_rounding=once,
    )
    scale = scale_once if once else scale_twice
    wanted = scale(value - zero, multiplier, shift) + output_zero
    assert host_node(node, [one([value], 1, 1, 1)]).item() == min(max(wanted, -128), 100)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**16), st.integers(1, 3), st.integers(1, 2), st.integers(0, 1))
def test_max_pool(seed, kernel, stride, before):
    x = np.random.default_rng(seed).integers(-128, 128, (2, 5, 4, 2)).astype(np.int8)
    before = min(before, kernel - 1)
    node = MaxPool(
        "pool",
        ("a",),
        3,
        1.0,
        (-100, 90),
        kernel=(kernel, 2),
        stride=(stride, 1),
        padding=((before, 0), (0, 1)),
    )
    got = host_node(node, [x])
    for (b, i, j, c), value in np.ndenumerate(got):
        seen = [
            x[b, y, z, c]
            for y in range(i * stride - before, i * stride - before + kernel)
            for z in range(j, j + 2)
            if 0 <= y < 5 and z < 4
        ]
        assert value == min(max([*seen, -100]), 90)
    assert got.shape == (2, (5 + before - kernel) // stride + 1, 4, 2)


def test_pad_and_reshape():
    x = np.arange(6, dtype=np.int8).reshape(1, 1, 3, 2)
    padded = host_node(Pad("pad", ("a",), -5, 1.0, padding=((1, 0), (0, 2))), [x])
    assert padded.shape == (1, 2, 5, 2)
    assert np.array_equal(padded[0, 1, :3], x[0, 0])
    assert (padded[0, 0] == -5).all() and (padded[0, 1, 3:] == -5).all()
    flat = host_node(Reshape("flat", ("a",), -5, 1.0, shape=(1, 1, 6)), [x])
    assert flat.shape == (1, 1, 1, 6) and flat.ravel().tolist() == list(range(6))


@settings(deadline=None, max_examples=60)
@given(st.lists(INT8, min_size=1, max_size=20), st.floats(0.001, 1))
def test_softmax(values, step):
    table = softmax_table(step)
    assert np.abs(table - np.exp(-step * np.arange(256.0))).max() < 1e-6
    node = Softmax("softmax", ("a",), -128, 1 / 256, table=table)
    got = host_node(node, [one(values, 1, 1, len(values))]).ravel()
    powers = [exp(-step * (max(values) - value)) for value in values]
    for power, value in zip(powers, got, strict=True):
        exact = min(256 * power / sum(powers), 255)
        assert abs(int(value) + 128 - exact) <= 0.501


@pytest.mark.parametrize("count", [1, 2, 3, 7, 49, 64, 1000])
def test_mean_factors_round_down(count):
    """As the kernel divides by the count: the doubled factor is floored to 31 bits."""
    multiplier, shift = mean_factors(0.75, count)
    real = Fraction(3, 4) / count
    held = Fraction(multiplier) * Fraction(2) ** (shift - 31)
    assert real - Fraction(2) ** (shift - 31) < held <= real
