"""What the subcommands of the training do."""

import argparse
from pathlib import Path

import torch

from dscim.gateware.specs import VARIANTS, ProductSpec
from dscim.host import datasets
from dscim.host.cli.files import save_array
from dscim.host.datasets import Dataset
from dscim.host.errors import UserError
from dscim.host.importers import pytorch
from dscim.host.network import Evaluator, file_hash, predictions, save
from dscim.host.training import evaluation, floating, images, tuning
from dscim.host.training.checkpoint import provenance
from dscim.host.training.experiment import Experiment, experiment
from dscim.host.training.loop import split
from dscim.host.training.recipe import Recipe
from dscim.host.training.trace import trace


def run_float(options: argparse.Namespace) -> int:
    """`float`: train the float network."""
    what, data = _experiment(options)
    recipe = Recipe(options.epochs, options.rate, options.seed, options.images, options.batch,
                    options.reach, held_out=options.held_out)
    start = _checkpoint(options, options.start) if options.start else None
    model = floating.train(
        what, data, recipe, _checkpoint(options, options.name), start, options.smoothing)
    test = floating.accuracy(
        what, model, torch.tensor(data.test_images), torch.tensor(data.test_labels))
    print(f"float network: {100 * test:.2f} % of {len(data.test_labels)} test images of "
          f"{data.name}")
    return 0


def run_finetune(options: argparse.Namespace) -> int:
    """`finetune`: train through the product of one variant and length."""
    what, data = _experiment(options)
    recipe = Recipe(options.epochs, options.rate, options.seed, options.images, options.batch,
                    options.reach, held_out=options.held_out, grid=options.grid or 2,
                    average=options.average)
    teacher = _checkpoint(options, options.teacher)
    model, parts = floating.load(what, teacher), split(data, recipe)
    net = tuning.quantise(
        trace(model, data.shape), what.input, parts, _spec(options), recipe.grid)
    tuning.finetune(net, floating.answers(what, model), parts, recipe,
                    _checkpoint(options, options.name),
                    _checkpoint(options, options.start) if options.start else None,
                    provenance(teacher))
    return 0


def run_export(options: argparse.Namespace) -> int:
    """`export`: write a network file, and the images of Fashion-MNIST."""
    what, data = _experiment(options)
    teacher, spec = _checkpoint(options, options.teacher), _spec(options)
    steps = trace(floating.load(what, teacher), data.shape)
    facts = {"data": data.name, "torch": torch.__version__, "float": provenance(teacher)}
    if options.checkpoint:
        checkpoint = _checkpoint(options, options.checkpoint)
        net = tuning.load(steps, what.input, checkpoint, spec, options.grid)
        facts["finetune"] = provenance(checkpoint)
    else:
        parts = split(data, Recipe(0, 0.0, options.seed, held_out=options.held_out))
        net = tuning.quantise(steps, what.input, parts, ProductSpec(exact=True))
    save(net.export(options.name, data.shape, data.classes, facts),
         options.folder / f"{options.name}.npz")
    if what.name == "fashion-resnet8":
        images.write(data, options.folder / "fashion-images.npz")
    print(f"{options.folder / options.name}.npz written")
    return 0


def run_quantise(options: argparse.Namespace) -> int:
    """`quantise`: a network file of published weights, and how often both answer alike.

    NAME-answers.npy beside it has the float network's answers, as labels for `dscim run`.
    """
    what, data = _experiment(options)
    model = floating.published(what, options.weights)
    pixels = data.test_images
    chosen = pixels[::max(1, len(pixels) // options.calibration)]
    network = pytorch.quantise(model, chosen, options.name, what.input, provenance={
        "data": data.name, "weights_sha256": file_hash(options.weights)})
    save(network, options.folder / f"{options.name}.npz")
    whole = predictions(Evaluator(network).outputs(what.input.integers(pixels)))
    answer = floating.answers(what, model)
    real = torch.cat([answer(part).argmax(1) for part in torch.from_numpy(pixels).split(8)])
    save_array(options.folder / f"{options.name}-answers.npy", real.numpy())
    print(f"{options.folder / options.name}.npz written: the integers answer as the float network "
          f"does on {100 * float((real.numpy() == whole).mean()):.2f} % of {len(pixels)} images "
          f"of {data.name}")
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


def _spec(options: argparse.Namespace) -> ProductSpec:
    """The arithmetic that the options name."""
    if options.variant == "exact":
        return ProductSpec(exact=True)
    if options.variant not in VARIANTS:
        raise UserError(f"variant {options.variant!r} is unknown: choose ds-cim1, ds-cim2, exact.")
    return ProductSpec(VARIANTS[options.variant], options.length)
