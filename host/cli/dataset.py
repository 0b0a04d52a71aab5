"""`dscim dataset`: converts a data set's images to a network's own input integers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dscim.errors import UserError
from dscim.files import save_array, save_json
from dscim.host.cli.common_options import LimitOptions, ReportOptions, report_of
from dscim.host.cli.data_options import PixelOptions, dataset_of, input_of
from dscim.host.cli.options import Command, argument, choice, option, output_file
from dscim.host.network import datasets, file_hash, load


@dataclass(frozen=True, kw_only=True)
class Options(LimitOptions, PixelOptions, ReportOptions):
    """The options of `dscim dataset`."""

    dataset: str = argument("NAME", f"data set: {', '.join(datasets.NAMES)}")
    network: Path = option("NETWORK", "network file (.npz) that takes the images")
    output: Path = output_file(
        "X.npy", "images to write, (N, H, W, C) int8, as `dscim run` takes them", short="-o"
    )
    labels: Path | None = output_file("Y.npy", "class numbers to write, (N,)")
    part: str = choice(["test", "train"], "part of the data set", default="test")


def run(options: Options) -> int:
    """Writes the arrays; exit status 0 when they are written."""
    report, network = report_of(options), load(options.network)
    data = dataset_of(options.dataset, options, network)
    images = getattr(data, f"{options.part}_images")[: options.limit]
    labels = getattr(data, f"{options.part}_labels")[: options.limit]
    if images.shape[1:] != network.shape:
        raise UserError(
            f"the network {network.name!r} takes {network.shape}, but the images of "
            f"{data.name} are {images.shape[1:]}."
        )
    if not len(images):
        raise UserError(f"{data.name} has no {options.part} images.")
    pixels = input_of(options, network)
    save_array(options.output, pixels.integers(images))
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
            "mean": pixels.mean,
            "std": pixels.std,
        },
    )
    return 0


COMMAND = Command(
    Options, run, "dataset cifar10 --network net.npz --output x.npy --labels y.npy --limit 100"
)
