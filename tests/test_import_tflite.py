"""Imported TensorFlow Lite networks against LiteRT's reference kernels, integer by integer."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.host.importers import import_file
from dscim.host.network import Depthwise, Evaluator, Softmax, load, run, save
from tests.tflite_files import interpreter
from tests.tflite_networks import FILES, random_chain

LITERT = importlib.util.find_spec("ai_edge_litert") is not None
needs_litert = pytest.mark.skipif(not LITERT, reason="ai-edge-litert is not installed")


def imported(tmp_path, chain):
    path = tmp_path / "n.tflite"
    path.write_bytes(chain.pack())
    return import_file(path)


def kernels(data, images):
    """LiteRT's tensors by name for each image, whatever the file's ends are."""
    runner = interpreter(data)
    entry = runner.get_input_details()[0]
    details = runner.get_tensor_details()
    for image in images:
        given = image.reshape(entry["shape"])
        if entry["dtype"] == np.float32:
            scale, zero = next(item["quantization"] for item in details
                               if item["index"] == entry["index"] + 1)
            given = ((given.astype(np.float32) - zero) * np.float32(scale)).astype(np.float32)
        elif entry["dtype"] == np.uint8:
            given = given.view(np.uint8) ^ np.uint8(128)
        runner.set_tensor(entry["index"], given)
        runner.invoke()
        yield {item["name"]: runner.get_tensor(item["index"]) for item in details}


@needs_litert
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", FILES)
def test_every_layer_is_litert_s(tmp_path, name, seed):
    network, tensors = compared(tmp_path, FILES[name](seed), 12, seed)
    for node in network.nodes:          # nothing is the same whatever goes in
        assert isinstance(node, Softmax) or tensors[node.name].std() > 1


@needs_litert
@settings(deadline=None, max_examples=25)
@given(st.data(), st.integers(0, 2**16))
def test_any_chain_of_operators_is_litert_s(tmp_path_factory, data, seed):
    chain = random_chain(lambda choices: data.draw(st.sampled_from(choices)), seed)
    compared(tmp_path_factory.mktemp("chain"), chain, 3, seed)


def compared(tmp_path, chain, count, seed):
    """Each node on LiteRT's own inputs gives LiteRT's output, all integers of all nodes.

    A node that says that it cannot round alike is off by 1 at most, on as few as it says.
    """
    result = imported(tmp_path, chain)
    path = tmp_path / "n.npz"
    save(result.network, path)
    network = load(path)
    evaluator = Evaluator(network)
    images = np.random.default_rng(seed).integers(
        -128, 128, (count, *network.shape)).astype(np.int8)
    tensors = stacked(chain.pack(), images, network, result.sources)
    assert np.array_equal(tensors["input"], images)
    for node in network.nodes:
        made = evaluator.node(node, [tensors[source] for source in node.inputs])
        off = np.abs(made.astype(int) - tensors[node.name])
        if node.name in result.rounded:
            assert off.max() <= 1 and result.rounded[node.name] < 1e-3
            assert np.count_nonzero(off) <= 2 + 2 * result.rounded[node.name] * off.size
        else:
            assert not off.any(), node.name
    if not result.rounded:
        last = network.nodes[-1].name
        assert np.array_equal(run(network, images)[last], tensors[last])
    return network, tensors


def stacked(data, images, network, sources):
    """LiteRT's int8 for INPUT and each node, (N, H, W, C)."""
    each = list(kernels(data, images))
    shapes = network.shapes()
    stacks = {node: np.stack([tensors[source] for tensors in each]).reshape(-1, *shapes[node])
              for node, source in sources.items()}
    return {node: (stack ^ np.uint8(128)).view(np.int8) if stack.dtype == np.uint8 else stack
            for node, stack in stacks.items()}


def kinds(network):
    return [type(node).__name__ for node in network.nodes]


def test_what_needs_no_node_has_none(tmp_path):
    network = imported(tmp_path, FILES["mobile"]()).network
    assert kinds(network) == ["Conv", "Conv", "Depthwise", "Conv", "Add", "Mean", "Conv"]
    assert network.nodes[0].padding == ((0, 1), (0, 1)) and network.nodes[0].stride == (2, 2)
    assert network.arithmetic.exact and network.zero == -3
    network = imported(tmp_path, FILES["keyword_spotting"]()).network
    assert kinds(network)[0] == "Reshape" and kinds(network)[-2:] == ["Conv", "Softmax"]
    network = imported(tmp_path, FILES["person_detection"]()).network
    assert kinds(network)[:2] == ["Conv", "Depthwise"]      # one channel is no depthwise layer
    assert isinstance(network.nodes[1], Depthwise) and network.nodes[1].weights.shape == (3, 3, 8)
