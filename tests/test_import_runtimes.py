"""Runtimes run in a child process: their errors, aborts and silence become one sentence."""

import json
import sys

import numpy as np
import onnx
import pytest

from dscim.host.cli import main
from dscim.host.network import load
from tests.onnx_networks import Qdq
from tests.tflite_graphs import Graph
from tests.tflite_networks import Chain

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")


def comparing(tmp_path, suffix, data, shape, *more):
    """The exit status of `dscim import --compare` on random images of this shape."""
    (tmp_path / f"n{suffix}").write_bytes(data)
    images = np.random.default_rng(0).integers(-128, 128, (3, *shape)).astype(np.int8)
    np.save(tmp_path / "x.npy", images)
    files = [str(tmp_path / f"n{suffix}"), "-o", str(tmp_path / "n.npz")]
    return main(["import", *files, "--compare", str(tmp_path / "x.npy"), *more])


def sentence(capsys):
    """The only line on the standard error."""
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    return text


def test_an_abort_of_the_runtime_is_a_sentence(tmp_path, capsys):
    """An ADD to a scale of 1e-8 fails a check in LiteRT, which ends its process."""
    chain = Chain(0, (1, 4, 4, 2)).conv(2)
    first = chain.last
    chain.conv(2).plus(first)
    tensors = chain.file.tensors
    shape, kind, _, *rest = tensors[chain.last]
    tensors[chain.last] = (shape, kind, np.float32(1e-8), *rest)
    assert comparing(tmp_path, ".tflite", chain.pack(), (4, 4, 2)) == 2
    text = sentence(capsys)
    assert "LiteRT was ended by SIGABRT while it ran the file" in text
    assert "a fault of LiteRT, not of the network" in text
    assert load(tmp_path / "n.npz").shape == (4, 4, 2)


def test_an_error_of_the_runtime_is_a_sentence(tmp_path, capsys):
    """onnxruntime refuses two nodes of one name, although networks need no names."""
    model = onnx.ModelProto.FromString(Qdq(0, (1, 3, 4, 4)).conv(2).quantised().pack())
    for node in model.graph.node:
        node.name = "same"
    assert comparing(tmp_path, ".onnx", model.SerializeToString(), (4, 4, 3)) == 2
    text = sentence(capsys)
    assert "onnxruntime cannot run the file, and says: " in text and "Traceback" not in text
    assert "same" in text


def test_silence_of_the_runtime_ends_it(tmp_path, capsys):
    data = Chain(0, (1, 4, 4, 2)).conv(2).pack()
    assert comparing(tmp_path, ".tflite", data, (4, 4, 2), "--time-limit", "0.001") == 2
    assert "LiteRT gave no answer for 0.001 seconds and was stopped" in sentence(capsys)


def test_every_image_is_compared(tmp_path, capsys):
    """In several frames, and in batches of the file that the images do not fill."""
    graph = Graph(0, (2, 4, 4, 3)).grouped(1, 4)
    (tmp_path / "n.tflite").write_bytes(graph.pack())
    images = np.random.default_rng(0).integers(-128, 128, (41, 4, 4, 3)).astype(np.int8)
    np.save(tmp_path / "x.npy", images)
    words = [str(tmp_path / "n.tflite"), "-o", str(tmp_path / "n.npz")]
    more = ["--compare", str(tmp_path / "x.npy"), "--json", str(tmp_path / "r.json")]
    assert main(["import", *words, *more]) == 0
    results = json.loads((tmp_path / "r.json").read_text())["compared"]
    assert [each["outputs"] for each in results] == [41 * 64] * 2
    assert "all agree" in capsys.readouterr().out


def test_a_missing_runtime_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    data = Qdq(0, (1, 3, 4, 4)).conv(2).quantised().pack()
    assert comparing(tmp_path, ".onnx", data, (4, 4, 3)) == 2
    assert "needs the Python package 'onnxruntime'" in sentence(capsys)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"1 2 3\n", "it begins with other bytes"),
        (b"", "it begins with other bytes"),
        (b"\x93NUMPY\x01\x00", "it is cut short, damaged, or holds objects"),
        (b"PK\x03\x04nothing", "it begins with other bytes"),
    ],
)
def test_a_file_that_holds_no_array_is_said_so(tmp_path, capsys, content, why):
    data = Chain(0, (1, 4, 4, 2)).conv(2).pack()
    (tmp_path / "n.tflite").write_bytes(data)
    (tmp_path / "x.npy").write_bytes(content)
    words = [str(tmp_path / "n.tflite"), "-o", str(tmp_path / "n.npz")]
    assert main(["import", *words, "--compare", str(tmp_path / "x.npy")]) == 2
    text = sentence(capsys)
    assert f"is not a .npy file of numbers: {why}; write it with numpy.save" in text
    assert "pickle" not in text


# --check


def test_check_lists_all_operators(tmp_path, capsys):
    graph = Graph(0, (1, 6, 6, 4)).grouped(1, 4).other("FLOOR").unary("HARD_SWISH").other("CEIL")
    (tmp_path / "n.tflite").write_bytes(graph.reduce("MEAN", [1, 2]).pack())
    words = ["import", str(tmp_path / "n.tflite"), "--check", "--json", str(tmp_path / "r.json")]
    assert main(words) == 1
    found = json.loads((tmp_path / "r.json").read_text())["operators"]
    assert [(each["kind"], each["runs_on"]) for each in found] == [
        ("CONV_2D", "device"),
        ("FLOOR", "refused"),
        ("HARD_SWISH", "host"),
        ("CEIL", "refused"),
        ("MEAN", "device"),
    ]
    text = capsys.readouterr().out
    assert "operator 1 (FLOOR, output 't4') is not supported" in text
    assert "operator 3 (CEIL, " in text and "5 operators: 2 are refused." in text
    assert main(["import", str(tmp_path / "n.tflite")]) == 2
    assert "needs --output" in capsys.readouterr().err


def test_check_of_onnx_goes_on_after_a_refusal(tmp_path, capsys):
    chain = Qdq(0, (1, 3, 8, 8)).conv(4).quantised().node("Floor").quantised().relu().quantised()
    (tmp_path / "n.onnx").write_bytes(chain.node("Ceil").quantised().conv(3).quantised().pack())
    words = ["import", str(tmp_path / "n.onnx"), "--check", "--json", str(tmp_path / "r.json")]
    assert main(words) == 1
    found = json.loads((tmp_path / "r.json").read_text())["operators"]
    places = {each["kind"]: each["runs_on"] for each in found}
    assert places["Floor"] == places["Ceil"] == "refused"
    assert places["Conv"] == places["Relu"] == "device"
    capsys.readouterr()
    (tmp_path / "n.onnx").write_bytes(Qdq(0, (1, 3, 8, 8)).conv(4).quantised().pack())
    assert main(["import", str(tmp_path / "n.onnx"), "--check"]) == 0
    assert "0 are refused; the file can be imported." in capsys.readouterr().out
