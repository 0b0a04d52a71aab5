"""Imported ONNX QDQ networks against onnxruntime: at most 1 apart on the same input."""

import importlib.util

import numpy as np
import pytest

from dscim.host.errors import UserError
from dscim.host.importers import import_file
from dscim.host.network import Evaluator, load, run, save
from tests.onnx_networks import FILES, Qdq, integer_ends, session

needs_runtime = pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None,
                                   reason="onnxruntime is not installed")


def imported(tmp_path, data):
    path = tmp_path / "n.onnx"
    path.write_bytes(data)
    return import_file(path)


def runtime(chain, network, images, fused):
    """onnxruntime's integers of each quantiser, (N, ...) int8, for the network's own input."""
    runner = session(chain.pack(every=True), fused)
    scale = np.float32(network.scale)
    floats = (images.astype(np.float32) - network.zero) * scale
    if chain.shapes["x"][1:] != network.shape:
        floats = floats.transpose(0, 3, 1, 2)
    each = [runner.run(None, {"x": one[None]}) for one in floats]
    stacks = {name: np.concatenate(parts) for name, parts in
              zip(chain.quantisers, zip(*each, strict=True), strict=True)}
    return {name: (stack ^ np.uint8(128)).view(np.int8) if stack.dtype == np.uint8 else stack
            for name, stack in stacks.items()}


def as_images(values, shape):
    """(N, H, W, C) of onnxruntime's (N, C, H, W), (N, H, W, C) or (N, K)."""
    if values.ndim == 4 and values.shape[1:] != shape:
        values = values.transpose(0, 2, 3, 1)
    return values.reshape(-1, *shape)


@needs_runtime
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("name", FILES)
def test_every_layer_is_1_apart_at_most(tmp_path, name, kind, fused):
    chain = FILES[name](0, kind)
    result = imported(tmp_path, chain.pack())
    save(result.network, tmp_path / "n.npz")
    network = load(tmp_path / "n.npz")
    images = np.random.default_rng(0).integers(-128, 128, (64, *network.shape)).astype(np.int8)
    wanted = runtime(chain, network, images, fused)
    shapes, evaluator, off, total = network.shapes(), Evaluator(network), 0, 0
    known = {node: as_images(wanted[source], shapes[node])
             for node, source in result.sources.items() if source in wanted}
    assert np.array_equal(known["input"], images)
    for node in network.nodes:
        made = evaluator.node(node, [known[source] for source in node.inputs])
        if node.name not in known:          # a node that onnxruntime has no integers of
            known[node.name] = made
            continue
        difference = np.abs(made.astype(int) - known[node.name])
        assert difference.max() <= 1, node.name
        assert made.std() > 1
        off, total = off + np.count_nonzero(difference), total + difference.size
    print(f"{name} {kind.__name__} fused={fused}: {off} of {total} outputs are 1 apart")
    assert off <= 0.01 * total


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_integers_at_the_ends_are_the_network_s_own(tmp_path, kind):
    """A file that takes and gives integers is the same network as one with quantisers there."""
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
    with pytest.raises(UserError, match="that is computed; export with fixed sizes"):
        imported(tmp_path, chain.pack())


def test_an_average_is_not_made_finer_after_its_rounding(tmp_path):
    chain = Qdq(0, (1, 3, 4, 4))
    chain.node("AveragePool", kernel_shape=[2, 2], shape=(1, 3, 3, 3)).quantised(0.01)
    with pytest.raises(UserError, match="4 times finer after it is rounded"):
        imported(tmp_path, chain.conv(2).quantised().pack())


@needs_runtime
@pytest.mark.slow
def test_onnxruntime_s_own_quantiser(tmp_path):
    """A float network that quantize_static makes QDQ of: the classes are onnxruntime's."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    generator = np.random.default_rng(0)

    class Reader(quantization.CalibrationDataReader):
        rest = iter([{"x": generator.normal(0, 1, (1, 3, 16, 16)).astype(np.float32)}] * 8)

        def get_next(self):
            return next(self.rest, None)

    (tmp_path / "f.onnx").write_bytes(floating(generator))
    quantization.quantize_static(
        tmp_path / "f.onnx", tmp_path / "q.onnx", Reader(), per_channel=True,
        quant_format=quantization.QuantFormat.QDQ, weight_type=quantization.QuantType.QInt8,
        activation_type=quantization.QuantType.QUInt8, reduce_range=True)
    network = import_file(tmp_path / "q.onnx").network
    assert [type(node).__name__ for node in network.nodes] == [
        "Conv", "Depthwise", "Conv", "Mean", "Conv"]
    images = generator.integers(-128, 128, (16, *network.shape)).astype(np.int8)
    floats = (images.astype(np.float32) - network.zero) * np.float32(network.scale)
    runner = session((tmp_path / "q.onnx").read_bytes())
    wanted = np.concatenate([runner.run(None, {"x": one[None]})[0]
                             for one in floats.transpose(0, 3, 1, 2)])
    last = network.nodes[-1]
    made = run(network, images)[last.name].reshape(wanted.shape)
    steps = np.abs((made.astype(float) - last.output_zero) - wanted / last.output_scale)
    assert steps.max() <= 2.01 and np.mean(steps > 0.5) < 0.05


def floating(generator):
    """A separable network in float32."""
    chain = Qdq(0, (1, 3, 16, 16))
    chain.nodes, chain.constants, chain.last = [], [], "x"

    def numbers(*shape):
        return chain.constant(generator.normal(0, shape[-1]**-0.5 / 2, shape), np.float32)
    for outputs, held, kernel, group in ((8, 3, 3, 1), (8, 1, 3, 8), (12, 8, 1, 1)):
        chain.node("Conv", chain.last, numbers(outputs, held, kernel, kernel), numbers(outputs),
                   shape=(1, outputs, 16, 16), group=group, pads=[kernel // 2] * 4).relu()
    chain.node("GlobalAveragePool", shape=(1, 12, 1, 1)).node("Flatten", shape=(1, 12))
    return chain.node("Gemm", chain.last, numbers(5, 12), numbers(5), shape=(1, 5), transB=1).pack()
