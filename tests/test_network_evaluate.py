"""Integer evaluation compared with scalar arithmetic written from the definitions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec
from dscim.host.golden.reference import contract
from dscim.host.network import Add, AveragePool, Evaluator, host_node, predictions, run
from dscim.host.network.scaling import add_factors, quantise_multiplier
from tests.integers import half_away, scale_twice
from tests.network_examples import network

INT8 = st.integers(-128, 127)
FACTOR = st.integers(1 << 30, (1 << 31) - 1)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(INT8, INT8), min_size=1, max_size=8),
    st.tuples(INT8, INT8),
    INT8,
    st.tuples(FACTOR, FACTOR, FACTOR),
    st.tuples(st.integers(-8, 0), st.integers(-8, 0), st.integers(-24, -15)),
    st.booleans(),
)
def test_add(pairs, zeros, output_zero, multipliers, shifts, relu):
    clamp = (output_zero if relu else -128, 127)
    node = Add(
        "sum",
        ("a", "b"),
        output_zero,
        1.0,
        clamp,
        input_zeros=zeros,
        multipliers=multipliers,
        shifts=shifts,
    )
    first, second = (np.array(x, np.int8).reshape(1, 1, -1, 1) for x in zip(*pairs, strict=True))
    wanted = []
    for pair in pairs:
        total = sum(
            scale_twice((x - zero) * 2**20, m, s)
            for x, zero, m, s in zip(pair, zeros, multipliers[:2], shifts[:2], strict=True)
        )
        total = scale_twice(total, multipliers[2], shifts[2]) + output_zero
        wanted.append(min(max(total, clamp[0]), clamp[1]))
    assert host_node(node, [first, second]).ravel().tolist() == wanted


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**16),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.tuples(st.integers(0, 1), st.integers(0, 1)),
)
def test_average_pool(seed, high, wide, stride, padding):
    x = np.random.default_rng(seed).integers(-128, 128, (2, 5, 4, 2)).astype(np.int8)
    node = AveragePool(
        "pool",
        ("a",),
        -128,
        1.0,
        (-100, 90),
        kernel=(high, wide),
        stride=(stride, 1),
        padding=(padding, (0, 0)),
    )
    if max(padding) >= high:
        padding = (0, 0)
        node = AveragePool(
            "pool", ("a",), -128, 1.0, (-100, 90), kernel=(high, wide), stride=(stride, 1)
        )
    got = host_node(node, [x])
    for (b, i, j, c), value in np.ndenumerate(got):
        seen = [
            int(x[b, y, z, c])
            for y in range(i * stride - padding[0], i * stride - padding[0] + high)
            for z in range(j, j + wide)
            if 0 <= y < 5
        ]
        mean = half_away(Fraction(sum(seen), len(seen)))
        assert value == min(max(mean, -100), 90)
    assert got.shape[1] == (5 + sum(padding) - high) // stride + 1


@settings(max_examples=200)
@given(st.floats(1e-12, 1e5))
def test_quantise_multiplier(real):
    multiplier, shift = (int(value) for value in quantise_multiplier(real))
    if multiplier == 0:
        assert real < 2.0**-32
    else:
        assert 1 << 30 <= multiplier < 1 << 31
        assert abs(
            Fraction(multiplier) * Fraction(2) ** (shift - 31) / Fraction(real) - 1
        ) <= Fraction(1, 1 << 31)


def test_quantise_multiplier_carries():
    multiplier, shift = quantise_multiplier([1 - 2.0**-40, 0.0, 0.5])
    assert multiplier.tolist() == [1 << 30, 0, 1 << 30]
    assert shift.tolist() == [1, 0, 0]


def test_add_factors_stand_for_the_scales():
    multipliers, shifts = add_factors(0.03, 0.05, 0.07)
    first, second, output = (m * 2.0 ** (s - 31) for m, s in zip(multipliers, shifts, strict=True))
    assert first * output * 2**20 == pytest.approx(0.03 / 0.07)
    assert second * output * 2**20 == pytest.approx(0.05 / 0.07)


@pytest.mark.parametrize(
    "spec",
    [
        ProductSpec(length=64),
        ProductSpec(64, 64),
        ProductSpec(length=64, signed="offset"),
        ProductSpec(exact=True),
    ],
)
def test_every_convolution_is_the_contract_point_by_point(spec):
    """Each value of a convolution by the contract's own loops, one window at a time."""
    made = network(3)
    images = np.random.default_rng(4).integers(-128, 128, (1, 6, 6, 3)).astype(np.int8)
    known = {"input": images, **run(made, images, spec)}
    for node, layer in made.layers(spec):
        x, weights = known[node.inputs[0]], node.weights.reshape(len(node.weights), -1).T
        padded = np.pad(x, ((0, 0), *node.padding, (0, 0)), constant_values=node.input_zero)
        high, wide = node.weights.shape[1:3]
        for b, i, j in np.ndindex(known[node.name].shape[:3]):
            window = padded[b, i : i + high, j : j + wide].reshape(1, -1)
            sums = (
                (window.astype(np.int64) - node.input_zero) @ weights.astype(np.int64)
                if spec.exact
                else contract.product(window, weights, layer.product, node.input_zero)
            )
            for channel, total in enumerate(sums[0]):
                value = scale_twice(
                    int(total) + int(node.bias[channel]),
                    int(node.multiplier[channel]),
                    int(node.shift[channel]),
                )
                value = min(max(value + node.output_zero, node.clamp[0]), node.clamp[1])
                assert known[node.name][b, i, j, channel] == value


def test_batches_give_what_one_run_gives():
    made = network(1)
    images = np.random.default_rng(1).integers(-128, 128, (37, 6, 6, 3)).astype(np.int8)
    steps = []
    outputs = Evaluator(made).outputs(images, lambda done, total: steps.append((done, total)))
    assert np.array_equal(outputs, run(made, images)["dense"])
    assert steps[-1] == (37, 37)
    assert predictions(outputs).tolist() == [int(np.argmax(o)) for o in outputs]


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 6, 6, 3), np.uint8),
        np.zeros((1, 6, 5, 3), np.int8),
        np.zeros((6, 6, 3), np.int8),
    ],
)
def test_wrong_images_are_refused(images):
    with pytest.raises(UserError, match=r"the network takes int8 of shape \(N, 6, 6, 3\)"):
        run(network(), images)


def test_no_images_are_refused():
    with pytest.raises(UserError, match="needs at least one"):
        Evaluator(network()).outputs(np.zeros((0, 6, 6, 3), np.int8))
