"""The command line of the training: one subcommand a step, each goes on where it stopped.

float      train the float network
export     write its network file, and images, into the package's data
quantise   a network file of published float weights, without any training
evaluate   accuracy of the networks of an experiment on all test images
all        every step of an experiment's plan, `dscim finetune` too
"""

import argparse
import sys
from pathlib import Path

import torch

from dscim.errors import UserError
from dscim.host.cli import main as dscim
from dscim.host.research.training import verbs
from dscim.host.research.training.experiment import EXPERIMENTS, experiment
from dscim.host.research.training.plans import PLANS

DATA = Path(__file__).parent.parent / "data"
"""The folder of the files that ship."""


def main(arguments: list[str] | None = None) -> int:
    """Parse and run one subcommand; return the exit status."""
    options = _parser().parse_args(arguments)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    torch.set_num_threads(options.threads)
    status: int = options.run(options)
    return status


def run_all(options: argparse.Namespace) -> int:
    """`all`: every command of an experiment's plan, each with the options that it shares."""
    if options.experiment not in PLANS:
        raise UserError(
            f"the experiment {options.experiment!r} has no plan; those with one are "
            f"{', '.join(PLANS)}."
        )
    shared = [
        "--threads",
        str(options.threads),
        "--seed",
        str(options.seed),
        *(["--data", str(options.data)] if options.data else []),
    ]
    own = ["--experiment", options.experiment, "--work", str(options.work)]
    places = {"folder": options.folder or options.work}
    for line in PLANS[options.experiment]:
        verb, *given = line.format(**places).split()
        tuning = verb == "finetune"
        named = ["--dataset", experiment(options.experiment).dataset] if tuning else own
        words = [verb, *given, *named, *shared, *_known(line, options.more)]
        print(f"dscim {'' if tuning else 'dev train '}{' '.join(words)}")
        if status := (dscim(words) if tuning else main(words)):
            return status
    return 0


def _known(line: str, more: list[str]) -> list[str]:
    """Those of the options `more`, NAME=VALUE, that a command of the plan has itself."""
    return [
        word
        for pair in more
        for name, _, value in [pair.partition("=")]
        if f"--{name} " in line
        for word in (f"--{name}", value)
    ]


def _parser() -> argparse.ArgumentParser:
    """The subcommands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m dscim.host.research.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    step = _command(commands, "float", verbs.run_float, "train the float network")
    step.add_argument("--name", default="float", help="of the checkpoint")
    step.add_argument("--start", help="checkpoint of an earlier float training to begin with")
    step.add_argument("--epochs", type=int, default=14)
    step.add_argument("--rate", type=float, default=0.1)
    step.add_argument("--reach", type=int, default=2, help="pixels by which images are shifted")
    step.add_argument("--images", type=int, default=55_000, help="an epoch, at most")
    step.add_argument("--batch", type=int, default=128)
    step.add_argument("--smoothing", type=float, default=0.05, help="of the labels")

    step = _command(
        commands,
        "export",
        verbs.run_export,
        "write the network file for the exact product, and the images",
    )
    step.add_argument("--name", required=True, help="of the network and its file")
    step.add_argument("--teacher", default="float", help="checkpoint of the float network")
    step.add_argument("--folder", type=Path, default=DATA, help="where the files go")

    step = _command(
        commands,
        "quantise",
        verbs.run_quantise,
        "a network file of published weights, without any training",
    )
    step.add_argument("--name", required=True, help="of the network and its file")
    step.add_argument("--weights", type=Path, required=True, help="state dictionary, .pth")
    step.add_argument("--calibration", type=int, default=32, help="images that choose ranges")
    step.add_argument("--folder", type=Path, default=DATA, help="where the file goes")

    step = _command(commands, "all", run_all, "every command of the experiment's plan")
    step.add_argument("--folder", type=Path, help="where the networks go (default: --work)")
    step.add_argument(
        "more",
        nargs="*",
        metavar="NAME=VALUE",
        help="instead of the plan's own: epochs=1 images=64 ...",
    )

    step = _command(commands, "evaluate", verbs.run_evaluate, "accuracy on the test set")
    step.add_argument("--folder", type=Path, default=DATA, help="where the files are")
    step.add_argument("--limit", type=int, default=10_000, help="test images")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: object,
    text: str,
) -> argparse.ArgumentParser:
    """A subcommand with the options that all have."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument(
        "--experiment", default="fashion-resnet8", help=f"{', '.join(EXPERIMENTS)} (the first)"
    )
    parser.add_argument("--data", type=Path, help="folder of the data set (else DSCIM_DATA)")
    parser.add_argument(
        "--work", type=Path, default=Path("build/training"), help="folder of the checkpoints"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and order")
    parser.add_argument(
        "--held-out", type=int, default=5_000, help="training images by which the epoch is chosen"
    )
    parser.set_defaults(run=run)
    return parser
