"""`dscim demo`: on `ref` in seconds, on two simulators of the default SoC in a minute or two."""

import json
from pathlib import Path

import numpy as np
import pytest

from dscim.host.cli.demo import RUNS
from dscim.host.network import predictions
from dscim.host.network import run as emulate
from dscim.host.network.shipped import shipped_images, shipped_network
from dscim.host.research.calibrate.lengths import network_cycles
from tests.commandline import assert_refused, dscim


@pytest.mark.parametrize(
    ("target", "images"), [("ref", 2), pytest.param("sim", 3, marks=pytest.mark.slow)]
)
def test_demo(target: str, images: int, tmp_path: Path) -> None:
    done = dscim(
        "demo",
        "--target",
        target,
        "--images",
        images,
        "--simulators",
        2,
        "--json",
        "d.json",
        folder=tmp_path,
        seconds=900,
    )
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads((tmp_path / "d.json").read_text())
    inputs, labels = shipped_images(images)
    compared = 0
    for run, (name, arithmetic) in zip(result["runs"], RUNS, strict=True):
        network = shipped_network(name)
        nodes = [node.name for node in network.nodes]
        expected = emulate(network, inputs, arithmetic)
        classes = predictions(expected[network.nodes[-1].name])
        assert run["predictions"] == classes.tolist()
        assert run["accuracy"] == pytest.approx(np.mean(classes == labels))
        assert [layer["name"] for layer in run["layers"]] == nodes
        assert all(layer["agrees"] for layer in run["layers"])
        for layer in run["layers"]:  # an add in the drain of a product takes none of its own
            alone = layer["kind"] != "Add" or not layer["product"]
            assert (layer["cycles_busy"] > 0) == (target == "sim" and alone)
        if target == "sim" and not arithmetic.exact:  # what `dscim calibrate` budgets
            assert network_cycles(network, arithmetic) * images == sum(
                layer["cycles_computing"] for layer in run["layers"]
            )
        compared += sum(expected[layer].size for layer in nodes)
    assert result["all_agree"] and result["outputs_compared"] == compared
    assert len(result["links"]) == 2
    assert all((link["frames_sent"] > 0) == (target == "sim") for link in result["links"])
    last = done.stdout.splitlines()[-1]
    assert last == f"{compared} layer outputs were compared with the numpy reference: all agree."
    for label in labels:
        assert network.classes[label] in done.stdout


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("--images 0", "0"),
        ("--images 257", "256"),
        ("--simulators 0", "0"),
        ("--json no/d.json", "no/d.json"),
        ("--target moon", "moon"),
    ],
)
def test_wrong_uses(options: str, word: str) -> None:
    assert_refused(dscim("demo", *options.split()), word)
