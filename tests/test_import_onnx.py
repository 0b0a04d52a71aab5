"""Imported ONNX QDQ networks differ from onnxruntime by at most 1 on the same input."""

import dataclasses
import importlib.util

import numpy as np
import pytest

from dscim.errors import UserError
from dscim.host.network import load, run, save
from dscim.host.network.importers import compare, import_file
from tests.onnx_networks import FILES, Qdq, integer_ends

needs_runtime = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed"
)


def imported(tmp_path, data):
    path = tmp_path / "n.onnx"
    path.write_bytes(data)
    return import_file(path)


@needs_runtime
@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("name", FILES)
def test_every_layer_is_1_apart_at_most(tmp_path, name, kind):
    """Each node, on onnxruntime's own inputs, of the network read back from its file."""
    chain = FILES[name](0, kind)
    result = imported(tmp_path, chain.pack())
    save(result.network, tmp_path / "n.npz")
    result = dataclasses.replace(result, network=load(tmp_path / "n.npz"))
    images = (
        np.random.default_rng(0).integers(-128, 128, (64, *result.network.shape)).astype(np.int8)
    )
    *nodes, _ = compare(chain.pack(), result, images, lambda done, total: None)
    assert len(nodes) >= len(result.network.nodes) - 2
    assert max(each.greatest for each in nodes) <= 1
    assert sum(each.differing for each in nodes) <= 0.01 * sum(each.outputs for each in nodes)
    made = run(result.network, images)
    assert min(output.std() for output in made.values()) > 1  # outputs depend on the input


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_integers_at_the_ends_are_the_network_s_own(tmp_path, kind):
    """A file with integer inputs and outputs is the same network as one with quantisers there."""
    chain = FILES["separable"](1, kind)
    real, whole = imported(tmp_path, chain.pack()), imported(tmp_path, integer_ends(chain))
    images = np.random.default_rng(0).integers(-128, 128, (4, *real.network.shape)).astype(np.int8)
    first, second = (list(run(each.network, images).values()) for each in (real, whole))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert (whole.network.zero, whole.network.scale) == (real.network.zero, real.network.scale)


def test_one_value_may_have_two_quantisers(tmp_path):
    chain = Qdq(0, (1, 3, 4, 4)).conv(4)
    value = chain.last
    first = chain.quantised(0.03, 100).last
    chain.last = value
    network = imported(tmp_path, chain.quantised(0.05, 7).plus(first).quantised().pack()).network
    assert [node.output_zero for node in network.nodes[:2]] == [-28, -121]
    assert np.array_equal(network.nodes[0].weights, network.nodes[1].weights)


def test_a_shape_that_is_computed_is_refused(tmp_path):
    chain = Qdq(0, (1, 3, 4, 4)).conv(2).quantised()
    given = chain.last
    shape = chain.node("Shape").last
    chain.node("Reshape", given, shape, shape=(1, 32)).again()
    with pytest.raises(UserError, match=r"has a computed shape .*; export with fixed sizes"):
        imported(tmp_path, chain.pack())


def test_a_padded_average_is_not_made_finer_after_its_rounding(tmp_path):
    """Without padding, the averages of a finer scale are a product, which rounds once."""
    chain = Qdq(0, (1, 3, 6, 6)).conv(3).quantised(0.04)
    chain.node("AveragePool", kernel_shape=[3, 3], pads=[1] * 4, shape=(1, 3, 6, 6))
    with pytest.raises(UserError, match="4 times finer after it is rounded"):
        imported(tmp_path, chain.quantised(0.01).pack())


@needs_runtime
@pytest.mark.slow
def test_onnxruntime_s_own_quantiser(tmp_path):
    """A float network that quantize_static converts to QDQ."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    generator = np.random.default_rng(0)

    class Reader(quantization.CalibrationDataReader):
        rest = iter([{"x": generator.normal(0, 1, (1, 3, 16, 16)).astype(np.float32)}] * 8)

        def get_next(self):
            return next(self.rest, None)

    (tmp_path / "f.onnx").write_bytes(floating(generator))
    quantization.quantize_static(
        tmp_path / "f.onnx",
        tmp_path / "q.onnx",
        Reader(),
        per_channel=True,
        quant_format=quantization.QuantFormat.QDQ,
        weight_type=quantization.QuantType.QInt8,
        activation_type=quantization.QuantType.QUInt8,
        reduce_range=True,
    )
    result = import_file(tmp_path / "q.onnx")
    assert [type(node).__name__ for node in result.network.nodes] == [
        "Conv",
        "Depthwise",
        "Conv",
        "Mean",
        "Conv",
    ]
    images = generator.integers(-128, 128, (16, *result.network.shape)).astype(np.int8)
    *nodes, whole = compare(
        (tmp_path / "q.onnx").read_bytes(), result, images, lambda done, total: None
    )
    assert len(nodes) == 5 and max(each.greatest for each in nodes) <= 1
    assert whole.greatest <= 2


def floating(generator):
    """A separable network in float32."""
    chain = Qdq(0, (1, 3, 16, 16))
    chain.nodes, chain.constants, chain.last = [], [], "x"

    def numbers(*shape):
        return chain.constant(generator.normal(0, shape[-1] ** -0.5 / 2, shape), np.float32)

    for outputs, held, kernel, group in ((8, 3, 3, 1), (8, 1, 3, 8), (12, 8, 1, 1)):
        chain.node(
            "Conv",
            chain.last,
            numbers(outputs, held, kernel, kernel),
            numbers(outputs),
            shape=(1, outputs, 16, 16),
            group=group,
            pads=[kernel // 2] * 4,
        ).relu()
    chain.node("GlobalAveragePool", shape=(1, 12, 1, 1)).node("Flatten", shape=(1, 12))
    return chain.node("Gemm", chain.last, numbers(5, 12), numbers(5), shape=(1, 5), transB=1).pack()
