"""A revived network computes what its file did, and can be trained."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is missing: pip install dscim[train]")

from dscim.errors import UserError  # noqa: E402
from dscim.gateware.specs import ProductSpec  # noqa: E402
from dscim.host.cli import main  # noqa: E402
from dscim.host.network import (  # noqa: E402
    AveragePool,
    Evaluator,
    Pad,
    load,
    predictions,
    run,
    save,
)
from dscim.host.network.datasets import Dataset  # noqa: E402
from dscim.host.network.datasets.pixels import Input  # noqa: E402
from dscim.host.network.shipped import EXACT, shipped_images, shipped_network  # noqa: E402
from dscim.host.research.calibrate import calibrate  # noqa: E402
from dscim.host.research.training.images import split  # noqa: E402
from dscim.host.research.training.quantised import QuantisedNet  # noqa: E402
from dscim.host.research.training.recipe import Recipe  # noqa: E402
from dscim.host.research.training.retrain import retrain  # noqa: E402
from dscim.host.research.training.revive import revive  # noqa: E402
from tests.dataset_examples import write_idx  # noqa: E402
from tests.small_network import small_network  # noqa: E402

torch.set_num_threads(1)


def test_a_revived_network_answers_as_its_integers_do():
    """In real numbers, without rounding: within a few LSB, and the same classes."""
    network = shipped_network(EXACT)
    images, _ = shipped_images(32)
    net = QuantisedNet(revive(network), ProductSpec(exact=True))
    pixels = torch.from_numpy(images.view(np.uint8) ^ np.uint8(128))
    with torch.no_grad():
        real = net.real(pixels)
    outputs = run(network, images)
    for node in network.nodes:
        got = real[node.name].permute(0, 2, 3, 1).numpy() / node.output_scale + node.output_zero
        assert abs(got - outputs[node.name]).mean() < 1.5, node.name
    answers = list(real.values())[-1].flatten(1).argmax(1).numpy()
    assert (answers == predictions(outputs[network.nodes[-1].name])).mean() > 0.96


@pytest.fixture
def folder(tmp_path):
    write_idx(tmp_path, 300, 20)
    return tmp_path


def finetune(folder, *more):
    return main(
        [
            "finetune",
            str(folder / "base.npz"),
            "-o",
            str(folder / "tuned.npz"),
            "--dataset",
            "fashion-mnist",
            "--data",
            str(folder),
            "--images",
            "32",
            "--batch",
            "16",
            "--held-out",
            "20",
            "--epochs",
            "1",
            "--quiet",
            *more,
        ]
    )


def test_finetune_writes_a_network_and_resumes(folder, capsys):
    """One epoch, and a second call after it is done, write the same file."""
    shipped = shipped_network(EXACT)
    save(shipped, folder / "base.npz")
    assert finetune(folder, "--length", "64", "--json", str(folder / "facts.json")) == 0
    tuned, first = load(folder / "tuned.npz"), (folder / "tuned.npz").read_bytes()
    assert tuned.arithmetic == ProductSpec(length=64)
    assert tuned.provenance["finetune"]["recipe"]["images"] == 32
    assert tuned.provenance["finetune"]["start"]["network"] == shipped.name
    facts = json.loads((folder / "facts.json").read_text())
    assert 0 <= facts["after"] <= 1 and facts["finetune"]["cpu_hours"] >= 0
    assert finetune(folder, "--length", "64") == 0
    assert (folder / "tuned.npz").read_bytes() == first
    assert finetune(folder, "--length", "64", "--epochs", "2") == 2
    assert "another recipe" in capsys.readouterr().err


def shipped_data():
    """The shipped images as a data set for training."""
    images, labels = shipped_images(256)
    pixels = images.view(np.uint8) ^ np.uint8(128)
    return Dataset(
        "shipped",
        shipped_network(EXACT).classes,
        pixels,
        labels.astype(np.int64),
        pixels[:1],
        labels[:1].astype(np.int64),
    )


def test_fine_tuning_begins_where_calibration_ends(tmp_path):
    """The accuracy before training is that of the calibrated network, loaded from its file."""
    data, recipe = shipped_data(), Recipe(1, 1e-3, 1, images=16, batch=16, held_out=100)
    network, spec, given = shipped_network(EXACT), ProductSpec(length=64), Input()
    parts = split(data, recipe.held_out)
    begun = calibrate(network, given.integers(parts.images[:128].numpy()), spec, seed=1)
    pixels, labels = given.integers(parts.held_images.numpy()), parts.held_labels.numpy()

    def right(net):
        return (predictions(Evaluator(net).outputs(pixels)) == labels).mean()

    tuned, result = retrain(network, given, data, spec, recipe, tmp_path / "a.pt")
    assert result["before"] == pytest.approx(right(begun)) and right(begun) > 0.6
    assert tuned.provenance["finetune"]["start"]["calibrate"] == begun.provenance["calibrate"]
    assert result["after"] == pytest.approx(right(tuned))
    longer = ProductSpec(length=128)  # a start from a shorter stream
    _, result = retrain(tuned, given, data, longer, recipe, tmp_path / "b.pt")
    assert result["before"] >= right(dataclasses.replace(tuned, arithmetic=longer))
    _, result = retrain(tuned, given, data, spec, recipe, tmp_path / "c.pt")
    assert result["before"] == pytest.approx(right(tuned))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--epochs", "0"], "--epochs 0 is below 1"),
        (["--calibration", "-1"], "--calibration -1 is below 0"),
        (["--rate", "nan"], "--rate nan is not above 0"),
        (["--batch", "64"], "--batch 64 is more than --images 32"),
        (["--held-out", "300"], "none are left to train"),
        (["--mean", "0"], "--mean and --std belong together"),
        (["--mean", "0", "--std", "0"], "--std 0.0 is not above 0"),
        (["--dataset", "mnist", "--data", "/nowhere"], "there is no train-images-idx3-ubyte"),
    ],
)
def test_misuse_is_one_sentence(folder, capsys, options, words):
    save(shipped_network(EXACT), folder / "base.npz")
    assert finetune(folder, *options) == 2
    text = capsys.readouterr().err
    assert words in text and len(text.splitlines()) == 1
    assert not (folder / "tuned.npz").exists()


def test_data_of_another_shape_are_refused(folder, capsys):
    save(small_network(), folder / "base.npz")
    assert finetune(folder, "--mean", "0", "--std", "1") == 2
    assert "but Fashion-MNIST has images of (28, 28, 1)" in capsys.readouterr().err


def test_a_network_without_trainable_form_is_refused():
    shipped = shipped_network(EXACT)
    last = shipped.nodes[-1]
    pad = Pad("around", (last.name,), last.output_zero, last.output_scale, padding=((1, 1), (0, 0)))
    pool = AveragePool("more", ("around",), last.output_zero, last.output_scale, kernel=(3, 1))
    with pytest.raises(UserError, match="'more' takes a padded tensor, but is not a convolution"):
        revive(dataclasses.replace(shipped, nodes=(*shipped.nodes, pad, pool)))
