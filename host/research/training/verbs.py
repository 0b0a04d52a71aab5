"""What the subcommands of the training do."""

import argparse
from pathlib import Path

import torch

from dscim.files import save_array
from dscim.host.network import Evaluator, datasets, file_hash, predictions, save
from dscim.host.network.datasets import Dataset
from dscim.host.network.shipped import write_images
from dscim.host.research.training import evaluation, floating, pytorch
from dscim.host.research.training.checkpoint import provenance
from dscim.host.research.training.experiment import Experiment, experiment
from dscim.host.research.training.images import split
from dscim.host.research.training.recipe import Recipe

CALIBRATION = 512
"""Training images from which ranges are chosen."""


def run_float(options: argparse.Namespace) -> int:
    """`float`: train the float network."""
    what, data = _experiment(options)
    recipe = Recipe(
        options.epochs,
        options.rate,
        options.seed,
        options.images,
        options.batch,
        options.reach,
        held_out=options.held_out,
        smoothing=options.smoothing,
    )
    start = _checkpoint(options, options.start) if options.start else None
    model = floating.train(what, data, recipe, _checkpoint(options, options.name), start)
    test = floating.accuracy(
        what, model, torch.tensor(data.test_images), torch.tensor(data.test_labels)
    )
    print(
        f"float network: {100 * test:.2f} % of {len(data.test_labels)} test images of {data.name}"
    )
    return 0


def run_export(options: argparse.Namespace) -> int:
    """`export`: write the network file for the exact product, and the images of Fashion-MNIST."""
    what, data = _experiment(options)
    teacher = _checkpoint(options, options.teacher)
    parts = split(data, options.held_out)
    network = pytorch.quantise(
        floating.load(what, teacher),
        parts.images[:CALIBRATION].numpy(),
        options.name,
        what.input,
        data.classes,
        {"data": data.name, "float": provenance(teacher)},
    )
    save(network, options.folder / f"{options.name}.npz")
    if what.name == "fashion-resnet8":
        write_images(data, options.folder / "fashion-images.npz")
    print(f"{options.folder / options.name}.npz written")
    return 0


def run_quantise(options: argparse.Namespace) -> int:
    """`quantise`: a network file of published weights, and how often both answer alike.

    NAME-answers.npy beside it has the float network's answers, as labels for `dscim run`.
    """
    what, data = _experiment(options)
    model = floating.published(what, options.weights)
    pixels = data.test_images
    chosen = pixels[:: max(1, len(pixels) // options.calibration)]
    network = pytorch.quantise(
        model,
        chosen,
        options.name,
        what.input,
        provenance={"data": data.name, "weights_sha256": file_hash(options.weights)},
    )
    save(network, options.folder / f"{options.name}.npz")
    whole = predictions(Evaluator(network).outputs(what.input.integers(pixels)))
    answer = floating.answers(what, model)
    real = torch.cat([answer(part).argmax(1) for part in torch.from_numpy(pixels).split(8)])
    save_array(options.folder / f"{options.name}-answers.npy", real.numpy())
    print(
        f"{options.folder / options.name}.npz written: the integers answer as the float network "
        f"does on {100 * float((real.numpy() == whole).mean()):.2f} % of {len(pixels)} images "
        f"of {data.name}"
    )
    return 0


def run_evaluate(options: argparse.Namespace) -> int:
    """`evaluate`: every shipped network on every test image; writes evaluation.json."""
    what, data = _experiment(options)
    evaluation.evaluate(what.name, data, options.folder, options.limit)
    return 0


def _experiment(options: argparse.Namespace) -> tuple[Experiment, Dataset]:
    """The experiment that the options name, and its data set."""
    what = experiment(options.experiment)
    return what, datasets.load(what.dataset, options.data)


def _checkpoint(options: argparse.Namespace, name: str) -> Path:
    """The checkpoint of that name in the work folder."""
    work: Path = options.work
    return work / f"{name}.pt"
