"""Imported networks on the simulated default SoC, as a user runs them: every layer agrees."""

import json

import numpy as np
import pytest

from dscim.host.network import load
from tests import onnx_networks, tflite_networks
from tests.commandline import dscim

FILES = {
    "residual.tflite": lambda: tflite_networks.residual().pack(),
    "separable.onnx": lambda: onnx_networks.separable().pack(),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target", "options"),
    [
        *(
            (name, "sim", options)
            for name in FILES
            for options in (["--exact"], ["--variant", "ds-cim1", "--length", "256"])
        ),
        ("residual.tflite", "sim+eth", ["--exact"]),
    ],
)
def test_every_layer_of_an_imported_network_agrees(tmp_path, name, target, options):
    (tmp_path / name).write_bytes(FILES[name]())
    done = dscim("import", name, "-o", "n.npz", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    network = load(tmp_path / "n.npz")
    images = np.random.default_rng(1).integers(-128, 128, (2, *network.shape)).astype(np.int8)
    np.save(tmp_path / "x.npy", images)
    done = dscim(
        "run",
        "n.npz",
        "x.npy",
        "--target",
        target,
        "--json",
        "r.json",
        *options,
        folder=tmp_path,
        seconds=900,
    )
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads((tmp_path / "r.json").read_text())
    layers = [layer for layer in result["layers"] if layer["on_device"]]
    assert all(
        layer["agrees"] and bool(layer["cycles_busy"]) != bool(layer["product"]) for layer in layers
    )
    kinds = {layer["kind"] for layer in layers}
    assert kinds >= ({"Conv", "Add"} if name.startswith("residual") else {"Conv", "Depthwise"})
    assert result["end_to_end_agrees"]
    assert result["link"]["frames_received"] > len(layers)
    assert result["link"]["bytes_received"] > sum(layer["bytes_read"] for layer in layers)
    assert result["link"]["round_trip"] > 0
