"""The command line of the training: one subcommand a step, each goes on where it stopped.

    float      train the float network
    finetune   fine-tune it for one variant and stream length
    export     write network files and images into the package's data
    evaluate   accuracy of the shipped networks on all test images, by the numpy reference
"""

import argparse
import sys
from pathlib import Path

import torch

from dscim.gateware.specs import VARIANTS, ProductSpec
from dscim.host import datasets
from dscim.host.datasets import Dataset
from dscim.host.errors import UserError
from dscim.host.network import save
from dscim.host.training import evaluation, floating, images, tuning
from dscim.host.training.checkpoint import provenance
from dscim.host.training.experiment import EXPERIMENTS, Experiment, experiment
from dscim.host.training.loop import split
from dscim.host.training.recipe import Recipe
from dscim.host.training.trace import trace

DATA = Path(__file__).parent.parent / "data"
"""The folder of the files that ship."""


def main(arguments: list[str] | None = None) -> int:
    """Parse and run one subcommand; return the exit status."""
    options = _parser().parse_args(arguments)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    torch.set_num_threads(options.threads)
    status: int = options.run(options)
    return status


def _float(options: argparse.Namespace) -> int:
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


def _finetune(options: argparse.Namespace) -> int:
    """`finetune`: train through the product of one variant and length."""
    what, data = _experiment(options)
    recipe = Recipe(options.epochs, options.rate, options.seed, options.images, options.batch,
                    options.reach, held_out=options.held_out, grid=options.grid or 2)
    teacher = _checkpoint(options, options.teacher)
    model, parts = floating.load(what, teacher), split(data, recipe)
    net = tuning.quantise(
        trace(model, data.shape), what.input, parts, _spec(options), recipe.grid)
    tuning.finetune(net, floating.answers(what, model), parts, recipe,
                    _checkpoint(options, options.name),
                    _checkpoint(options, options.start) if options.start else None,
                    provenance(teacher))
    return 0


def _export(options: argparse.Namespace) -> int:
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


def _evaluate(options: argparse.Namespace) -> int:
    """`evaluate`: every shipped network on every test image; writes evaluation.json."""
    _, data = _experiment(options)
    evaluation.evaluate(data, options.folder, options.limit)
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


def _parser() -> argparse.ArgumentParser:
    """The subcommands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m dscim.host.training", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    step = _command(commands, "float", _float, "train the float network")
    step.add_argument("--name", default="float", help="of the checkpoint")
    step.add_argument("--start", help="checkpoint of an earlier float training to begin with")
    step.add_argument("--epochs", type=int, default=14)
    step.add_argument("--rate", type=float, default=0.1)
    step.add_argument("--reach", type=int, default=2, help="pixels by which images are shifted")
    step.add_argument("--images", type=int, default=55_000, help="an epoch, at most")
    step.add_argument("--batch", type=int, default=128)
    step.add_argument("--smoothing", type=float, default=0.05, help="of the labels")

    step = _command(commands, "finetune", _finetune, "fine-tune for one variant and length")
    _add_spec(step)
    step.add_argument("--name", required=True, help="of the checkpoint")
    step.add_argument("--start", help="checkpoint of an earlier fine-tuning to begin with")
    step.add_argument("--epochs", type=int, default=3)
    step.add_argument("--images", type=int, default=20_000, help="an epoch")
    step.add_argument("--batch", type=int, default=64)
    step.add_argument("--rate", type=float, default=1e-3)
    step.add_argument("--reach", type=int, default=1, help="pixels by which images are shifted")

    step = _command(commands, "export", _export, "write a network file and the images")
    _add_spec(step)
    step.add_argument("--name", required=True, help="of the network and its file")
    step.add_argument("--checkpoint", help="of the fine-tuning; without: quantised only")
    step.add_argument("--folder", type=Path, default=DATA, help="where the files go")

    step = _command(commands, "evaluate", _evaluate, "accuracy on the test set")
    step.add_argument("--folder", type=Path, default=DATA, help="where the files are")
    step.add_argument("--limit", type=int, default=10_000, help="test images")
    return parser


def _command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str,
             run: object, text: str) -> argparse.ArgumentParser:
    """A subcommand with the options that all have."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--experiment", default="fashion-resnet8",
                        help=f"{', '.join(EXPERIMENTS)} (the first)")
    parser.add_argument("--data", type=Path, help="folder of the data set (else DSCIM_DATA)")
    parser.add_argument("--work", type=Path, default=Path("build/training"),
                        help="folder of the checkpoints")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and order")
    parser.add_argument("--held-out", type=int, default=5_000,
                        help="training images by which the epoch is chosen")
    parser.set_defaults(run=run)
    return parser


def _add_spec(parser: argparse.ArgumentParser) -> None:
    """The arithmetic, and the float network that the training starts from."""
    parser.add_argument("--variant", default="ds-cim1", help="ds-cim1, ds-cim2 or exact")
    parser.add_argument("--length", type=int, default=256, help="stream length L")
    parser.add_argument("--grid", type=int, help="steps of the weights, a power of two (2)")
    parser.add_argument("--teacher", default="float", help="checkpoint of the float network")
