"""`dscim import`: a network file from a TensorFlow Lite INT8 or an ONNX QDQ file."""

import argparse
from pathlib import Path

import numpy as np

from dscim.host.cli.files import check_writable, save_json
from dscim.host.cli.report import Report, add_report
from dscim.host.importers import Imported, import_file
from dscim.host.network import Weighted, file_hash, save

COLUMNS = ("node", "kind", "input", "output", ">weights", "the file's tensor")
NAME_WIDTH = 40
"""Characters of a tensor's name that are shown."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim import`."""
    parser.add_argument("file", type=Path, metavar="FILE",
                        help="a .tflite (full-integer INT8) or .onnx (QDQ) file")
    parser.add_argument("-o", "--output", type=Path, metavar="NETWORK", required=True,
                        help="the network file to write (.npz)")
    parser.add_argument("--name", help="the network's name; default: the file's")
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Writes the network and says what it holds; exit status 0."""
    report = Report.of(options)
    check_writable(options.output)
    check_writable(options.json)
    imported = import_file(options.file, options.name)
    save(imported.network, options.output)
    network = imported.network
    report.table(COLUMNS, _rows(imported))
    for line in _remarks(imported):
        report.say(line)
    report.say(f"{options.output}: {network.name}, {len(network.nodes)} nodes, input "
               f"{'x'.join(map(str, network.shape))} int8, real = {network.scale:.6g} * "
               f"(integer - {network.zero})")
    save_json(options.json, {
        "network": str(options.output), "sha256": file_hash(options.output),
        "nodes": [{"name": node.name, "kind": type(node).__name__,
                   "output": network.shapes()[node.name],
                   "tensor": imported.sources[node.name]} for node in network.nodes],
        "saturated_weights": imported.saturated, "rounded_twice": imported.rounded,
        "notes": list(imported.notes)})
    return 0


def _rows(imported: Imported) -> list[tuple[str, ...]]:
    shapes = imported.network.shapes()
    return [(node.name, type(node).__name__,
             " + ".join("x".join(map(str, shapes[name])) for name in node.inputs),
             "x".join(map(str, shapes[node.name])),
             str(node.weights.size) if isinstance(node, Weighted) else "-",
             _short(imported.sources[node.name])) for node in imported.network.nodes]


def _short(name: str) -> str:
    """The end of a tensor's name: what tells it from others."""
    return name if len(name) <= NAME_WIDTH else f"...{name[3 - NAME_WIDTH:]}"


def _remarks(imported: Imported) -> list[str]:
    """What the user must know: the ends, weights of -128, roundings that differ."""
    lines = list(imported.notes)
    if imported.saturated:
        total = sum(imported.saturated.values())
        weights = sum(node.weights.size for node in imported.network.nodes
                      if isinstance(node, Weighted))
        lines.append(f"{total} of {weights} weights are -128, which the signed mode split takes "
                     f"for -127 (in {', '.join(imported.saturated)}); exact products do not.")
    for name, share in imported.rounded.items():
        lines.append(f"{name}: the file's kernel rounds once and the engine twice; of the sums "
                     f"that it can reach, {100 * np.ceil(1e6 * share) / 1e6:.4f} % at most round "
                     "to the next integer.")
    return lines
