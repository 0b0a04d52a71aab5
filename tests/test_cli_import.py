"""`dscim import` on the command line: what it writes, prints and rejects."""

import json
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dscim.host.cli import main
from dscim.host.network import load
from tests import onnx_networks, tflite_networks
from tests.tflite_networks import VALID, Chain


def importing(tmp_path, suffix, data, *more):
    """The exit status of `dscim import` of a file with these bytes to n.npz."""
    path = tmp_path / f"n{suffix}"
    path.write_bytes(data)
    return main(["import", str(path), "-o", str(tmp_path / "n.npz"), *more])


def rejection(tmp_path, capsys, suffix, data):
    """The sentence that rejects a file; nothing is written."""
    assert importing(tmp_path, suffix, data) == 2
    assert not (tmp_path / "n.npz").exists()
    text = capsys.readouterr()
    assert text.out == "" and text.err.count("\n") == 1
    return text.err


@pytest.mark.parametrize(
    ("suffix", "data"),
    [(".tflite", tflite_networks.residual().pack()), (".onnx", onnx_networks.separable().pack())],
)
def test_a_file_becomes_a_network(tmp_path, capsys, suffix, data):
    report = tmp_path / "r.json"
    assert importing(tmp_path, suffix, data, "--name", "mine", "--json", str(report)) == 0
    network = load(tmp_path / "n.npz")
    assert network.name == "mine" and network.arithmetic.exact
    text = capsys.readouterr().out
    assert all(node.name in text for node in network.nodes)
    written = json.loads(report.read_text())
    assert [node["name"] for node in written["nodes"]] == [node.name for node in network.nodes]
    assert network.provenance["import"]["file"] == f"n{suffix}"
    assert len(network.provenance["import"]["sha256"]) == 64


@pytest.mark.parametrize("wrong", ["missing", "shape", "floats"])
def test_the_compare_file_is_checked_before_anything_is_written(tmp_path, capsys, wrong):
    images = np.zeros((2, 8, 8, 4 if wrong == "shape" else 3), np.int8)
    if wrong != "missing":
        np.save(tmp_path / "x.npy", images.astype(np.float32 if wrong == "floats" else np.int8))
    more = ("--compare", str(tmp_path / "x.npy"))
    assert importing(tmp_path, ".tflite", tflite_networks.residual().pack(), *more) == 2
    assert not (tmp_path / "n.npz").exists()
    assert capsys.readouterr().err.count("\n") == 1


def test_an_imported_network_runs(tmp_path, capsys):
    assert importing(tmp_path, ".tflite", tflite_networks.residual().pack()) == 0
    images = np.random.default_rng(0).integers(-128, 128, (2, 8, 8, 3)).astype(np.int8)
    np.save(tmp_path / "x.npy", images)
    assert (
        main(["run", str(tmp_path / "n.npz"), str(tmp_path / "x.npy"), "--exact", "--compare"]) == 0
    )
    assert "all agree" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("suffix", "data", "shape", "package"),
    [
        (".tflite", tflite_networks.residual().pack(), (8, 8, 3), "ai_edge_litert"),
        (".onnx", onnx_networks.separable().pack(), (12, 12, 3), "onnxruntime"),
    ],
)
def test_an_import_is_compared_with_its_runtime(
    tmp_path, capsys, monkeypatch, suffix, data, shape, package
):
    images = np.random.default_rng(0).integers(-128, 128, (6, *shape)).astype(np.int8)
    np.save(tmp_path / "x.npy", images)
    more = ("--compare", str(tmp_path / "x.npy"), "--limit", "4")
    with monkeypatch.context() as patched:
        for name in (package, f"{package}.interpreter"):
            patched.setitem(sys.modules, name, None)
        assert importing(tmp_path, suffix, data, *more) == 2
        assert "pip install 'dscim[compare]'" in capsys.readouterr().err
    pytest.importorskip(package)
    assert importing(tmp_path, suffix, data, *more, "--json", str(tmp_path / "r.json")) == 0
    written = json.loads((tmp_path / "r.json").read_text())["compared"]
    assert written[-1]["name"] == "end to end" and written[0]["outputs"] > 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "all agree." in last or (suffix == ".onnx" and "by 1 at most." in last)
    np.save(tmp_path / "x.npy", images[:, :-1])
    assert importing(tmp_path, suffix, data, *more) == 2
    assert "the network takes int8 of shape" in capsys.readouterr().err


def test_weights_of_128_are_reported(tmp_path, capsys):
    chain = Chain(0, (1, 5, 5, 2)).conv(3).conv(2)
    for tensor in chain.file.tensors:
        if tensor[4] is not None and tensor[1] == "INT8":
            tensor[4].flat[:4] = -128
    assert importing(tmp_path, ".tflite", chain.pack()) == 0
    assert (
        "8 of 108 weights are -128, which the signed mode split takes for -127 (in conv_2d_0, "
        "conv_2d_1)" in capsys.readouterr().out
    )


def test_a_rounding_that_differs_is_reported(tmp_path, capsys):
    """With sums of 26 bits, each a millionth of an output, scales of 31 and 53 bits differ."""
    chain = Chain(0, (1, 3000)).dense(60, per_channel=True)
    tensors = chain.file.tensors
    shape, kind, scale, *rest = tensors[chain.last]
    for coarser, count in [(1, 0), (100, 1)]:
        tensors[chain.last] = (shape, kind, np.float32(scale * coarser), *rest)
        assert importing(tmp_path, ".tflite", chain.pack()) == 0
        lines = [
            line
            for line in capsys.readouterr().out.splitlines()
            if line.startswith("fully_connected_0: the file's kernel scales with 53 bits")
        ]
        assert len(lines) == count


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            lambda: Chain(0, (1, 4, 4, 2)).other("LOGISTIC"),
            "operator 0 (LOGISTIC, output 't1') has the output scale",
        ),
        (
            lambda: Chain(0, (1, 4, 4, 2)).other("FLOOR"),
            "operator 0 (FLOOR, output 't1') is not supported; rewrite the network without it",
        ),
        (
            lambda: Chain(0, (1, 4, 4, 2)).conv(2).other("CUSTOM Magic"),
            "operator 1 (CUSTOM Magic, output 't4') is not supported; rewrite the network without "
            "it",
        ),
        (
            lambda: Chain(0, (1, 4, 4, 2), kind="FLOAT32").other("RELU"),
            "is FLOAT32 and not quantised",
        ),
        (
            lambda: Chain(0, (1, 4, 4, 2)).other("RELU", kind="INT16").other("RELU"),
            "has the tensor 't1' of type INT16",
        ),
        (
            lambda: Chain(0, (1, 9000, 1, 2)).conv(2, padding=VALID, dilated=4000),
            "operator 0 (CONV_2D, output 't1') becomes 256064004 weights with the zeros",
        ),
        (lambda: Chain(0, (1, 4, 4, 2)).conv(2, activation=4), "has the fused activation 4"),
        (
            lambda: Chain(0, (2, 4, 4, 2)).reshape((1, 64)).reshape((4, 4, 4, 1)).conv(2),
            "the first dimension of every activation must be the batch of 2",
        ),
        (lambda: Chain(0, (1, 1, 40000)).dense(2), "has products of 40000 inputs; more than 32767"),
    ],
)
def test_tflite_files_that_are_rejected(tmp_path, capsys, made, message):
    assert message in rejection(tmp_path, capsys, ".tflite", made().pack())


def external(chain):
    """The chain's file with a constant in another file."""
    model = onnx.ModelProto.FromString(chain.pack())
    onnx.external_data_helper.set_external_data(model.graph.initializer[-1], "weights.bin")
    model.graph.initializer[-1].data_location = TensorProto.EXTERNAL
    return model.SerializeToString()


START = (0, (1, 3, 4, 4))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            lambda: onnx_networks.Qdq(*START).node("Det").quantised().pack(),
            "(Det, output 'det2') is not supported; rewrite the network without it",
        ),
        (
            lambda: onnx_networks.Qdq(*START).conv(2).pack(),
            "ends the network in real numbers; put a QuantizeLinear after it",
        ),
        (
            lambda: (
                onnx_networks.Qdq(*START)
                .conv(2)
                .node("MaxPool", kernel_shape=[2, 2])
                .quantised()
                .pack()
            ),
            "put a QuantizeLinear and a DequantizeLinear in between",
        ),
        (
            lambda: onnx_networks.Qdq(*START).conv(6, dilations=[9, 9]).quantised().pack(),
            "than the padded input",
        ),
        (lambda: external(onnx_networks.Qdq(*START).conv(2).quantised()), "is in another file"),
        (
            lambda: helper.make_model(helper.make_graph([], "none", [], [])).SerializeToString(),
            "it has 0 operators",
        ),
    ],
)
def test_onnx_files_that_are_rejected(tmp_path, capsys, made, message):
    assert message in rejection(tmp_path, capsys, ".onnx", made())


def test_other_files_are_rejected(tmp_path, capsys):
    assert "its format is unknown; give a .tflite (INT8) or .onnx (QDQ) file" in rejection(
        tmp_path, capsys, ".h5", b"something"
    )
    assert main(["import", str(tmp_path / "none.tflite"), "-o", str(tmp_path / "n.npz")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "n.h5"), "-o", str(tmp_path / "no" / "n.npz")]) == 2
    assert "does not exist" in capsys.readouterr().err
