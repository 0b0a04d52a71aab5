"""Kinds of faults that files of other tools once showed, each with what is right."""

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec
from dscim.host.cli import main
from dscim.host.golden.reference import product
from dscim.host.network import Conv, load
from tests import onnx_graphs, tflite_graphs
from tests.import_checks import differences, differing, imported
from tests.onnx_networks import Qdq
from tests.tflite_networks import Chain

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")


def within_one(data):
    """No node of an ONNX file differs by more than 1, and outputs vary."""
    found = differences(data, suffix=".onnx")
    nodes = {name: off for name, (_, off) in found.items() if name != "end to end"}
    assert nodes and max(nodes.values()) <= 1, found


def model(chain):
    """The chain's file as an object."""
    return onnx.ModelProto.FromString(chain.pack())


# Products of many inputs


def test_a_product_of_4608_inputs_runs_on_the_simulator(tmp_path, capsys):
    """A convolution 3x3 over 512 channels: more inputs than a descriptor's units hold at once."""
    (tmp_path / "n.tflite").write_bytes(Chain(0, (1, 4, 4, 512)).conv(3).pack())
    assert main(["import", str(tmp_path / "n.tflite"), "-o", str(tmp_path / "n.npz")]) == 0
    images = np.random.default_rng(0).integers(-128, 128, (1, 4, 4, 512)).astype(np.int8)
    np.save(tmp_path / "x.npy", images)
    files = [str(tmp_path / "n.npz"), str(tmp_path / "x.npy")]
    assert main(["run", *files, "--target", "sim"]) == 0
    assert main(["run", *files, "--target", "ref", "--compare", "--length", "64"]) == 0
    assert capsys.readouterr().out.count("all agree") == 2


@pytest.mark.parametrize("depth", [4096, 4099, 8192])
def test_a_long_vector_runs_on_the_simulator(tmp_path, capsys, depth):
    """4099 is prime, so the vector cannot be seen as pixels of equal channels."""
    (tmp_path / "n.tflite").write_bytes(Chain(0, (1, depth)).dense(3).pack())
    assert main(["import", str(tmp_path / "n.tflite"), "-o", str(tmp_path / "n.npz")]) == 0
    images = np.random.default_rng(0).integers(-128, 128, (1, 1, 1, depth)).astype(np.int8)
    np.save(tmp_path / "x.npy", images)
    files = [str(tmp_path / "n.npz"), str(tmp_path / "x.npy")]
    assert main(["run", *files, "--target", "sim"]) == 0
    assert "all agree" in capsys.readouterr().out


@pytest.mark.parametrize("depth", [4095, 4096, 32767])
@pytest.mark.parametrize("options", [(), ("--exact",)])
def test_mvm_of_many_inputs_equals_numpy(tmp_path, depth, options):
    generator = np.random.default_rng(depth)
    x = generator.integers(-128, 128, (2, depth)).astype(np.int8)
    w = generator.integers(-128, 128, (depth, 3)).astype(np.int8)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "w.npy", w)
    words = ["mvm", "--activations", str(tmp_path / "x.npy"), "--weights", str(tmp_path / "w.npy")]
    assert main([*words, "--output", str(tmp_path / "y.npy"), "--length", "64", *options]) == 0
    expected = (
        x.astype(np.int64) @ w.astype(np.int64)
        if options
        else product(x, w, ProductSpec(length=64))
    )
    assert np.array_equal(np.load(tmp_path / "y.npy"), expected)


@pytest.mark.parametrize("depth", [5000, 32767])
def test_both_importers_take_the_same_long_inputs(depth):
    assert not differing(Chain(0, (1, depth)).dense(3).pack(), count=1)
    data = Qdq(0, (1, depth)).dense(3).quantised().pack()
    network = imported(data, ".onnx").network
    assert [type(node) for node in network.nodes] == [Conv]
    within_one(data)


def test_4096_outputs_are_a_layer_like_any_other():
    chain = Qdq(0, (1, 16)).dense(4096).relu().quantised().dense(10).quantised()
    within_one(chain.pack())
    assert not differing(Chain(0, (1, 16)).dense(4096).dense(10).pack())


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_too_many_inputs_are_refused_by_operator_and_limit(suffix):
    data = (
        Chain(0, (1, 32768)).dense(2).pack()
        if suffix == ".tflite"
        else Qdq(0, (1, 32768)).dense(2).quantised().pack()
    )
    with pytest.raises(UserError, match=r"operator \d+ \((FULLY_CONNECTED|Gemm), output '.+'\)"):
        imported(data, suffix)
    with pytest.raises(UserError, match=r"32768 inputs; more than 32767 .*: split it"):
        imported(data, suffix)


# ONNX: zero points, axes, averages


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_an_omitted_zero_point_is_0(kind):
    """A DequantizeLinear without one does not take that of its QuantizeLinear."""
    chain = Qdq(0, (1, 3, 8, 8), kind).conv(4).quantised(0.03, 5 if kind is np.uint8 else 133)
    made = model(chain)
    del made.graph.node[-1].input[2]
    with pytest.raises(UserError, match=r"zero=.* an omitted one is 0\): give both the same"):
        imported(made.SerializeToString(), ".onnx")
    chain = Qdq(0, (1, 3, 8, 8), kind).conv(4).quantised(0.03, 0 if kind is np.uint8 else 128)
    made = model(chain)
    del made.graph.node[-1].input[2]
    if kind is np.uint8:
        del made.graph.node[-2].input[2]
    within_one(made.SerializeToString())


@pytest.mark.parametrize("opset", [11, 12, 13, 17])
@pytest.mark.parametrize("axis", [None, -1, 1, 2, -3])
@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
def test_the_axis_of_a_softmax_is_that_of_opset_and_shape(opset, axis, kind):
    graph = onnx_graphs.Graph(0, (1, 5, 4, 3))
    graph.opset = opset
    ends = (1 / 256, 0) if kind == "Softmax" else (1 / 16, 255)
    graph.node(kind, **({} if axis is None else {"axis": axis})).quantised(*ends)
    within_one(graph.pack())
    pooled = onnx_graphs.Graph(0, (1, 5, 4, 3)).node("GlobalAveragePool", shape=(1, 5, 1, 1))
    pooled.opset = opset
    pooled.quantised().node(kind, **({} if axis is None else {"axis": axis})).quantised(*ends)
    within_one(pooled.pack())


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("finer", [0.5, 1, 1.9, 6, 16])
@pytest.mark.parametrize("after", ["", "Relu", "Clip"])
def test_an_average_is_rounded_only_once(kind, finer, after):
    """Whatever follows an AveragePool, a finer scale shows no earlier rounding."""
    chain = Qdq(1, (1, 4, 8, 8), kind).conv(4).quantised(0.05)
    chain.node("AveragePool", shape=(1, 4, 4, 4), kernel_shape=[2, 2], strides=[2, 2])
    if after == "Relu":
        chain.relu()
    if after == "Clip":
        chain.relu6()
    within_one(chain.quantised(0.05 / finer).pack())


def test_an_average_in_real_numbers_is_refused_before_an_add():
    chain = Qdq(0, (1, 4, 8, 8))
    chain.node("AveragePool", shape=(1, 4, 4, 4), kernel_shape=[2, 2], strides=[2, 2])
    chain.node("Add", chain.last, chain.last)
    with pytest.raises(UserError, match=r"\(Add, .*takes 'averagepool2' in real numbers; put a Q"):
        imported(chain.quantised(0.01).pack(), ".onnx")


def test_a_padded_average_that_becomes_finer_is_refused():
    chain = Qdq(0, (1, 4, 8, 8))
    chain.node("AveragePool", shape=(1, 4, 8, 8), kernel_shape=[3, 3], pads=[1] * 4)
    with pytest.raises(UserError, match=r"makes the scale of an average with padding 4 times fin"):
        imported(chain.quantised(0.01).pack(), ".onnx")


# ONNX: what nothing reads, opsets, damage


def test_what_nothing_reads_does_not_matter():
    """Dropout's BOOL input, a constant of strings, and an unread operator of any kind."""
    chain = Qdq(0, (1, 3, 8, 8)).conv(4).quantised()
    chain.node("Dropout", chain.last, chain.constant(np.float32(0.5)), chain.constant(False))
    made = model(chain.quantised())
    text = helper.make_tensor("text", TensorProto.STRING, [1], [b"words"])
    made.graph.initializer.append(text)
    made.graph.node.append(helper.make_node("StringNormalizer", ["text"], ["unread"]))
    imported(made.SerializeToString(), ".onnx")
    del made.graph.node[-1]
    within_one(made.SerializeToString())


@pytest.mark.parametrize("axes", [[2, 3], [-1], [3, 2]])
def test_pads_of_some_axes(axes):
    """The input `axes` of Pad, since opset 18."""
    graph = onnx_graphs.Graph(0, (1, 3, 5, 4))
    graph.opset = 18
    pads = [1] * len(axes) + [2] * len(axes)
    shape = tuple(
        size + 3 * ((i in axes) or (i - 4 in axes)) for i, size in enumerate((1, 3, 5, 4))
    )
    names = [graph.constant(np.array(pads, np.int64)), "", graph.constant(np.array(axes, np.int64))]
    graph.node("Pad", graph.last, *names, shape=shape).again().conv(4).quantised()
    within_one(graph.pack())


def test_an_integer_bias_without_a_scale_is_refused():
    chain = Qdq(0, (1, 3, 8, 8))
    name, _ = chain.weights((4, 3, 3, 3), 27, 0)
    bias = chain.constant(np.arange(4), np.int32)
    chain.node("Conv", chain.last, name, bias, shape=(1, 4, 6, 6)).quantised()
    made = helper.make_model(
        helper.make_graph(
            chain.nodes,
            "g",
            [chain.first],
            [helper.make_tensor_value_info(chain.last, TensorProto.FLOAT, None)],
            chain.constants,
        ),
        opset_imports=[helper.make_opsetid("", 13)],
    )
    with pytest.raises(UserError, match=r"has the bias 'c\d+' of int32 without a scale; put a Deq"):
        imported(made.SerializeToString(), ".onnx")


# TensorFlow Lite: names, batches, weights of uint8


@pytest.mark.parametrize("name", ["same", ""])
def test_tensors_are_found_by_index_not_by_name(name):
    chain = Chain(0, (1, 6, 6, 3)).conv(4).conv(4).dense(3)
    chain.file.tensors = [(*tensor[:6], name) for tensor in chain.file.tensors]
    found = differences(chain.pack())
    assert len(found) == 4 and all(each == (0, 0) for each in found.values())


@pytest.mark.parametrize("count", [1, 4, 6])
def test_images_are_given_in_the_batch_of_the_file(tmp_path, capsys, count):
    graph = tflite_graphs.Graph(0, (4, 6, 6, 3)).grouped(1, 4).pool("MAX_POOL_2D", (2, 2))
    graph.reduce("MEAN", [1, 2])
    (tmp_path / "n.tflite").write_bytes(graph.pack())
    images = np.random.default_rng(0).integers(-128, 128, (count, 6, 6, 3)).astype(np.int8)
    np.save(tmp_path / "x.npy", images)
    words = ["import", str(tmp_path / "n.tflite"), "-o", str(tmp_path / "n.npz")]
    assert main([*words, "--compare", str(tmp_path / "x.npy")]) == 0
    text = capsys.readouterr().out
    assert "takes 4 images at once" in text and "all agree" in text
    assert load(tmp_path / "n.npz").shape == (6, 6, 3)


@pytest.mark.parametrize("zero", [0, 1, 90, 128, 255])
@pytest.mark.parametrize("kind", ["conv", "depthwise", "dense"])
def test_any_uint8_weights_become_int8_ones(kind, zero):
    """Weights count from their zero point; a repeated channel has what exceeds int8."""
    graph = tflite_graphs.Graph(3, (1, 5, 4, 3), kind="UINT8", zero=100)
    unsigned = {"per_channel": False}
    if kind == "dense":
        graph.dense(4, **unsigned)
    else:
        getattr(graph, kind)(*((4,) if kind == "conv" else (2,)), **unsigned)
    tensors = graph.file.tensors
    for place, (shape, stored, scale, _, values, *rest) in enumerate(tensors):
        if place in (graph.first, graph.last):
            tensors[place] = (shape, "UINT8", scale, 120, values, *rest)
        elif values is not None and stored == "INT8":
            wide = np.random.default_rng(zero).integers(0, 256, shape).astype(np.uint8)
            tensors[place] = (shape, "UINT8", scale, zero, wide, *rest)
    assert not differing(graph.pack(), count=4)


def test_activations_of_16_bits_are_refused_by_name():
    chain = Chain(0, (1, 4, 4, 2)).other("RELU", kind="INT16").other("RELU")
    with pytest.raises(UserError, match=r"'t1' of type INT16.*16 bits do not fit the macro's 8"):
        imported(chain.pack())
    with pytest.raises(UserError, match=r"the input 't0' is INT16 \(16 bits do not fit the macro"):
        imported(Chain(0, (1, 4, 4, 2), kind="INT16").conv(3).pack())


# Several outputs


def test_several_outputs_are_channels_of_one():
    graph = tflite_graphs.Graph(0, (1, 4, 4, 3)).grouped(1, 4)
    first = graph.last
    graph.reduce("MEAN", [1, 2])
    graph.ends = (first,)
    made = imported(graph.pack())
    assert made.network.shapes()["outputs"] == (1, 1, 4 + 64)
    parts = made.network.provenance["import"]["outputs"]
    assert [(part["first"], part["last"], part["shape"]) for part in parts] == [
        (0, 3, [1, 1, 4]),
        (4, 67, [4, 4, 4]),
    ]
    assert re.search(r"2 outputs; .* 0\.\.3, .* 4\.\.67\.", made.notes[-1])
    assert not differing(graph.pack())
