"""`dscim dev keyword`: writes the keyword network with random weights, and inputs for it."""

from dataclasses import dataclass
from pathlib import Path

from dscim.files import save_array, save_json
from dscim.host.cli.common_options import ReportOptions, SeedOptions, report_of, seed_of
from dscim.host.cli.options import Command, option, output_file
from dscim.host.network import save
from dscim.host.network.untrained import keyword_inputs, keyword_network


@dataclass(frozen=True, kw_only=True)
class Options(SeedOptions, ReportOptions):
    """The options of `dscim dev keyword`."""

    output: Path = output_file("NETWORK", "network file (.npz) to write", short="-o")
    inputs: Path | None = output_file(
        "X.npy", "random inputs to write, (N, 49, 10, 1) int8, as `dscim run` takes them"
    )
    count: int = option("N", "number of inputs", default=16, within=(1, None))


def run(options: Options) -> int:
    """Writes the files; exit status 0 when they are written."""
    report, seed = report_of(options), seed_of(options)
    network = keyword_network(seed)
    digest = save(network, options.output)
    if options.inputs:
        save_array(options.inputs, keyword_inputs(options.count, seed))
    macs = sum(
        layer.output[0] * layer.output[1] * layer.outputs * layer.depth
        for _, layer in network.layers()
    )
    report.say(
        f"'{options.output}' written: seed {seed}, {len(network.nodes)} nodes, {macs} "
        "multiply-accumulates per input, random weights"
    )
    save_json(
        options.json,
        {"seed": seed, "macs": macs, "network_sha256": digest},
    )
    return 0


COMMAND = Command(Options, run, "dev keyword --seed 1 --output keyword.npz --inputs x.npy")
