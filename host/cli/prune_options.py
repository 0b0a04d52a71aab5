"""Options that several steps of `dscim prune` share."""

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from dscim.errors import UserError
from dscim.host.network import datasets
from dscim.host.network.datasets.pixels import Input
from dscim.host.research.prune import SPACES, Space, Structure
from dscim.host.research.prune.plans import plan_of
from dscim.host.research.prune.spaces import DATA
from dscim.host.research.training.recipe import Recipe

PRIMITIVES = "8192"
"""Kernels that oneDNN keeps: structures have widths of their own, and with the default of 1,024
kernels are made again and again."""


def add_space(parser: argparse.ArgumentParser) -> None:
    """Adds --space."""
    parser.add_argument("--space", required=True, metavar="NAME", help=", ".join(SPACES))


def add_structure(parser: argparse.ArgumentParser) -> None:
    """Adds --encoding."""
    parser.add_argument(
        "--encoding",
        required=True,
        type=numbers,
        metavar="ID,ID,...",
        help="ratio ids, 0..30 each, the ratio is (10 + 3 ID) %%; mobilenet-v2: "
        "18 outputs, then 17 middles; FULL: nothing is pruned",
    )


def structure_of(options: argparse.Namespace, where: Space) -> Structure:
    """The structure that the options of `add_structure` name."""
    return where.decode(options.encoding) if options.encoding else where.full


def add_data(parser: argparse.ArgumentParser) -> None:
    """Adds what names a data set, and how much of it is held out for the search."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--dataset", metavar="NAME", help=f"{', '.join(datasets.NAMES)} (default: the space's own)"
    )
    group.add_argument(
        "--data", type=Path, metavar="FOLDER", help="where its files are (default: DSCIM_DATA)"
    )
    group.add_argument(
        "--held-out",
        type=int,
        metavar="N",
        help="training images kept for the search (default: the space's plan)",
    )


def data_of(options: argparse.Namespace, where: Space) -> tuple[str, Path | None, int, Input]:
    """Data set, its folder, held-out images, and how a network takes pixels."""
    name, given = DATA[where.image]
    held_out = plan_of(where.name).held_out if options.held_out is None else options.held_out
    return options.dataset or name, options.data, held_out, given


def add_schedule(
    parser: argparse.ArgumentParser, defaults: str = "the space's plan", seeded: bool = True
) -> None:
    """Adds what changes a training's schedule.

    defaults: in words. seeded: with --seed; a step that trains with several has its own option.
    """
    group = parser.add_argument_group(f"training (defaults: {defaults})")
    for name, kind, what in (
        ("epochs", int, "epochs"),
        ("batch", int, "images a step"),
        ("rate", float, "first rate"),
        ("images", int, "images an epoch"),
        ("decay", float, "weight decay"),
        ("smoothing", float, "of the labels"),
        ("reach", int, "pixels by which images are shifted"),
    ):
        group.add_argument(f"--{name}", type=kind, help=what)
    if seeded:
        group.add_argument("--seed", type=int, help="of order, augmentation and structures")
    group.add_argument("--threads", type=int, default=1, help="of torch (default 1)")
    group.add_argument(
        "--readers",
        type=int,
        default=0,
        help="processes that read the images of a folder ahead (default 0)",
    )


def schedule_of(options: argparse.Namespace, default: Recipe) -> Recipe:
    """The schedule that the options of `add_schedule` ask for."""
    names = ("epochs", "batch", "rate", "images", "decay", "smoothing", "reach", "seed")
    return dataclasses.replace(
        default,
        **{
            name: value
            for name, value in vars(options).items()
            if name in names and value is not None
        },
    )


def need_torch(options: argparse.Namespace) -> None:
    """Raises UserError where torch is not installed; else sets its threads."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", PRIMITIVES)
    try:
        import torch  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            "this step of pruning needs torch: install it with `pip install dscim[train]`."
        ) from error
    if options.threads < 1 or getattr(options, "readers", 0) < 0:
        raise UserError(f"--threads {options.threads} must be 1 or more, --readers 0 or more.")
    torch.set_num_threads(options.threads)


def numbers(text: str) -> tuple[int, ...]:
    """Integers with commas between; none for FULL."""
    if text.upper() == "FULL":
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not whole numbers with commas between"
        ) from None


def read_found(path: Path, where: Space) -> dict[str, Any]:
    """A FOUND.json of the space, or of `prune select`; UserError where it is none."""
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        if data["space"] != where.name:
            raise UserError(f"'{path}' is a search of {data['space']!r}, not of {where.name!r}.")
        if not data["found"]:
            raise UserError(f"'{path}' names no structure; search again.")
        for each in data["found"]:
            where.decode(tuple(int(value) for value in each["encoding"]))
            float(each["fitness"])
        dict(data["budget"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"'{path}' is no result of `dscim prune search`: {error}.") from error
    return data
