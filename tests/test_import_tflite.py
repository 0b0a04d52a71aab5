"""Imported TensorFlow Lite networks equal LiteRT's reference kernels, integer by integer."""

import dataclasses
import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.host.network import Depthwise, load, run, save
from dscim.host.network.importers import compare, import_file
from tests.tflite_networks import FILES, VALID, Chain, autoencoder, random_chain

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
    for node, output in run(network, images).items():  # outputs depend on the input
        assert node.startswith("softmax") or output.std() > 1


@needs_litert
@pytest.mark.parametrize("seed", range(2))
def test_an_autoencoder_of_fully_connected_layers_is_litert_s(tmp_path, seed):
    """MLPerf Tiny's anomaly detection at its full size: not one output differs."""
    network, images = compared(tmp_path, autoencoder(seed), 1000, seed)
    assert [type(node).__name__ for node in network.nodes].count("Conv") == 10
    assert all(output.std() > 1 for output in run(network, images[:50]).values())


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
    images = (
        np.random.default_rng(seed)
        .integers(-128, 128, (count, *result.network.shape))
        .astype(np.int8)
    )
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
    assert kinds(network)[0] == "Reshape" and kinds(network)[-2:] == ["Conv", "IntegerSoftmax"]
    network = imported(tmp_path, FILES["person_detection"]()).network
    assert kinds(network)[:2] == ["Conv", "Depthwise"]  # one channel is a plain convolution
    assert isinstance(network.nodes[1], Depthwise) and network.nodes[1].weights.shape == (3, 3, 8)


@needs_litert
def test_padding_that_two_layers_read_stays(tmp_path):
    chain = Chain(0, (1, 5, 5, 3)).pad(((1, 0), (2, 1)))
    padded = chain.last
    first = chain.conv(4, padding=VALID).last
    chain.last = padded
    network, _ = compared(tmp_path, chain.conv(4, padding=VALID).plus(first), 4, 0)
    assert kinds(network) == ["Pad", "Conv", "Conv", "Add"]


def test_operators_that_compute_shapes_are_left_out(tmp_path):
    """Converters write SHAPE, STRIDED_SLICE and PACK for networks with an open batch."""
    chain = Chain(0, (1, 4, 4, 2)).conv(3)
    shape = chain.file.tensor((4,), "INT32")
    chain.file.operator("SHAPE", [chain.last], [shape], "ShapeOptions")
    wanted = chain.file.tensor((2,), "INT32")
    chain.file.operator("PACK", [shape], [wanted], "PackOptions")
    flat = chain.made((1, 48), chain.scales[chain.last], chain.zeros[chain.last])
    chain.file.operator("RESHAPE", [chain.last, wanted], [flat])
    chain.last = flat
    network = imported(tmp_path, chain.dense(5)).network
    assert kinds(network) == ["Conv", "Conv"]
    assert network.nodes[1].weights.shape == (5, 4, 4, 3)


def test_a_long_vector_stays_a_vector(tmp_path):
    """A layer's height and width are at most 4095, its channels 32,767."""
    network = imported(tmp_path, Chain(0, (1, 10000)).dense(3)).network
    assert kinds(network) == ["Conv"]
    network = imported(tmp_path, Chain(0, (1, 1, 4100, 2)).dense(3)).network
    assert kinds(network) == ["Reshape", "Conv"]
    assert network.shapes()[network.nodes[0].name] == (1, 1, 8200)
