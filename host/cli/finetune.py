"""`dscim finetune`: a network file trained through the DS-CIM product, a network file again."""

import argparse
import dataclasses
from pathlib import Path

from dscim.errors import UserError
from dscim.files import check_writable, save_json
from dscim.gateware.specs import describe
from dscim.host.cli.data_options import add_dataset, dataset_of, input_of
from dscim.host.cli.options import add_arithmetic, add_report, product_spec, report_of
from dscim.host.network import file_hash, load, save


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim finetune`."""
    parser.add_argument(
        "network",
        type=Path,
        metavar="NETWORK",
        help="a network file (.npz), imported or calibrated or fine-tuned before",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="TUNED.npz",
        help="the fine-tuned network; TUNED.pt beside it is its checkpoint",
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="NETWORK",
        help="network whose answers are learnt (default: NETWORK itself)",
    )
    add_dataset(parser)
    add_arithmetic(parser)
    _add_recipe(parser)
    add_report(parser)


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    """Adds what the training is repeated from."""
    group = parser.add_argument_group("training")
    group.add_argument("--epochs", type=int, default=3, help="default 3")
    group.add_argument("--images", type=int, default=20_000, help="an epoch (default 20000)")
    group.add_argument("--batch", type=int, default=64, help="images a step (default 64)")
    group.add_argument(
        "--rate",
        type=float,
        default=3e-3,
        help="greatest rate (default 0.003; 0.01 suits 4 samples a row)",
    )
    group.add_argument(
        "--reach", type=int, default=1, help="pixels by which images are shifted (default 1)"
    )
    group.add_argument(
        "--held-out",
        type=int,
        default=2_000,
        help="training images by which the epoch is chosen (default 2000)",
    )
    group.add_argument(
        "--calibration",
        type=int,
        default=128,
        help="training images that a network of another arithmetic is calibrated "
        "on first; 0: none (default 128)",
    )
    group.add_argument(
        "--average",
        type=float,
        default=0.99,
        help="decay of the weights' moving average a step; 0: none (default 0.99)",
    )
    group.add_argument("--seed", type=int, default=1, help="of order and shifts (default 1)")
    group.add_argument("--threads", type=int, default=1, help="of torch (default 1)")


def run(options: argparse.Namespace) -> int:
    """Fine-tunes, or goes on from the last epoch; exit status 0 when the file is written."""
    try:
        import torch  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            "fine-tuning needs torch: install it with `pip install dscim[train]`."
        ) from error
    from dscim.host.research.training.loop import Callbacks  # noqa: PLC0415
    from dscim.host.research.training.recipe import Recipe  # noqa: PLC0415
    from dscim.host.research.training.retrain import retrain  # noqa: PLC0415

    check_writable(options.json)
    check_writable(options.output)
    _check_recipe(options)
    report, network = report_of(options), load(options.network)
    teacher = load(options.teacher) if options.teacher else None
    spec = product_spec(options, dataclasses.replace(network.arithmetic, exact=False))
    given, data = input_of(options, network), dataset_of(options, network)
    torch.set_num_threads(options.threads)
    recipe = Recipe(
        options.epochs,
        options.rate,
        options.seed,
        options.images,
        options.batch,
        options.reach,
        held_out=options.held_out,
        average=options.average,
    )
    report.say(f"{network.name} on {data.name} through {describe(spec)}")
    checkpoint = options.output.with_suffix(".pt")
    with report.progress() as step:
        callbacks = Callbacks(report.say, step)
        tuned, result = retrain(
            network, given, data, spec, recipe, checkpoint, teacher, options.calibration, callbacks
        )
    save(dataclasses.replace(tuned, name=options.output.stem), options.output)
    report.say(
        f"'{options.output}' written: {100 * result['before']:.2f} % of the held-out images "
        f"before, {100 * result['after']:.2f} % after; CPU hours "
        f"{result['finetune']['cpu_hours']}"
    )
    save_json(
        options.json,
        {
            "network_sha256": file_hash(options.network),
            "tuned_sha256": file_hash(options.output),
            "arithmetic": spec.to_json(),
            **result,
        },
    )
    return 0


def _check_recipe(options: argparse.Namespace) -> None:
    """Raises UserError for a number that no training can have."""
    for name in ("epochs", "images", "batch", "held_out", "threads"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} {getattr(options, name)} is below 1.")
    if options.calibration < 0:
        raise UserError(f"--calibration {options.calibration} is below 0.")
    if not options.rate > 0 or options.reach < 0:
        raise UserError(
            f"--rate {options.rate} must be above 0, --reach {options.reach} not below it."
        )
    if options.batch > options.images:
        raise UserError(f"--batch {options.batch} is more than --images {options.images}.")
