"""`dscim finetune`: trains a network file through the DS-CIM product."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from dscim.errors import UserError
from dscim.files import save_json
from dscim.gateware.specs import describe
from dscim.host.cli.arithmetic_options import ArithmeticOptions, product_spec
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.data_options import DatasetOptions, dataset_of, input_of
from dscim.host.cli.options import Command, argument, option, output_file
from dscim.host.network import file_hash, load, save
from dscim.host.research.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """The recipe of a training."""

    GROUP = "training"
    epochs: int = option("N", "number of epochs", default=3, within=(1, None))
    images: int = option("N", "images per epoch", default=20_000, within=(1, None))
    batch: int = option("N", "images per step", default=64, within=(1, None))
    rate: float = option(
        "R", "maximum learning rate (default: 0.003; 0.01 suits 4 samples per row)", default=3e-3
    )
    reach: int = option("N", "maximum shift of the images in pixels", default=1, within=(0, None))
    held_out: int = option(
        "N",
        "number of training images held out to choose the best epoch",
        default=2_000,
        within=(1, None),
    )
    calibration: int = option(
        "N",
        "number of training images for calibrating a network of another arithmetic first; 0: none",
        default=128,
        within=(0, None),
    )
    average: float = option(
        "D", "decay per step of the moving average of the weights; 0: none", default=0.99
    )
    seed: int = option("S", "seed of the order and the shifts of images", default=1)
    threads: int = option("N", "number of PyTorch threads", default=1, within=(1, None))


@dataclass(frozen=True, kw_only=True)
class Options(DatasetOptions, ArithmeticOptions, RecipeOptions, ReportOptions):
    """The options of `dscim finetune`."""

    network: Path = argument(
        "NETWORK", "network file (.npz): imported, calibrated or already fine-tuned"
    )
    output: Path = output_file(
        "TUNED.npz",
        "fine-tuned network file to write; the checkpoint is TUNED.pt in the same folder",
        short="-o",
    )
    teacher: Path | None = option(
        "NETWORK", "network file whose outputs are learnt (default: NETWORK itself)"
    )


def run(options: Options) -> int:
    """Fine-tunes, or resumes from the last epoch; exit status 0 when the file is written."""
    try:
        import torch  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            "fine-tuning needs torch: install it with `pip install dscim[train]`."
        ) from error
    from dscim.host.research.training.loop import Callbacks  # noqa: PLC0415
    from dscim.host.research.training.retrain import retrain  # noqa: PLC0415

    recipe = _recipe(options)
    report, network = report_of(options), load(options.network)
    teacher = load(options.teacher) if options.teacher else None
    spec = product_spec(options, dataclasses.replace(network.arithmetic, exact=False))
    pixels = input_of(options, network)
    data = dataset_of(options.dataset, options, network)
    torch.set_num_threads(options.threads)
    report.say(f"{network.name} on {data.name} through {describe(spec)}")
    checkpoint = options.output.with_suffix(".pt")
    with report.progress() as step:
        callbacks = Callbacks(report.say, step)
        tuned, result = retrain(
            network, pixels, data, spec, recipe, checkpoint, teacher, options.calibration, callbacks
        )
    digest = save(dataclasses.replace(tuned, name=options.output.stem), options.output)
    report.say(
        f"'{options.output}' written: {100 * result['before']:.2f} % of the held-out images "
        f"before, {100 * result['after']:.2f} % after; CPU hours "
        f"{result['finetune']['cpu_hours']}"
    )
    save_json(
        options.json,
        {
            "network_sha256": file_hash(options.network),
            "tuned_sha256": digest,
            "arithmetic": spec.to_json(),
            **result,
        },
    )
    return 0


def _recipe(options: Options) -> Recipe:
    """The training that the options describe; UserError where it cannot be."""
    if not options.rate > 0:
        raise UserError(f"--rate {options.rate} is not above 0.")
    if options.batch > options.images:
        raise UserError(f"--batch {options.batch} is more than --images {options.images}.")
    return Recipe(
        options.epochs,
        options.rate,
        options.seed,
        options.images,
        options.batch,
        options.reach,
        held_out=options.held_out,
        average=options.average,
    )


COMMAND = Command(
    Options, run, "finetune net.npz --dataset cifar10 --output tuned.npz --length 64 --epochs 1"
)
