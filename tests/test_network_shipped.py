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


def results():
    return json.loads((DATA / "evaluation.json").read_text())["results"]


def shipped_images():
    with np.load(DATA / "fashion-images.npz") as file:
        return (file["images"] ^ np.uint8(128)).view(np.int8)[..., None], file["labels"]


def test_networks_and_images_are_small():
    files = [*NETWORKS, DATA / "fashion-images.npz"]
    assert sum(path.stat().st_size for path in files) < LIMIT
    images, labels = shipped_images()
    assert images.shape == (256, 28, 28, 1) and labels.shape == (256,)


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_file_is_the_evaluated_one(path):
    hashes = {entry["sha256"] for entry in results() if entry["network"] == path.name}
    assert hashes == {file_hash(path)}
    assert load(path).provenance["float"]["seed"] >= 0


def test_every_arithmetic_was_evaluated_with_and_without_tuning():
    seen = {(e["arithmetic"]["or_width"], e["arithmetic"]["length"], e["tuned"])
            for e in results() if not e["arithmetic"]["exact"]}
    assert seen >= {(g, n, tuned) for g in (16, 64) for n in (64, 128, 256)
                    for tuned in (False, True)}
    assert all(entry["images"] == 10_000 for entry in results())


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_accuracy_on_the_shipped_images_is_the_evaluations(path):
    """On the first 64 by the network's own arithmetic: the same images the evaluation marks."""
    network = load(path)
    images, labels = shipped_images()
    [entry] = [e for e in results() if e["network"] == path.name
               and ProductSpec.from_json(e["arithmetic"]) == network.arithmetic]
    right = predictions(Evaluator(network).outputs(images[:64])) == labels[:64]
    assert [int(i) for i in np.flatnonzero(~right)] == [
        i for i in entry["shipped_wrong"] if i < 64]


@pytest.mark.slow
@pytest.mark.parametrize("entry", results() if (DATA / "evaluation.json").exists() else [],
                         ids=lambda e: f"{e['network']}-{e['arithmetic']['length']}")
def test_every_result_on_all_shipped_images(entry):
    images, labels = shipped_images()
    network = load(DATA / entry["network"])
    spec = ProductSpec.from_json(entry["arithmetic"])
    wrong = np.flatnonzero(predictions(Evaluator(network, spec).outputs(images)) != labels)
    assert wrong.tolist() == entry["shipped_wrong"]
