"""Options that several steps of `dscim prune` share: space, data, schedule, budget."""

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.errors import UserError
from dscim.host.cli.data_options import FOLDER_HELP, whole_numbers
from dscim.host.cli.options import option
from dscim.host.network import datasets
from dscim.host.network.datasets.pixels import Input
from dscim.host.research.prune import SPACES, Space, Structure
from dscim.host.research.prune.budget import MEASURES, Budget
from dscim.host.research.prune.plans import plan_of
from dscim.host.research.prune.spaces import DATA
from dscim.host.research.prune.table import CostTable
from dscim.host.research.training.recipe import Recipe

PRIMITIVES = "8192"
"""Kernels that oneDNN caches. Structures differ in their widths, so with the default of 1,024 it
would generate the same kernels again and again."""


@dataclass(frozen=True, kw_only=True)
class SpaceOptions:
    """The space of structures."""

    space: str = option("NAME", f"space of structures: {', '.join(SPACES)}")


def encoding_option(**keywords: Any) -> Any:
    """The field `encoding`, which names one structure of the space."""
    return option(
        "ID,ID,...",
        "ratio ids of the structure, 0..30 each: the ratio is (10 + 3 ID) %; mobilenet-v2: first "
        "18 outputs, then 17 middles; FULL: nothing is pruned",
        type=whole_numbers,
        **keywords,
    )


def costs_option(help: str) -> Any:
    """The field `costs`, a cost table."""
    return option("TABLE.json", f"cost table of `dscim prune table`, {help}")


def decoded(encoding: Sequence[int], where: Space) -> Structure:
    """The structure of an encoding; without ids, the full one."""
    return where.decode(tuple(encoding)) if encoding else where.full


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """A data set, and the number of images held out for the search."""

    GROUP = "data"
    dataset: str | None = option(
        "NAME", f"data set: {', '.join(datasets.NAMES)} (default: the space's own)"
    )
    data: Path | None = option("FOLDER", FOLDER_HELP)
    held_out: int | None = option(
        "N", "number of training images held out for the search (default: the space's plan)"
    )


def data_of(options: DataOptions, where: Space) -> tuple[str, Path | None, int, Input]:
    """The data set's name, its folder, the number of held-out images, and the network's input."""
    name, pixels = DATA[where.image]
    held_out = plan_of(where.name).held_out if options.held_out is None else options.held_out
    return options.dataset or name, options.data, held_out, pixels


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions:
    """Changes to a training's schedule; None: as in the space's plan."""

    GROUP = "training (default: the space's plan)"
    epochs: int | None = option("N", "number of epochs")
    batch: int | None = option("N", "images per step")
    rate: float | None = option("R", "initial learning rate")
    images: int | None = option("N", "images per epoch")
    decay: float | None = option("D", "weight decay")
    smoothing: float | None = option("S", "label smoothing, 0 to 1")
    reach: int | None = option("N", "maximum shift of the images in pixels")
    threads: int = option("N", "number of PyTorch threads", default=1, within=(1, None))
    readers: int = option(
        "N",
        "number of processes that read the images of a folder in advance",
        default=0,
        within=(0, None),
    )


@dataclass(frozen=True, kw_only=True)
class SeededScheduleOptions(ScheduleOptions):
    """The schedule of a step that trains with one seed."""

    GROUP = "training (default: the space's plan)"
    seed: int | None = option("S", "seed of the image order, augmentation and structures")


def schedule_of(options: ScheduleOptions, default: Recipe) -> Recipe:
    """`default` with the changes of the options."""
    names = ("epochs", "batch", "rate", "images", "decay", "smoothing", "reach", "seed")
    values = {name: getattr(options, name, None) for name in names}
    changes: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    return dataclasses.replace(default, **changes)


def limits_of(texts: Sequence[str], where: Space, table: CostTable | None) -> dict[str, int]:
    """The limits of --budget, by measure; percentages are of the full network."""
    full = Budget(where, {}, table).costs(where.full)
    limits: dict[str, int] = {}
    for text in texts:
        name, number, percent = parse_limit(text)
        if name in limits:
            raise UserError(f"--budget {text} limits {name} twice; give it once.")
        if name not in full:
            raise UserError(
                f"--budget {text} needs --costs; build a table with `dscim prune table "
                f"--space {where.name}`."
            )
        limits[name] = int(number * (full[name] / 100 if percent else 1))
    return limits


def parse_limit(text: str) -> tuple[str, float, bool]:
    """The measure of NAME=LIMIT, the number, and whether it is a percentage; else UserError."""
    name, equals, value = text.partition("=")
    number = value.removesuffix("%")
    if name not in MEASURES or not equals or not _is_positive(number):
        raise UserError(
            f"--budget {text} is not a limit; write NAME=LIMIT, where NAME is one of "
            f"{', '.join(MEASURES)} and LIMIT is a number, or a percentage of the full network."
        )
    return name, float(number), value != number


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def need_torch(threads: int) -> None:
    """Sets the threads of torch; UserError where it is not installed."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", PRIMITIVES)
    try:
        import torch  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            "this step of pruning needs torch: install it with `pip install dscim[train]`."
        ) from error
    torch.set_num_threads(threads)


def read_found(path: Path, where: Space) -> dict[str, Any]:
    """The result of `prune search` or `prune select` for a space; UserError for any other file."""
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        if data["space"] != where.name:
            raise UserError(f"'{path}' is a search of {data['space']!r}, not of {where.name!r}.")
        if not data["found"]:
            raise UserError(f"'{path}' has no structure; search again.")
        for each in data["found"]:
            where.decode(tuple(int(value) for value in each["encoding"]))
            float(each["fitness"])
        dict(data["budget"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"'{path}' is not a result of `dscim prune search` or `dscim prune select`: {error}."
        ) from error
    return data
