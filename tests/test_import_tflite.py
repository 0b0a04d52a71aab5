"""Imported TensorFlow Lite networks against LiteRT's reference kernels, integer by integer."""

import dataclasses
import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.host.importers import compare, import_file
from dscim.host.network import Depthwise, load, run, save
from tests.tflite_networks import FILES, random_chain

LITERT = importlib.util.find_spec("ai_edge_litert") is not None
needs_litert = pytest.mark.skipif(not LITERT, reason="ai-edge-litert is not installed")


def imported(tmp_path, chain):
    path = tmp_path / "n.tflite"
    path.write_bytes(chain.pack())
    return import_file(path)


@needs_litert
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", FILES)
def test_every_layer_is_litert_s(tmp_path, name, seed):
    network, images = compared(tmp_path, FILES[name](seed), 12, seed)
    for node, output in run(network, images).items():   # nothing is the same whatever goes in
        assert node.startswith("softmax") or output.std() > 1


@needs_litert
@settings(deadline=None, max_examples=25)
@given(st.data(), st.integers(0, 2**16))
def test_any_chain_of_operators_is_litert_s(tmp_path_factory, data, seed):
    chain = random_chain(lambda choices: data.draw(st.sampled_from(choices)), seed)
    compared(tmp_path_factory.mktemp("chain"), chain, 3, seed)


def compared(tmp_path, chain, count, seed):
    """Each node on LiteRT's own inputs gives LiteRT's output, all integers of all nodes.

    A node that says that it cannot round alike is off by 1 at most, on as few as it says. The
    network is the one that comes back from its file; it is returned with its inputs.
    """
    result = imported(tmp_path, chain)
    save(result.network, tmp_path / "n.npz")
    result = dataclasses.replace(result, network=load(tmp_path / "n.npz"))
    images = np.random.default_rng(seed).integers(
        -128, 128, (count, *result.network.shape)).astype(np.int8)
    *nodes, whole = compare(chain.pack(), result, images, lambda done, total: None)
    assert [each.name for each in nodes] == [node.name for node in result.network.nodes]
    for each in nodes:
        if each.name in result.rounded:
            share = result.rounded[each.name]
            assert each.greatest <= 1 and share < 1e-3
            assert each.differing <= 2 + 2 * share * each.outputs
        else:
            assert each.differing == 0, each.name
    assert result.rounded or whole.differing == 0
    return result.network, images


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
