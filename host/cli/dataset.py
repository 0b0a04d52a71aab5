"""`dscim dataset`: a data set's images as a network's own input integers, and their labels."""

import argparse
from pathlib import Path

import numpy as np

from dscim.errors import UserError
from dscim.files import check_writable, save_array, save_json
from dscim.host.cli.data_options import add_dataset, dataset_of, input_of
from dscim.host.cli.options import add_report, report_of
from dscim.host.network import file_hash, load


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim dataset`."""
    add_dataset(parser, option=False)
    parser.add_argument(
        "--network",
        type=Path,
        required=True,
        metavar="NETWORK",
        help="the network file that takes the images",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="X.npy",
        help="(N, H, W, C) int8, as `dscim run` takes it",
    )
    parser.add_argument("--labels", type=Path, metavar="Y.npy", help="(N,) class numbers")
    parser.add_argument(
        "--part", choices=["test", "train"], default="test", help="which images (default test)"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N")
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Writes the arrays; exit status 0 when they are written."""
    if options.limit is not None and options.limit < 1:
        raise UserError(f"--limit {options.limit} leaves no image; give 1 or more.")
    for path in (options.output, options.labels, options.json):
        check_writable(path)
    report, network = report_of(options), load(options.network)
    data = dataset_of(options, network)
    images = getattr(data, f"{options.part}_images")[: options.limit]
    labels = getattr(data, f"{options.part}_labels")[: options.limit]
    if images.shape[1:] != network.shape:
        raise UserError(
            f"the network {network.name!r} takes {network.shape}, but the images of "
            f"{data.name} are {images.shape[1:]}."
        )
    if not len(images):
        raise UserError(f"{data.name} has no {options.part} images.")
    given = input_of(options, network)
    save_array(options.output, given.integers(images))
    if options.labels:
        save_array(options.labels, labels.astype(np.int64))
    report.say(f"'{options.output}' written: {len(images)} images of {data.name}")
    save_json(
        options.json,
        {
            "data": data.name,
            "part": options.part,
            "images": len(images),
            "network_sha256": file_hash(options.network),
            "mean": given.mean,
            "std": given.std,
        },
    )
    return 0
