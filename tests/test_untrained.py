"""The keyword network with random weights: its structure, its values, the same bits on `ref`."""

import json
from pathlib import Path

import numpy as np
import pytest

from dscim.gateware.specs import MacroSpec, ProductSpec, SocSpec
from dscim.host.device.run import NetworkRun
from dscim.host.device.target import open_target
from dscim.host.network import Depthwise, Evaluator, Network, load
from dscim.host.network.file import pack
from dscim.host.network.untrained import CHANNELS, CLASSES, keyword_inputs, keyword_network
from tests.commandline import assert_refused, contents, dscim

DEVICE = SocSpec(
    MacroSpec(rows=64, columns=64),
    exact=True,
    activation_words=1 << 15,
    weight_rows=1024,
    channels=1024,
    banks=4,
    requant_lanes=8,
)


@pytest.fixture(name="network", scope="module")
def _network() -> Network:
    return keyword_network(1)


def test_its_structure(network: Network) -> None:
    shapes = network.shapes()
    assert len(network.nodes) == 11
    assert [node.name for node in network.nodes_of(Depthwise)] == [
        f"depthwise{block}" for block in (1, 2, 3, 4)
    ]
    assert {shapes[f"{kind}{k}"] for kind in ("depthwise", "pointwise") for k in (1, 2, 3, 4)} == {
        (25, 5, CHANNELS)
    }
    assert network.shape == (49, 10, 1)
    assert shapes["classifier"] == (1, 1, CLASSES)


def test_a_seed_makes_one_network(network: Network) -> None:
    assert pack(keyword_network(1)) == pack(network)
    assert pack(keyword_network(2)) != pack(network)
    assert network.provenance["seed"] == 1


def test_values_are_spread(network: Network) -> None:
    """With inputs on which it was not normalised; every channel of every node has many values."""
    outputs = Evaluator(network, ProductSpec(exact=True)).nodes(keyword_inputs(16, 5))
    for name, values in outputs.items():
        channels = values.reshape(-1, values.shape[-1])
        assert channels.std(axis=0).min() > 4, name
        assert (values == 127).mean() < 0.05, name
        assert (values == -128).mean() < 0.5, name


@pytest.mark.parametrize("arithmetic", [ProductSpec(16, 64), ProductSpec(exact=True)])
def test_the_reference_device_has_the_evaluators_bits(
    network: Network, arithmetic: ProductSpec
) -> None:
    images = keyword_inputs(1, 7)
    with open_target("ref", DEVICE) as device:
        run = NetworkRun([device], network, arithmetic, images)
        list(run.execute(lambda *_: None))
    assert run.holds
    assert run.compared == sum(int(np.prod(network.shapes()[node.name])) for node in network.nodes)
    assert run.outputs is not None
    assert np.array_equal(run.outputs, Evaluator(network, arithmetic).outputs(images))


def test_the_command_line(tmp_path: Path) -> None:
    file, inputs, facts = (tmp_path / name for name in ("net.npz", "x.npy", "facts.json"))
    done = dscim("dev", "keyword", "-o", file, "--seed", 1, "--inputs", inputs, "--json", facts)
    assert done.returncode == 0, done.stderr
    assert "seed 1" in done.stdout and "2656768 multiply-accumulates" in done.stdout
    assert file.read_bytes() == pack(keyword_network(1))
    assert load(file).provenance["seed"] == json.loads(facts.read_text())["seed"] == 1
    assert np.load(inputs).shape == (16, 49, 10, 1)
    folder = tmp_path / "none"
    folder.mkdir()
    refused = dscim("dev", "keyword", "-o", folder / "net.npz", "--count", 0, folder=folder)
    assert_refused(refused, "--count 0 is below 1")
    assert contents(folder) == []
