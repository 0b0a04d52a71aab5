"""The options that name a data set, and how its pixels become a network's integers."""

import argparse
import dataclasses
from pathlib import Path

from dscim.errors import UserError
from dscim.host.network import Network, datasets
from dscim.host.network.datasets import Dataset
from dscim.host.network.datasets.pixels import Input


def add_dataset(parser: argparse.ArgumentParser, option: bool = True) -> None:
    """Adds what names a data set (as --dataset, or as an argument) and prepares its pixels."""
    group = parser.add_argument_group("data") if option else parser
    names = ", ".join(datasets.NAMES)
    if option:
        group.add_argument("--dataset", required=True, metavar="NAME", help=names)
    else:
        group.add_argument("dataset", metavar="NAME", help=names)
    group.add_argument(
        "--data", type=Path, metavar="FOLDER", help="where its files are (default: DSCIM_DATA)"
    )
    group.add_argument(
        "--mean",
        type=_numbers,
        metavar="M[,M,M]",
        help="mean of the pixels as 0..1, for each channel or all (default: what "
        "the network file says)",
    )
    group.add_argument(
        "--std",
        type=_numbers,
        metavar="S[,S,S]",
        help="their deviation: a real input is (pixel / 255 - mean) / std",
    )


def dataset_of(options: argparse.Namespace, network: Network) -> Dataset:
    """The data set that the options of `add_dataset` name; a folder's in the network's size."""
    return datasets.load(options.dataset, options.data, network.shape)


def input_of(options: argparse.Namespace, network: Network) -> Input:
    """How `network` takes images, by the options of `add_dataset` or by its file."""
    if (options.mean is None) != (options.std is None):
        raise UserError("--mean and --std belong together: give both or none.")
    if options.mean is None:
        return Input.of(network)
    if min(options.std) <= 0:
        raise UserError(f"--std {min(options.std)} is not above 0.")
    return dataclasses.replace(
        Input(options.mean, options.std), scale=network.scale, zero=network.zero
    )


def _numbers(text: str) -> tuple[float, ...]:
    """Numbers with commas between."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not numbers with commas between") from None
