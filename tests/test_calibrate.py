"""Calibration: integers of the same network with which DS-CIM loses less."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.errors import UserError
from dscim.gateware.specs import LayerSpec, ProductSpec, SequenceSpec
from dscim.host.golden.reference.contract import product as contract_product
from dscim.host.network import Conv, Evaluator, Weighted, host_node, load, predictions, save
from dscim.host.network import run as emulate
from dscim.host.network.shipped import EXACT, shipped_images, shipped_network
from dscim.host.research.calibrate import calibrate
from dscim.host.research.calibrate.descent import Descent
from dscim.host.research.calibrate.fit import aims, error, gain_and_bias
from dscim.host.research.calibrate.graph import Rescaling, requantised, rescaled
from dscim.host.research.calibrate.lengths import cycles, network_cycles
from dscim.host.research.calibrate.levels import levels_of
from dscim.host.research.calibrate.network import MEMORY, usable
from dscim.host.research.calibrate.samples import products
from tests.commandline import assert_refused, dscim
from tests.random_networks import networks, random_images
from tests.small_network import small_images, small_network

SPECS = [
    ProductSpec(),
    ProductSpec(length=1024),
    ProductSpec(64, 128),
    ProductSpec(16, 256, SequenceSpec("lfsr")),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_levels_are_what_the_contract_counts(spec):
    levels = levels_of(spec, -7)
    assert (np.diff(levels.values) > 0).all()
    np.testing.assert_array_equal(levels.index(levels.weights), np.arange(len(levels.values)))
    x = np.arange(-128, 128).astype(np.int8)[:, None]
    for row in (0, 1, spec.or_width - 1):
        wide = np.full((256, row + 1), -7, np.int8)  # zero except in the last row
        wide[:, row] = x[:, 0]
        weights = np.zeros((row + 1, len(levels.weights)), np.int8)
        weights[row] = levels.weights
        table = levels.tables[levels.tables_of(np.array([row]))[0]]
        np.testing.assert_array_equal(table, contract_product(wide, weights, spec, -7))


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("kernel", ["", "none"])
def test_descent_lowers_the_true_error_and_keeps_account_of_it(depthwise, kernel, monkeypatch):
    monkeypatch.setenv("DSCIM_KERNEL", kernel)
    rng, spec = np.random.default_rng(3), ProductSpec(length=256)
    layer = LayerSpec((3, 3, 6), 12, (3, 3), input_zero=-20, product=spec, depthwise=depthwise)
    x = rng.integers(-128, 128, (300, 3, 3, 6)).astype(np.int8)
    weights = rng.integers(-127, 128, (3, 3, 12) if depthwise else (12, 3, 3, 6)).astype(np.int8)
    target = products(x, layer, weights, ProductSpec(exact=True))
    levels = levels_of(spec, -20)

    def written(level: np.ndarray) -> np.ndarray:
        matrix = levels.weights[level]
        return np.ascontiguousarray(
            matrix.reshape(3, 3, 12) if depthwise else matrix.T.reshape(12, 3, 3, 6)
        )

    matrix = weights.reshape(9, 12) if depthwise else weights.reshape(12, -1).T
    level = levels.nearest(matrix.astype(float))
    residual = products(x, layer, written(level), spec) - target
    before = np.square(residual).mean()
    descent = Descent(levels, x, layer)
    descent.sweep(level, levels.values[level], np.ones(12, np.float32), residual)
    after = np.square(products(x, layer, written(level), spec) - target).mean()
    assert after < 0.9 * before


def test_the_kernel_descends_as_numpy_does(monkeypatch):
    rng, spec = np.random.default_rng(4), ProductSpec(length=128)
    layer = LayerSpec((2, 2, 5), 9, (2, 2), input_zero=3, product=spec)
    x = rng.integers(-128, 128, (200, 2, 2, 5)).astype(np.int8)
    levels = levels_of(spec, 3)
    start = rng.integers(0, len(levels.values), (20, 9))
    found = []
    for kernel in ("", "none"):
        monkeypatch.setenv("DSCIM_KERNEL", kernel)
        level, residual = start.copy(), np.random.default_rng(5).normal(0, 3e4, (200, 9))
        Descent(levels, x, layer).sweep(level, levels.values[level], np.ones(9), residual)
        found.append(level)
    assert (found[0] == found[1]).mean() > 0.97  # single-precision sums in another order


@given(st.integers(0, 2**16), st.booleans())
@settings(max_examples=30, deadline=None)
def test_gain_and_bias_are_least_squares(seed, floor):
    rng = np.random.default_rng(seed)
    sums = rng.normal(50, 20, (400, 3))
    target = sums * [0.5, 2, 1] + [3, -90, -60] + rng.normal(0, 1, (400, 3))
    limit = np.zeros((1, 1)) if floor else None
    gain, bias = gain_and_bias(sums, target, limit, np.ones(3))
    best = error(sums * gain + bias, target, limit)
    assert (best < 1.3).all()
    if not floor:
        for step in (-0.01, 0.01):
            assert (error(sums * (gain + step) + bias, target, None) >= best).all()
    assert aims(np.array([-3.0, 2, -1]), np.array([-1.0, -5, 4]), limit).ravel().tolist() == (
        [-3, 0, 4] if floor else [-1, -5, 4]
    )


@given(networks(), st.integers(0, 2**16))
@settings(max_examples=15, deadline=None)
def test_any_network_calibrates_and_its_file_says_the_same(network, seed):
    images = random_images(network, 3, seed)
    spec = dataclasses.replace(network.arithmetic, exact=False, signed="split", activation_shift=0)
    if not any(isinstance(node, Weighted) for node in network.nodes):
        return
    made = calibrate(network, images, spec, seed=seed)
    assert made.shapes() == network.shapes()
    assert made.arithmetic == spec
    assert [type(node) for node in made.nodes] == [type(node) for node in network.nodes]
    again = calibrate(network, images, spec, seed=seed)
    for first, second in zip(made.nodes, again.nodes, strict=True):
        if isinstance(first, Weighted) and isinstance(second, Weighted):
            np.testing.assert_array_equal(first.weights, second.weights)
            np.testing.assert_array_equal(first.bias, second.bias)
    emulate(made, images)


@given(networks(), st.integers(0, 2**16))
@settings(max_examples=15, deadline=None)
def test_a_rescaling_by_one_changes_nothing(network, seed):
    images = random_images(network, 2, seed)
    known = {"input": images, **emulate(network, images)}
    zeros = {"input": network.zero, **{node.name: node.output_zero for node in network.nodes}}
    for node in network.nodes:
        if isinstance(node, Weighted):
            continue
        given_ones = [Rescaling(1.0, zeros[name]) for name in node.inputs]
        same = rescaled(node, given_ones, Rescaling(1.0, node.output_zero))
        got = host_node(same, [known[name] for name in node.inputs]).astype(int)
        assert np.abs(got - known[node.name]).max() <= 1  # 31-bit factors, rounded once more


@pytest.mark.slow
def test_the_shipped_network_is_calibrated_without_labels():
    """From almost useless to near the exact network, on images not used for calibration."""
    network = shipped_network(EXACT)
    images, labels = shipped_images(256)
    spec = ProductSpec(length=256)
    made = calibrate(network, images[:96], spec)
    exact, before, after = (
        float((predictions(Evaluator(each, arithmetic).outputs(images[96:])) == labels[96:]).mean())
        for each, arithmetic in ((network, ProductSpec(exact=True)), (network, spec), (made, spec))
    )
    assert before < 0.5 and after > exact - 0.06
    assert len(made.provenance["calibrate"]["layers"]) == 10


def test_offset_has_gain_bias_and_clipping_too():
    network, images = small_network(), small_images(48)
    spec = ProductSpec(length=512, signed="offset")
    made = calibrate(network, images[:32], spec)
    wanted = Evaluator(network, ProductSpec(exact=True)).outputs(images).astype(int)
    before, after = (
        np.square(Evaluator(each, spec).outputs(images) - wanted).mean() for each in (network, made)
    )
    assert after < before
    assert all(node.activation_shift == 0 for node in made.nodes if isinstance(node, Weighted))


def test_memory_bounds_the_images():
    network = shipped_network(EXACT)
    assert usable(network, 64) == 64
    many = usable(network, 10**9)
    values = sum(int(np.prod(shape)) for shape in network.shapes().values())
    assert 1 <= many * 2 * values <= MEMORY


def test_refusals():
    network = shipped_network(EXACT)
    images, _ = shipped_images(2)
    with pytest.raises(UserError, match="leave out --exact"):
        calibrate(network, images, ProductSpec(exact=True))
    with pytest.raises(UserError, match="at least one input"):
        calibrate(network, images[:0], ProductSpec())
    with pytest.raises(UserError, match="takes int8"):
        calibrate(network, images.astype(np.uint8), ProductSpec())


def test_the_verb_writes_a_network_and_a_report(tmp_path):
    save(small_network(arithmetic=ProductSpec(exact=True)), tmp_path / "net.npz")
    np.save(tmp_path / "images.npy", small_images(24))
    done = dscim(
        "calibrate",
        "net.npz",
        "images.npy",
        "-o",
        "new.npz",
        "--length",
        512,
        "--limit",
        16,
        "--json",
        "r.json",
        folder=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["images"] == 16 and result["settings"]["length"] == 512
    assert [layer["name"] for layer in result["layers"]] == [
        "stem",
        "first",
        "wide",
        "deep",
        "classifier",
    ]
    made, images = load(tmp_path / "new.npz"), small_images(16)
    assert made.arithmetic == ProductSpec(length=512)
    exact = Evaluator(small_network(), ProductSpec(exact=True)).outputs(images)
    agree = predictions(Evaluator(made).outputs(images)) == predictions(exact)
    assert result["agreement"]["after"] == agree.mean()
    assert "classifier" in done.stdout


@pytest.mark.parametrize("options", [("--limit", 0), ("--exact",), ("--length", 100)])
def test_the_verb_refuses_in_a_sentence(tmp_path, options):
    save(small_network(), tmp_path / "net.npz")
    np.save(tmp_path / "images.npy", small_images(2))
    done = dscim("calibrate", "net.npz", "images.npy", "-o", "new.npz", *options, folder=tmp_path)
    assert_refused(done, str(options[-1]) if options[0] != "--exact" else "--exact")
    assert not (tmp_path / "new.npz").exists()


def test_a_budget_of_cycles_lengthens_the_layers_that_gain_most(tmp_path):
    network, images, spec = small_network(), small_images(12), ProductSpec(length=256)
    least = network_cycles(network, spec)
    most = network_cycles(network, ProductSpec(length=1024))
    assert most == 4 * least  # 16 samples of a row at once: 1024 points take four times as long
    budget = 2 * least
    made = calibrate(network, images, spec, cycles=budget)
    lengths = {node.name: layer.product.length for node, layer in made.layers()}
    assert least < network_cycles(made, spec) <= budget
    assert set(lengths.values()) <= {256, 512, 1024} and len(set(lengths.values())) > 1
    assert {
        layer["name"]: layer["length"] for layer in made.provenance["calibrate"]["layers"]
    } == lengths
    save(made, tmp_path / "made.npz")  # the device's steps on ref agree, layer by layer
    np.save(tmp_path / "images.npy", images[:2])
    done = dscim("run", "made.npz", "images.npy", "--compare", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    everything = calibrate(network, images, spec, cycles=most)
    assert {layer.product.length for _, layer in everything.layers()} == {1024}
    with pytest.raises(UserError, match=f"--cycles {least - 1} is less than the {least}"):
        calibrate(network, images, spec, cycles=least - 1)


def test_cycles_are_those_of_the_contract():
    """L/P cycles per product, for 64 points per cycle."""
    plain = LayerSpec((8, 8, 32), 40, (3, 3), padding=((1, 1), (1, 1)), product=ProductSpec())
    assert cycles(plain) == 64 * 3 * 2 * 4  # pixels, row tiles of 288 rows, column tiles
    longer = dataclasses.replace(plain, product=ProductSpec(length=512))
    assert cycles(longer) == 2 * cycles(plain)
    shorter = dataclasses.replace(plain, product=ProductSpec(length=64))
    assert cycles(shorter) == cycles(plain) // 4
    depthwise = dataclasses.replace(plain, outputs=32, depthwise=True)
    assert cycles(depthwise) == 64 * 4 * 1 * 4  # 4 planes of nine taps


def test_a_channel_that_gives_nothing_stays_at_nothing():
    """No weights and no bias: no division by zero."""
    node = next(node for node in small_network().nodes if isinstance(node, Conv))
    nothing = np.zeros(node.outputs)
    fields = requantised(node, nothing, nothing)
    assert all(not fields[name].any() for name in ("bias", "multiplier"))
    held = requantised(node, nothing, nothing + 3.0)  # a bias alone is kept
    gain = held["multiplier"] * np.exp2(held["shift"] - 31.0)
    assert np.allclose(held["bias"] * gain, 3.0)
