"""The experiments: their networks have the shapes they should, and their plans run."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is missing: pip install dscim[train]")

from dscim.errors import UserError  # noqa: E402
from dscim.host.cli import main  # noqa: E402
from dscim.host.network import (  # noqa: E402
    Evaluator,
    datasets,
    load,
    predictions,
)
from dscim.host.research.training import floating, pytorch  # noqa: E402
from dscim.host.research.training.experiment import EXPERIMENTS, experiment  # noqa: E402
from dscim.host.research.training.plans import PLANS  # noqa: E402
from dscim.host.research.training.trace import trace  # noqa: E402
from tests.dataset_examples import write_cifar  # noqa: E402

torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("name", "shape", "parameters", "convolutions"),
    [
        ("fashion-resnet8", (28, 28, 1), 77_754, 10),
        ("cifar10-resnet8", (32, 32, 3), 78_042, 10),
        ("cifar10-resnet18", (32, 32, 3), 11_173_962, 21),
        ("imagenet-mobilenetv2", (64, 64, 3), 3_504_872, 53),
    ],
)
def test_networks_have_their_shapes(name, shape, parameters, convolutions):
    model = EXPERIMENTS[name].build()
    assert sum(p.numel() for p in model.parameters()) == parameters
    steps = trace(model, shape)
    assert sum(type(step).__name__ == "ConvStep" for step in steps) == convolutions


def test_unknown_experiments_and_plans_are_refused(capsys):
    with pytest.raises(UserError, match="choose one of fashion-resnet8, cifar10-resnet8"):
        experiment("alexnet")
    assert main(["dev", "train", "all", "--experiment", "imagenet-mobilenetv2"]) == 2
    assert "has no plan; those with one are" in capsys.readouterr().err


@pytest.mark.slow
def test_resnet18s_plan_runs_from_end_to_end(tmp_path):
    """A few steps of each training by one command; then every network is evaluated."""
    write_cifar(tmp_path, 2)
    given = [
        "dev",
        "train",
        "all",
        "--experiment",
        "cifar10-resnet18",
        "--data",
        str(tmp_path),
        "--work",
        str(tmp_path),
        "epochs=1",
        "images=4",
        "batch=4",
        "held-out=4",
        "limit=1",
        "calibration=0",
        f"folder={tmp_path}",
    ]
    assert main(given) == 0
    results = json.loads((tmp_path / "cifar10-resnet18.json").read_text())["results"]
    assert len(results) == 4 + 6
    tuned = load(tmp_path / "cifar10-resnet18-ds-cim1-64.npz")
    chain = []
    facts = tuned.provenance
    while "finetune" in facts:
        assert facts["finetune"]["epochs"] == 1
        facts = facts["finetune"]["start"]
        chain.append(facts["network"].removeprefix("cifar10-resnet18-"))
    assert chain == ["ds-cim1-128", "ds-cim1-256", "int8"] and facts["float"]["epochs"] == 1
    assert PLANS["cifar10-resnet18"][0].startswith("float --epochs 200")


def published():
    """MobileNetV2's ImageNet weights and the folder of labelled photographs, or a skip."""
    root = Path(os.environ.get("DSCIM_DATA") or ".")
    weights = next(root.rglob("mobilenet_v2-*.pth"), None)
    folder = root / "imagenet-sample"
    if weights is None or not folder.is_dir():
        pytest.skip("DSCIM_DATA has no mobilenet_v2-*.pth and no imagenet-sample folder")
    return weights, folder


@pytest.mark.slow
def test_mobilenetv2_answers_as_in_float():
    """The integers agree with the float network on nine of ten of 64 photographs."""
    weights, folder = published()
    what = experiment("imagenet-mobilenetv2")
    model = floating.published(what, weights)
    images = datasets.load("folder", folder, (224, 224, 3)).test_images
    network = pytorch.quantise(model, images[::8], "mobilenetv2", what.input)
    shown = images[1::4]
    whole = predictions(Evaluator(network).outputs(what.input.integers(shown)))
    answer = floating.answers(what, model)
    real = torch.cat([answer(part).argmax(1) for part in torch.from_numpy(shown).split(8)])
    assert (real.numpy() == whole).mean() >= 0.88


def test_published_weights_become_a_network_without_training(tmp_path, capsys):
    """The network is written; the printed agreement with the float network is correct."""
    write_cifar(tmp_path, 8)
    what = experiment("cifar10-resnet8")
    torch.manual_seed(2)
    model = floating.blank(what).eval()
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    given = [
        "dev",
        "train",
        "quantise",
        "--experiment",
        what.name,
        "--data",
        str(tmp_path),
        "--weights",
        str(tmp_path / "weights.pth"),
        "--name",
        "net",
        "--folder",
        str(tmp_path),
    ]
    assert main(given) == 0
    images = datasets.load("cifar10", tmp_path).test_images
    answers = floating.answers(what, model)(torch.from_numpy(images)).argmax(1).numpy()
    assert np.array_equal(np.load(tmp_path / "net-answers.npy"), answers)
    whole = predictions(Evaluator(load(tmp_path / "net.npz")).outputs(what.input.integers(images)))
    assert f"on {100 * (whole == answers).mean():.2f} % of 8 images" in capsys.readouterr().out


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    what = experiment("imagenet-mobilenetv2")
    for content in (b"", b"no weights at all"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="does not have the weights of imagenet-mobilenetv2"):
            floating.published(what, path)
    torch.save({"x": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="does not have the weights"):
        floating.published(what, path)
