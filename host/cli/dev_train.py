"""`dscim dev train`: trains the shipped networks, step by step; an interrupted step resumes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dscim.console import Report
from dscim.errors import UserError
from dscim.files import save_array, save_json
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.data_options import FOLDER_HELP
from dscim.host.cli.entry import main
from dscim.host.cli.options import Command, argument, option
from dscim.host.network import Evaluator, datasets, file_hash, predictions, save
from dscim.host.network.datasets import Dataset
from dscim.host.network.shipped import write_images
from dscim.host.research.training import evaluation
from dscim.host.research.training.plans import PLANS
from dscim.host.research.training.recipe import Recipe

if TYPE_CHECKING:
    from dscim.host.research.training.experiment import Experiment

DATA = Path(__file__).parent.parent / "data"
"""The folder of the files that ship."""

CALIBRATION = 512
"""Training images that determine the ranges of a quantised network."""


@dataclass(frozen=True, kw_only=True)
class StepOptions(ReportOptions):
    """Options of all steps."""

    experiment: str = option(
        "NAME",
        "fashion-resnet8, cifar10-resnet8, cifar10-resnet18 or imagenet-mobilenetv2",
        default="fashion-resnet8",
    )
    data: Path | None = option("FOLDER", FOLDER_HELP)
    work: Path = option("FOLDER", "folder of the checkpoints", default=Path("build/training"))
    threads: int = option("N", "number of PyTorch threads", default=1, within=(1, None))
    seed: int = option("S", "seed of the weights and of the order of images", default=1)
    held_out: int = option(
        "N", "number of training images held out to choose the best epoch", default=5_000
    )

    def checkpoint(self, name: str) -> Path:
        """The file of a checkpoint."""
        return self.work / f"{name}.pt"


def folder_option() -> Any:
    """The field `folder` of the steps that read or write files that ship."""
    return option("FOLDER", "folder of the networks (default: host/data)", default=DATA)


@dataclass(frozen=True, kw_only=True)
class FloatOptions(StepOptions):
    """The options of `dscim dev train float`."""

    name: str = option("NAME", "name of the checkpoint", default="float")
    start: str | None = option("NAME", "checkpoint of an earlier float training to start from")
    epochs: int = option("N", "number of epochs", default=14)
    rate: float = option("R", "maximum learning rate", default=0.1)
    reach: int = option("N", "maximum shift of the images in pixels", default=2)
    images: int = option("N", "maximum number of images per epoch", default=55_000)
    batch: int = option("N", "images per step", default=128)
    smoothing: float = option("S", "label smoothing, 0 to 1", default=0.05)


def train_float(options: FloatOptions) -> int:
    """Trains the float network, or resumes."""
    what, data, report = _prepared(options)
    import torch  # noqa: PLC0415 - slow to import

    from dscim.host.research.training import floating  # noqa: PLC0415
    from dscim.host.research.training.loop import Callbacks  # noqa: PLC0415

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
    start = options.checkpoint(options.start) if options.start else None
    with report.progress() as step:
        callbacks = Callbacks(report.say, step)
        checkpoint = options.checkpoint(options.name)
        model = floating.train(what, data, recipe, checkpoint, start, callbacks)
    test = floating.accuracy(
        what, model, torch.tensor(data.test_images), torch.tensor(data.test_labels)
    )
    report.say(
        f"float network: {100 * test:.2f} % of {len(data.test_labels)} test images of {data.name}"
    )
    save_json(options.json, {"accuracy": test, "images": len(data.test_labels)})
    return 0


@dataclass(frozen=True, kw_only=True)
class ExportOptions(StepOptions):
    """The options of `dscim dev train export`."""

    name: str = option("NAME", "name of the network and its file")
    teacher: str = option("NAME", "checkpoint of the float network", default="float")
    folder: Path = folder_option()


def export(options: ExportOptions) -> int:
    """Writes the network file for the exact product, and the images of Fashion-MNIST."""
    what, data, report = _prepared(options)
    from dscim.host.research.training import floating, pytorch  # noqa: PLC0415 - need torch
    from dscim.host.research.training.checkpoint import provenance  # noqa: PLC0415
    from dscim.host.research.training.images import split  # noqa: PLC0415

    teacher = options.checkpoint(options.teacher)
    parts = split(data, options.held_out)
    network = pytorch.quantise(
        floating.load(what, teacher),
        parts.images[:CALIBRATION].numpy(),
        options.name,
        what.input,
        data.classes,
        {"data": data.name, "float": provenance(teacher)},
    )
    path = options.folder / f"{options.name}.npz"
    save(network, path)
    if what.name == "fashion-resnet8":
        write_images(data, options.folder / "fashion-images.npz")
    report.say(f"'{path}' written")
    save_json(options.json, {"network": str(path), "sha256": file_hash(path)})
    return 0


@dataclass(frozen=True, kw_only=True)
class QuantiseOptions(StepOptions):
    """The options of `dscim dev train quantise`."""

    name: str = option("NAME", "name of the network and its file")
    weights: Path = option("FILE.pth", "state dictionary with the published weights")
    calibration: int = option(
        "N", "number of images that determine the ranges", default=32, within=(1, None)
    )
    folder: Path = folder_option()


def quantise(options: QuantiseOptions) -> int:
    """Writes a network file of published weights; reports its agreement with the float network.

    Writes the float network's predictions to NAME-answers.npy, as labels for `dscim run`.
    """
    what, data, report = _prepared(options)
    import torch  # noqa: PLC0415 - slow to import

    from dscim.host.research.training import floating, pytorch  # noqa: PLC0415

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
    path = options.folder / f"{options.name}.npz"
    save(network, path)
    whole = predictions(Evaluator(network).outputs(what.input.integers(pixels)))
    answer = floating.answers(what, model)
    real = torch.cat([answer(part).argmax(1) for part in torch.from_numpy(pixels).split(8)])
    save_array(options.folder / f"{options.name}-answers.npy", real.numpy())
    agreement = float((real.numpy() == whole).mean())
    report.say(
        f"'{path}' written: the integers agree with the float network on "
        f"{100 * agreement:.2f} % of {len(pixels)} images of {data.name}"
    )
    save_json(options.json, {"network": str(path), "agreement": agreement, "images": len(pixels)})
    return 0


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(StepOptions):
    """The options of `dscim dev train evaluate`."""

    folder: Path = folder_option()
    limit: int = option("N", "use only the first N test images", default=10_000, within=(1, None))


def evaluate(options: EvaluateOptions) -> int:
    """Evaluates the networks of the experiment; writes evaluation.json in their folder."""
    what, data, report = _prepared(options)
    with report.progress() as step:
        results = evaluation.evaluate(
            what.name, data, options.folder, options.limit, report.say, step
        )
    save_json(options.json, results)
    return 0


@dataclass(frozen=True, kw_only=True)
class AllOptions(StepOptions):
    """The options of `dscim dev train all`."""

    folder: Path | None = option("FOLDER", "folder of the networks (default: the folder --work)")
    more: Sequence[str] = argument(
        "NAME=VALUE",
        "values that replace those of the plan, for example epochs=1 images=64",
        nargs="*",
        default=(),
    )


def run_all(options: AllOptions) -> int:
    """Runs every command of an experiment's plan with the shared options, up to the first error.

    --json gets the commands and their exit statuses.
    """
    what, report = _experiment(options)
    if options.experiment not in PLANS:
        raise UserError(
            f"the experiment {options.experiment!r} has no plan; those with one are "
            f"{', '.join(PLANS)}."
        )
    shared = [
        *("--threads", str(options.threads), "--seed", str(options.seed)),
        *(["--data", str(options.data)] if options.data else []),
        *(["--quiet"] if options.quiet else []),
    ]
    own = ["--experiment", options.experiment, "--work", str(options.work)]
    done, status = [], 0
    for line in PLANS[options.experiment]:
        verb, *words = line.format(folder=options.folder or options.work).split()
        start = ["finetune"] if verb == "finetune" else ["dev", "train", verb]
        named = ["--dataset", what.dataset] if verb == "finetune" else own
        command = [*start, *words, *named, *shared, *_changed(line, options.more)]
        report.say(f"dscim {' '.join(command)}")
        status = main(command)
        done.append({"command": command, "status": status})
        save_json(options.json, done, partial=True)
        if status:
            break
    save_json(options.json, done)
    return status


def _changed(line: str, more: Sequence[str]) -> list[str]:
    """The values of `more`, NAME=VALUE, as options, for those that the command `line` has."""
    return [
        word
        for text in more
        for name, _, value in [text.partition("=")]
        if f"--{name} " in line
        for word in (f"--{name}", value)
    ]


def _prepared(options: StepOptions) -> "tuple[Experiment, Dataset, Report]":
    """The experiment, its data set, and the report."""
    what, report = _experiment(options)
    return what, datasets.load(what.dataset, options.data), report


def _experiment(options: StepOptions) -> "tuple[Experiment, Report]":
    """The experiment and the report; UserError where torch is not installed."""
    try:
        import torch  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            "training needs torch: install it with `pip install dscim[train]`."
        ) from error
    from dscim.host.research.training.experiment import experiment  # noqa: PLC0415

    torch.set_num_threads(options.threads)
    return experiment(options.experiment), report_of(options)


FLOAT = Command(FloatOptions, train_float, "dev train float --epochs 1 --images 1000")
EXPORT = Command(ExportOptions, export, "dev train export --name mine-int8 --folder build/training")
QUANTISE = Command(
    QuantiseOptions,
    quantise,
    "dev train quantise --experiment imagenet-mobilenetv2 --data photographs "
    "--weights mobilenet_v2.pth --name mobilenetv2 --folder build/training",
)
EVALUATE = Command(EvaluateOptions, evaluate, "dev train evaluate --limit 100")
ALL = Command(AllOptions, run_all, "dev train all --experiment fashion-resnet8 epochs=1 images=64")
