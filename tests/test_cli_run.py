"""`dscim run` through the real command line, on `ref`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dscim.gateware.specs import ProductSpec, SequenceSpec
from dscim.host.network import predictions, save
from dscim.host.network import run as emulate
from tests.commandline import assert_refused, contents, dscim
from tests.small_network import CLASSES, small_images, small_network

OWN = ProductSpec(length=128)
"""The arithmetic that the network of these tests was tuned for."""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder with a network, inputs, labels, and wrong ones."""
    save(small_network(arithmetic=OWN), tmp_path / "net.npz")
    images = small_images(6)
    truth = predictions(emulate(small_network(arithmetic=OWN), images)["classifier"])
    labels = truth.copy()
    labels[0] = (labels[0] + 1) % len(CLASSES)
    arrays: dict[str, Any] = {
        "images": images,
        "labels": labels,
        "few": labels[:4],
        "high": labels + 4,
        "real": labels.astype(np.float32),
        "small": images[:, :7],
        "one": images[0],
        "floats": images.astype(np.float32),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "damaged.npz").write_bytes((tmp_path / "net.npz").read_bytes()[:500])
    return tmp_path


def run(
    folder: Path, *options: object, network: str = "net.npz", inputs: str = "images.npy"
) -> Any:
    """Runs `dscim run` there."""
    return dscim("run", network, inputs, *options, folder=folder)


def test_layers_accuracy_and_json(folder: Path) -> None:
    done = run(folder, "--labels", "labels.npy", "--json", "r.json", "--compare")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads((folder / "r.json").read_text())
    expected = emulate(small_network(arithmetic=OWN), small_images(6))
    assert result["predictions"] == predictions(expected["classifier"]).tolist()
    assert result["accuracy"] == pytest.approx(5 / 6)
    assert result["images"] == 6
    assert ProductSpec.from_json(result["settings"]) == OWN
    names = list(expected)
    assert [layer["name"] for layer in result["layers"]] == names
    assert all(
        layer["agrees"] and layer["on_device"] and layer["bytes_read"] for layer in result["layers"]
    )
    compared = sum(expected[name].size for name in names)
    assert result["outputs_compared"] == compared
    assert result["complete"] and result["end_to_end_agrees"]
    for number, name in enumerate(names, 1):
        assert f"[{number}/7] {name}: all" in done.stdout
    assert "accuracy 83.33 % of 6 images" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last == f"{compared} layer outputs were compared with the numpy reference: all agree."


def test_the_emulator_alone_gives_the_same(folder: Path) -> None:
    results = []
    for options in (["--compare"], ["--no-compare"], []):
        done = run(folder, "--labels", "labels.npy", "--json", "r.json", *options)
        assert (done.returncode, done.stderr) == (0, "")
        results.append(json.loads((folder / "r.json").read_text()))
    for name in ("predictions", "accuracy", "images", "settings", "network_sha256"):
        assert results[0][name] == results[1][name] == results[2][name]
    assert [layer["name"] for layer in results[2]["layers"]] == [
        layer["name"] for layer in results[0]["layers"]
    ]


@pytest.mark.parametrize(
    ("options", "product"),
    [
        ("", OWN),
        ("--length 64", ProductSpec(length=64)),
        ("--exact", ProductSpec(length=128, exact=True)),
        ("--variant ds-cim2 --signed offset", ProductSpec(64, 128, signed="offset")),
        (
            "--sequence lfsr --seeds 3,5",
            ProductSpec(length=128, sequence=SequenceSpec("lfsr", seeds=(3, 5))),
        ),
    ],
)
def test_options_take_precedence_over_the_networks_settings(
    folder: Path, options: str, product: ProductSpec
) -> None:
    done = run(folder, *options.split(), "--json", "r.json", "--limit", 2, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    result = json.loads((folder / "r.json").read_text())
    assert ProductSpec.from_json(result["settings"]) == product
    assert result["images"] == 2
    assert "accuracy" not in result
    outputs = emulate(small_network(), small_images(6)[:2], product)["classifier"]
    assert result["predictions"] == predictions(outputs).tolist()


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ({"network": "no.npz"}, "", ["no.npz"]),
        ({"network": "damaged.npz"}, "", ["damaged.npz"]),
        ({"network": "images.npy"}, "", ["images.npy"]),
        ({"inputs": "no.npy"}, "", ["no.npy"]),
        ({"inputs": "small.npy"}, "", ["7", "8"]),
        ({"inputs": "one.npy"}, "", ["(8, 8, 3)"]),
        ({"inputs": "floats.npy"}, "", ["float32", "int8"]),
        ({}, "--limit 0", ["0"]),
        ({}, "--limit -3", ["-3"]),
        ({}, "--labels few.npy", ["few.npy", "6"]),
        ({}, "--labels high.npy", ["high.npy", "0..3"]),
        ({}, "--labels real.npy", ["float32"]),
        ({}, "--labels no.npy", ["no.npy"]),
        ({}, "--length 100", ["100", "1024"]),
        ({}, "--target moon", ["moon", "ref"]),
        ({}, "--json no/r.json", ["no/r.json"]),
    ],
)
def test_wrong_uses(folder: Path, files: dict[str, str], options: str, words: list[str]) -> None:
    before = contents(folder)
    assert_refused(run(folder, *options.split(), **files), *words)
    assert contents(folder) == before
