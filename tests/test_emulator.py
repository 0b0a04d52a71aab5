"""The emulator's kernel equals the numpy reference, on vectors, in plain C and without it."""

import ctypes
import json
import os
import subprocess
import threading

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.errors import ArgumentError, SimulationError
from dscim.gateware.specs import MAXIMAL_TAPS, LayerSpec, ProductSpec, SequenceSpec
from dscim.host.golden.emulator import bitstream, matrix, over_images, prepare
from dscim.host.golden.emulator import compile as compiling
from dscim.host.golden.emulator.description import Description, check_fields
from dscim.host.golden.emulator.layer import EmulatedLayer
from dscim.host.golden.reference import PreparedLayer, contract
from dscim.host.golden.reference.depthwise import PreparedDepthwise
from dscim.host.network import Evaluator, host_node, save
from tests.commandline import dscim
from tests.small_network import small_images, small_network

KERNELS = pytest.mark.parametrize("form", ["", "plain"], ids=["vector", "plain"])
SEEDS = st.tuples(st.integers(1, 255), st.integers(1, 255))
TAPS = st.tuples(st.sampled_from(MAXIMAL_TAPS), st.sampled_from(MAXIMAL_TAPS))
SEQUENCES = st.just(SequenceSpec()) | st.builds(SequenceSpec, st.just("lfsr"), TAPS, SEEDS)
INT8 = st.integers(-128, 127)


@st.composite
def layers(draw: st.DrawFn) -> LayerSpec:
    """Any layer of a few pixels, of any arithmetic."""
    depthwise = draw(st.booleans())
    channels = draw(st.integers(1, 24))
    outputs = channels * draw(st.integers(1, 2)) if depthwise else draw(st.integers(1, 70))
    kernel, stride = draw(st.tuples(*[st.tuples(st.integers(1, 4), st.integers(1, 4))] * 2))
    pads = st.tuples(st.integers(0, 3), st.integers(0, 3))
    or_width = draw(st.sampled_from((16, 64)))
    length = or_width * 2 ** draw(st.integers(0, 6 if or_width == 16 else 5))
    signed = "split" if depthwise else draw(st.sampled_from(("split", "offset")))
    shift = draw(st.integers(0, 3)) if signed == "split" else 0
    product = ProductSpec(
        or_width, length, draw(SEQUENCES), signed, shift, exact=draw(st.integers(0, 4)) == 0
    )
    shape = (draw(st.integers(kernel[0], 7)), draw(st.integers(kernel[1], 7)), channels)
    return LayerSpec(
        shape,
        outputs,
        kernel,
        stride,
        draw(st.tuples(pads, pads)),
        draw(INT8),
        draw(INT8),
        (draw(st.integers(-128, 0)), draw(st.integers(0, 127))),
        product,
        depthwise,
        draw(st.booleans()),
    )


def operands(rng: np.random.Generator, shape: tuple[int, ...], zero: int = 0) -> np.ndarray:
    """int8: all values, sparse ones, or one extreme."""
    kind = rng.integers(5)
    if kind < 2:
        return rng.integers(-128, 128, shape).astype(np.int8)
    if kind == 2:
        return np.where(rng.random(shape) < 0.2, rng.integers(-128, 128, shape), zero).astype(
            np.int8
        )
    return np.full(shape, rng.choice((-128, 127)), np.int8)


def parameters(rng: np.random.Generator, layer: LayerSpec) -> tuple[np.ndarray, ...]:
    """Weights, bias, multiplier, shift: from all outputs zero to all saturated."""
    outputs, least = layer.outputs, int(rng.integers(-31, 3))
    shape = (
        (*layer.kernel, outputs) if layer.depthwise else (outputs, *layer.kernel, layer.input[2])
    )
    limit = 2 ** int(rng.integers(1, 32)) - 1
    return (
        operands(rng, shape),
        rng.integers(-limit, limit + 1, outputs).astype(np.int32),
        rng.integers(0, 2**31, outputs).astype(np.int32),
        rng.integers(least, least + 4, outputs).astype(np.int32),
    )


def reference(
    layer: LayerSpec, arrays: tuple[np.ndarray, ...]
) -> PreparedLayer | PreparedDepthwise:
    return PreparedDepthwise(layer, *arrays) if layer.depthwise else PreparedLayer(layer, *arrays)


def agree(layer: LayerSpec, arrays: tuple[np.ndarray, ...], x: np.ndarray) -> None:
    emulated, expected = EmulatedLayer(layer, *arrays), reference(layer, arrays)
    np.testing.assert_array_equal(emulated.accumulate(x), expected.accumulate(x))
    np.testing.assert_array_equal(emulated.run(x), expected.run(x))


@KERNELS
@settings(max_examples=80, deadline=None)
@given(layers(), st.integers(0, 2**32), st.integers(1, 3))
def test_any_layer_equals_the_reference(form, layer, seed, images):
    rng = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DSCIM_KERNEL", form)
        arrays = parameters(rng, layer)
        x = operands(rng, (images, *layer.input), layer.input_zero)
        agree(layer, arrays, x)


@KERNELS
@pytest.mark.parametrize(
    "product",
    [
        ProductSpec(),
        ProductSpec(length=1024),
        ProductSpec(64, 64),
        ProductSpec(exact=True),
        ProductSpec(signed="offset"),
        ProductSpec(64, 2048, SequenceSpec("lfsr")),
    ],
)
def test_the_deepest_products_of_extremes(form, product, monkeypatch):
    """Every count at its greatest, over more rows than int16 sums or the gathered rows hold."""
    monkeypatch.setenv("DSCIM_KERNEL", form)
    rng = np.random.default_rng(1)
    for channels, x_value, w_value in ((4095, 127, 127), (4095, 127, -128), (3640, -128, 127)):
        layer = LayerSpec(
            (3, 3, channels) if channels < 4000 else (2, 4, channels),
            17,
            (3, 3) if channels < 4000 else (2, 4),
            input_zero=-128 * (x_value > 0),
            product=product,
        )
        weights = np.full((17, *layer.kernel, channels), w_value, np.int8)
        arrays = (weights, *parameters(rng, layer)[1:])
        agree(layer, arrays, np.full((1, *layer.input), x_value, np.int8))


def test_one_prepared_layer_serves_many_threads():
    rng = np.random.default_rng(2)
    layer = LayerSpec((9, 9, 20), 40, (3, 3), padding=((1, 1), (1, 1)))
    made = EmulatedLayer(layer, *parameters(rng, layer))
    x = rng.integers(-128, 128, (24, *layer.input)).astype(np.int8)
    parts = over_images(lambda part: made.run(x[part]), len(x), 5, threads=4)
    np.testing.assert_array_equal(np.concatenate(parts), made.run(x))


def test_a_network_is_the_same_with_and_without_the_kernel(monkeypatch):
    network, images = small_network(), small_images(20)
    with_kernel = Evaluator(network, threads=3).outputs(images)
    nodes = Evaluator(network).nodes(images)
    monkeypatch.setenv("DSCIM_KERNEL", "none")
    assert isinstance(
        prepare(
            LayerSpec((1, 1, 1), 1), np.zeros((1, 1, 1, 1), np.int8), *[np.zeros(1, np.int32)] * 3
        ),
        PreparedLayer,
    )
    assert "DSCIM_KERNEL=none" in (compiling.why_no_kernel() or "")
    without = Evaluator(network)
    np.testing.assert_array_equal(without.outputs(images), with_kernel)
    for name, value in without.nodes(images).items():
        np.testing.assert_array_equal(nodes[name], value)
    known = {"input": images, **nodes}
    for node in network.nodes:  # tables of pointwise nodes are the nodes' own functions
        if not hasattr(node, "weights"):
            inputs = [known[name] for name in node.inputs]
            np.testing.assert_array_equal(host_node(node, inputs), nodes[node.name])


def test_without_a_compiler_numpy_computes_and_says_so(monkeypatch):
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    compiling._loaded.cache_clear()
    try:
        assert compiling.kernel() is None
        assert "no g++" in (compiling.why_no_kernel() or "")
    finally:
        compiling._loaded.cache_clear()


def test_the_kernel_is_compiled_once_into_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("DSCIM_CACHE", str(tmp_path))
    compiling._loaded.cache_clear()
    try:
        assert compiling.kernel() is not None
        found = list(tmp_path.glob("emulator-*/kernel.so"))
        assert len(found) == 1
        compiling._loaded.cache_clear()
        ran: list[list[str]] = []
        real = subprocess.run
        monkeypatch.setattr(
            compiling.subprocess,
            "run",
            lambda command, **more: ran.append(command) or real(command, **more),
        )
        assert compiling.kernel() is not None
        assert all("-E" in command for command in ran)
        assert list(tmp_path.iterdir()) == [found[0].parent]
    finally:
        compiling._loaded.cache_clear()


FIELDS = [(name, kind) for name, kind in Description._fields_]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([*FIELDS[:10], FIELDS[11], FIELDS[10], *FIELDS[12:]], "'top' .* 4 bytes at offset 40"),
        (FIELDS[:-1], "'shifts' .* missing in description.py"),
        ([*FIELDS, ("more", ctypes.c_int32)], "'more' .* missing in kernel.cpp"),
        ([("height", ctypes.c_int64), *FIELDS[1:]], "'height' .* 8 bytes at offset 0"),
    ],
    ids=["swapped", "missing", "another", "wider"],
)
def test_a_field_that_the_kernel_places_elsewhere_is_named(fields, words):
    library = compiling.kernel()
    check_fields(library)
    with pytest.raises(SimulationError, match=words):
        check_fields(library, type("Other", (ctypes.Structure,), {"_fields_": fields}))


def test_a_library_without_the_table_is_refused():
    with pytest.raises(SimulationError, match="no table of a layer's fields"):
        check_fields(ctypes.CDLL(None))


def test_the_fields_are_checked_when_the_kernel_is_loaded(monkeypatch):
    def fail(library):
        raise SimulationError("checked")

    monkeypatch.setattr(compiling, "check_fields", fail)
    compiling._loaded.cache_clear()
    with pytest.raises(SimulationError, match="checked"):
        compiling.kernel()


def test_over_images_keeps_order_bounds_work_and_passes_errors_on():
    running, most, lock, steps = 0, 0, threading.Lock(), []

    def work(part: slice) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1
        return part.start

    assert over_images(work, 50, 7, lambda *step: steps.append(step), 3) == list(range(0, 50, 7))
    assert most <= 3 and len(steps) == 8 and steps[-1] == (50, 50)
    with pytest.raises(ZeroDivisionError):
        over_images(lambda part: 1 // part.start, 50, 7, threads=2)


def test_threads_are_those_of_the_environment(monkeypatch):
    from dscim.host.golden.emulator.parallel import thread_count  # noqa: PLC0415

    monkeypatch.setenv("DSCIM_THREADS", "3")
    assert thread_count() == 3
    monkeypatch.delenv("DSCIM_THREADS")
    assert thread_count() == len(os.sched_getaffinity(0))


@settings(max_examples=25, deadline=None)
@given(layers(), st.integers(0, 2**32))
def test_the_baseline_of_bit_streams_is_the_contract(layer, seed):
    rng, spec = np.random.default_rng(seed), layer.product
    if spec.exact or spec.length > 256:
        spec = ProductSpec(spec.or_width, 64, spec.sequence, spec.signed, spec.activation_shift)
    x = operands(rng, (3, 70), layer.input_zero)
    w = operands(rng, (70, 5))
    np.testing.assert_array_equal(
        bitstream.product(x, w, spec, layer.input_zero),
        contract.product(x, w, spec, layer.input_zero),
    )


def test_the_bench_reports_every_way(tmp_path):
    save(small_network(), tmp_path / "net.npz")
    options = ("--images", 1, "--repeat", 1, "--json", "r.json")
    done = dscim("dev", "emulator", "net.npz", *options, folder=tmp_path, seconds=600)
    assert (done.returncode, done.stderr) == (0, "")
    (result,) = json.loads((tmp_path / "r.json").read_text())
    assert len(result["seconds"]) == 1 + 6 + 5 + 5
    assert all(value > 0 for value in result["seconds"].values())
    assert "times float32" in done.stdout


def test_a_product_in_blocks_of_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "COLUMNS", 7)
    rng = np.random.default_rng(5)
    x, w = rng.integers(-128, 128, (70, 33), np.int8), rng.integers(-128, 128, (33, 20), np.int8)
    steps: list[tuple[int, int]] = []
    for spec in (ProductSpec(length=64), ProductSpec(exact=True), ProductSpec(signed="offset")):
        values = matrix.product(x, w, spec, -9, lambda *step: steps.append(step))
        np.testing.assert_array_equal(values, contract_or_exact(x, w, spec, -9))
    assert steps[-1] == (70 * 20, 70 * 20)
    assert matrix.product(x[:0], w, ProductSpec()).shape == (0, 20)
    with pytest.raises(ArgumentError, match="32768"):
        matrix.product(np.ones((1, 32768), np.int8), np.ones((32768, 1), np.int8), ProductSpec())


def contract_or_exact(
    x: npt.NDArray[np.int8], w: npt.NDArray[np.int8], spec: ProductSpec, zero: int
) -> npt.NDArray[np.int64]:
    if spec.exact:
        return (x.astype(np.int64) - zero) @ w.astype(np.int64)
    return contract.product(x, w, spec, zero)
