"""Options that name a data set, and how its pixels become a network's integers."""

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path

from dscim.errors import UserError
from dscim.host.cli.options import option
from dscim.host.network import Network, datasets
from dscim.host.network.datasets import Dataset
from dscim.host.network.datasets.pixels import Input

FOLDER_HELP = "folder of the data set's files (default: DSCIM_DATA)"


def numbers(text: str) -> tuple[float, ...]:
    """Numbers separated by commas."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not numbers separated by commas") from None


def whole_numbers(text: str) -> tuple[int, ...]:
    """Integers separated by commas; an empty tuple for FULL."""
    if text.upper() == "FULL":
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not whole numbers separated by commas"
        ) from None


@dataclass(frozen=True, kw_only=True)
class PixelOptions:
    """Where a data set's files are, and how a network takes its pixels."""

    GROUP = "data"
    data: Path | None = option("FOLDER", FOLDER_HELP)
    mean: tuple[float, ...] | None = option(
        "M[,M,M]",
        "mean of the pixels, 0..1, for each channel or for all (default: the network file's)",
        type=numbers,
    )
    std: tuple[float, ...] | None = option(
        "S[,S,S]",
        "standard deviation of the pixels: a real input is (pixel / 255 - mean) / std",
        type=numbers,
    )


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(PixelOptions):
    """The name of a data set, and its pixels."""

    GROUP = "data"
    dataset: str = option("NAME", f"data set: {', '.join(datasets.NAMES)}")


def dataset_of(name: str, options: PixelOptions, network: Network) -> Dataset:
    """The data set `name`; images of a folder are scaled to the network's size."""
    return datasets.load(name, options.data, network.shape)


def input_of(options: PixelOptions, network: Network) -> Input:
    """How `network` takes images, from the options or from its file."""
    if options.mean is None and options.std is None:
        return Input.of(network)
    if options.mean is None or options.std is None:
        raise UserError("--mean and --std belong together: give both or none.")
    if min(options.std) <= 0:
        raise UserError(f"--std {min(options.std)} is not above 0.")
    return dataclasses.replace(
        Input(options.mean, options.std), scale=network.scale, zero=network.zero
    )
