"""The shipped networks: whole, small, and as accurate as their evaluation says."""

import json
from pathlib import Path

import numpy as np
import pytest

import dscim.host
from dscim.gateware.specs import ProductSpec
from dscim.host.network import Evaluator, file_hash, load, predictions

DATA = Path(dscim.host.__file__).parent / "data"
NETWORKS = sorted(DATA.glob("fashion-resnet8*.npz"))
LIMIT = 600_000
RESULTS = json.loads((DATA / "evaluation.json").read_text())["results"]


def name(entry):
    spec = entry["arithmetic"]
    return f"{entry['network']}-{'exact' if spec['exact'] else spec['length']}"


def wrong(entry, count):
    """The indices of the first `count` shipped images that the network now gets wrong."""
    with np.load(DATA / "fashion-images.npz") as file:
        images, labels = file["images"][:count], file["labels"][:count]
    evaluator = Evaluator(load(DATA / entry["network"]), ProductSpec.from_json(entry["arithmetic"]))
    outputs = evaluator.outputs((images ^ np.uint8(128)).view(np.int8)[..., None])
    return np.flatnonzero(predictions(outputs) != labels).tolist()


def test_networks_and_images_are_small():
    assert sum(path.stat().st_size for path in [*NETWORKS, DATA / "fashion-images.npz"]) < LIMIT
    with np.load(DATA / "fashion-images.npz") as file:
        assert file["images"].shape == (256, 28, 28) and file["labels"].shape == (256,)


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_networks_say_how_they_were_made(path):
    network = load(path)
    assert network.shape == (28, 28, 1) and len(network.classes) == 10
    record = network.provenance
    recipe = record["float"].get("recipe", record["float"])  # early files contain the recipe itself
    assert isinstance(recipe["seed"], int)
    assert network.arithmetic.exact or record["finetune"]["epochs"] >= 1


@pytest.mark.parametrize("entry", RESULTS, ids=name)
def test_evaluated_files_are_the_shipped_ones(entry):
    assert entry["sha256"] == file_hash(DATA / entry["network"])
    assert entry["images"] == 10_000


@pytest.mark.parametrize(
    "entry", [e for e in RESULTS if e["tuned"] or e["arithmetic"]["exact"]], ids=name
)
def test_the_first_images_are_as_evaluated(entry):
    """On 16 images in the network's own arithmetic; the slow test covers all images."""
    assert wrong(entry, 16) == [index for index in entry["shipped_wrong"] if index < 16]


@pytest.mark.slow
@pytest.mark.parametrize("entry", RESULTS, ids=name)
def test_all_shipped_images_are_as_evaluated(entry):
    assert wrong(entry, 256) == entry["shipped_wrong"]


def test_every_stream_length_was_evaluated_with_and_without_tuning():
    seen = [
        (e["arithmetic"]["or_width"], e["arithmetic"]["length"], e["tuned"])
        for e in RESULTS
        if not e["arithmetic"]["exact"]
    ]
    assert sorted(seen) == sorted(
        (width, length, tuned)
        for width in (16, 64)
        for length in (64, 128, 256)
        for tuned in (False, True)
    )
    assert [e["tuned"] for e in RESULTS if e["arithmetic"]["exact"]] == [False]


def test_the_table_is_of_the_shipped_files():
    """ResNet-8 on CIFAR-10 (JPEG): exact, and fine-tuned for the arithmetic of each file."""
    table = json.loads((DATA / "cifar10-resnet8-table.json").read_text())
    assert table["network_sha256"] == file_hash(DATA / "cifar10-resnet8-int8.npz")
    assert table["images"] == 10_000
    tuned = {row["fine_tuned_file"]: row for row in table["rows"] if "fine_tuned" in row}
    assert set(tuned) == {path.name for path in DATA.glob("cifar10-resnet8-ds-*.npz")}
    for name, row in tuned.items():
        network = load(DATA / name)
        assert row["fine_tuned_sha256"] == file_hash(DATA / name)
        assert network.arithmetic == ProductSpec.from_json(row["settings"])
        assert network.provenance["finetune"]["cpu_hours"] > 0
