"""`dscim import`: makes a network file from a TensorFlow Lite INT8 or an ONNX QDQ file."""

from dataclasses import dataclass
from pathlib import Path

from dscim.arrays import Int8
from dscim.console import Report
from dscim.errors import UserError
from dscim.files import load_int8, save_json
from dscim.host.cli.common_options import LimitOptions, ReportOptions, report_of
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import Command, argument, option, output_file, switch
from dscim.host.compile.lower import where
from dscim.host.network import Weighted, check_images, save
from dscim.host.network.importers import (
    Checked,
    Compared,
    Imported,
    check_file,
    compare,
    import_file,
)
from dscim.host.network.importers.child import SECONDS

COLUMNS = ("node", "kind", "input", "output", ">weights", "the file's tensor")
NAME_WIDTH = 40
"""Characters of a tensor's name that are shown."""


@dataclass(frozen=True, kw_only=True)
class Options(LimitOptions, ReportOptions):
    """The options of `dscim import`."""

    file: Path = argument(
        "FILE", "TensorFlow Lite file (.tflite, of 8 bits) or ONNX file (QDQ or QOperator)"
    )
    output: Path | None = output_file(
        "NETWORK", "network file to write (.npz)", default=None, short="-o"
    )
    check: bool = switch(
        "only list the file's operators: where each would run, and which are refused"
    )
    name: str | None = option("NAME", "name of the network (default: the file's)")
    compare: Path | None = option(
        "INPUTS.npy",
        "compare every node with LiteRT's reference kernels or onnxruntime on these inputs: "
        "(N, H, W, C) int8, the network's own input integers",
    )
    time_limit: float = option(
        "SECONDS",
        "seconds that the runtime of --compare may take for an answer before it is stopped",
        default=SECONDS,
    )


def run(options: Options) -> int:
    """Writes and prints the network; exit status 0 unless the comparison of --compare fails."""
    report = report_of(options)
    if options.check:
        return _check(options, report)
    if options.output is None:
        raise UserError("`dscim import` needs --output, the network file to write, or --check.")
    imported = import_file(options.file, options.name)
    images = _images(options, imported, report)
    digest = save(imported.network, options.output)
    network = imported.network
    report.table(COLUMNS, _rows(imported))
    for line in _remarks(imported):
        report.say(line)
    report.say(
        f"{options.output}: {network.name}, {len(network.nodes)} nodes, input "
        f"{'x'.join(map(str, network.shape))} int8, real = {network.scale:.6g} * "
        f"(integer - {network.zero})"
    )
    results = [] if images is None else _compared(options, imported, images, report)
    save_json(
        options.json,
        {
            "network": str(options.output),
            "sha256": digest,
            "nodes": [
                {
                    "name": node.name,
                    "kind": type(node).__name__,
                    "output": network.shapes()[node.name],
                    "tensor": _tensor(imported, node.name),
                }
                for node in network.nodes
            ],
            "saturated_weights": imported.saturated,
            "rounded_otherwise": imported.rounded,
            "notes": list(imported.notes),
            "compared": [each.to_json() for each in results],
        },
    )
    allowed = 1 if imported.rounded or _is_onnx(imported) else 0
    return 0 if all(each.greatest <= allowed for each in results[:-1]) else FAILED


def _check(options: Options, report: Report) -> int:
    """Lists all operators; exit status 0 if none is refused."""
    results = check_file(options.file)
    report.table(
        (">operator", "kind", "output", "runs on", "as"),
        [
            (
                str(each.index),
                each.kind,
                _short(each.output),
                _place(each),
                " ".join(kind.__name__ for kind in each.kinds) or "-",
            )
            for each in results
        ],
    )
    refused = [each for each in results if each.refused]
    for each in refused:
        report.say(f"operator {each.index} ({each.kind}, output {each.output!r}) {each.refused}")
    waiting = sum(each.waits for each in results)
    report.say(
        f"{len(results)} operators: {len(refused)} are refused"
        + (f", and {waiting} could not be checked because of them" if waiting else "")
        + ("." if refused or waiting else "; the file can be imported.")
    )
    facts = [
        {
            "operator": each.index,
            "kind": each.kind,
            "output": each.output,
            "runs_on": _place(each),
            "nodes": [kind.__name__ for kind in each.kinds],
            "refused": each.refused,
        }
        for each in results
    ]
    save_json(options.json, {"operators": facts})
    return FAILED if refused or waiting else 0


def _place(checked: Checked) -> str:
    """Where an operator runs."""
    if checked.refused:
        return "refused"
    if checked.waits:
        return "not checked"
    places = [where(kind) for kind in checked.kinds]
    return " and ".join(dict.fromkeys(places)) or "no node needed"


def _images(options: Options, imported: Imported, report: Report) -> Int8 | None:
    """The inputs of --compare, which are checked before anything is written; None without it."""
    if options.compare is None:
        return None
    images = load_int8(options.compare, "a network's input", ("N", "H", "W", "C"), report.note)
    return check_images(imported.network, images)[: options.limit]


def _compared(options: Options, imported: Imported, images: Int8, report: Report) -> list[Compared]:
    """Prints and returns the comparison of --compare."""
    name = "onnxruntime" if _is_onnx(imported) else "LiteRT's reference kernels"
    with report.progress() as step:
        results = compare(
            options.file.read_bytes(),
            imported,
            images,
            lambda done, total: step(name, done, total),
            seconds=options.time_limit,
            warn=report.say,
        )
    report.table(
        ("node", ">outputs", ">differing", ">share", ">by at most"),
        [
            (
                each.name,
                str(each.outputs),
                str(each.differing),
                f"{100 * each.differing / each.outputs:.4f} %",
                str(each.greatest),
            )
            for each in results
        ],
    )
    nodes = results[:-1]
    differing, outputs = (
        sum(getattr(each, what) for each in nodes) for what in ("differing", "outputs")
    )
    report.say(
        f"{outputs} outputs of {len(nodes)} nodes were compared with {name}: "
        + (
            f"{differing} differ, by {max(each.greatest for each in nodes)} at most."
            if differing
            else "all agree."
        )
    )
    return results


def _is_onnx(imported: Imported) -> bool:
    return imported.network.provenance["import"]["format"] == "ONNX QDQ"


def _rows(imported: Imported) -> list[tuple[str, ...]]:
    shapes = imported.network.shapes()
    weights = {node.name: node.weights.size for node in imported.network.nodes_of(Weighted)}
    return [
        (
            node.name,
            type(node).__name__,
            " + ".join("x".join(map(str, shapes[name])) for name in node.inputs),
            "x".join(map(str, shapes[node.name])),
            str(weights.get(node.name, "-")),
            _short(_tensor(imported, node.name) or "-"),
        )
        for node in imported.network.nodes
    ]


def _tensor(imported: Imported, node: str) -> str | None:
    """The file's tensor that holds the output of a node; None for a node between operators."""
    origin = imported.sources.get(node)
    return origin.name if origin else None


def _short(name: str) -> str:
    """The end of a tensor's name, which distinguishes it from others."""
    return name if len(name) <= NAME_WIDTH else f"...{name[3 - NAME_WIDTH :]}"


def _remarks(imported: Imported) -> list[str]:
    """Notes for the user: where the network ends, weights of -128, roundings that differ."""
    lines = list(imported.notes)
    if imported.saturated:
        total = sum(imported.saturated.values())
        weights = sum(node.weights.size for node in imported.network.nodes_of(Weighted))
        lines.append(
            f"{total} of {weights} weights are -128, which the signed mode split takes "
            f"for -127 (in {', '.join(imported.saturated)}); exact products do not."
        )
    for name, share in imported.rounded.items():
        lines.append(
            f"{name}: the file's kernel scales with 53 bits and the engine with 31; of "
            f"the possible sums, a share of {share:.1g} rounds to the next integer."
        )
    return lines


COMMAND = Command(Options, run, "import model.tflite --output net.npz --compare x.npy --limit 4")
