"""How verbs print a network run: one line per layer, the table, the totals."""

from collections.abc import Sequence
from typing import Any

from dscim.arrays import Int8, Int64
from dscim.console import Report
from dscim.errors import SimulationError, UserError
from dscim.gateware.specs import ProductSpec, describe
from dscim.host.device.controller import Counters
from dscim.host.device.run import LayerResult, NetworkRun
from dscim.host.network import Network, predictions

COLUMNS = ("layer", "shape", ">products", ">cycles", ">macro used", "agreement")

NOT_COMPARED = "not compared"

MAX_SHOWN = 20
"""The maximum number of images whose class is printed."""


def carry_out(run: NetworkRun, report: Report) -> None:
    """Runs every layer with a line and progress, then prints the table.

    When the target fails or Ctrl-C stops the run, prints the finished layers, then raises.
    """
    places = {node.name: place for place, node in enumerate(run.network.nodes, 1)}
    try:
        with report.progress() as step:
            for result in run.execute(step):
                report.say(f"[{places[result.name]}/{run.total}] {_line(result)}")
    except (UserError, SimulationError, KeyboardInterrupt):
        if run.layers:
            done = sum(layer.images for layer in run.layers)
            report.say(
                f"Stopped after {done} of {run.total * len(run.images)} layers of "
                f"{len(run.images)} images; done so far:"
            )
            _table(run, report)
        raise
    report.say("")
    _table(run, report)


def to_json(run: NetworkRun, labels: Int64 | None) -> dict[str, Any]:
    """A run as JSON, complete or not; a complete one has predictions and accuracy, 0 to 1."""
    result: dict[str, Any] = {
        "network": run.network.name,
        "images": len(run.images),
        "settings": run.arithmetic.to_json(),
        "complete": run.outputs is not None,
    }
    if run.outputs is not None:
        result |= classes(run.outputs, labels)
    return result | {
        "outputs_compared": run.compared,
        "outputs_differing": run.differing,
        "end_to_end_agrees": run.end_to_end,
        "compared": run.program.watched,
        "loads_an_image": 0 if run.program.resident else len(run.program.loads),
        "bytes_loaded": sum(load.bytes for load in run.program.loads),
        "layers": [layer.to_json() for layer in run.layers],
    }


def classes(outputs: Int8, labels: Int64 | None) -> dict[str, Any]:
    """Predictions of outputs (N, H, W, C), and their accuracy, 0 to 1, when there are labels."""
    chosen = predictions(outputs)
    result: dict[str, Any] = {"predictions": chosen.tolist()}
    if labels is not None:
        result["accuracy"] = float((chosen == labels).mean())
    return result


def say_classes(network: Network, result: dict[str, Any], report: Report) -> None:
    """Prints the accuracy of a result as JSON; without one, the class of each image."""
    if "accuracy" in result:
        report.say(f"accuracy {100 * result['accuracy']:.2f} % of {result['images']} images")
        return
    if network.shapes()[network.nodes[-1].name][:2] != (1, 1):
        report.say("The output is not one class per image; --output writes it.")
        return
    chosen = result["predictions"]
    rows = [
        (f"{image}", f"{number}", network.classes[number] if network.classes else "")
        for image, number in enumerate(chosen[:MAX_SHOWN])
    ]
    report.table([">image", ">class", "name" if network.classes else ""], rows)
    if len(chosen) > MAX_SHOWN:
        report.say(f"and {len(chosen) - MAX_SHOWN} more images; --json writes all classes.")


def warn_arithmetic(network: Network, arithmetic: ProductSpec, report: Report) -> list[str]:
    """Warns of an arithmetic that the network was not tuned for; returns the warnings."""
    if network.suits(arithmetic):
        return []
    warning = (
        f"{network.name} was tuned for {describe(network.arithmetic)}, not for "
        f"{describe(arithmetic)}: its outputs may be useless; `dscim calibrate` adapts it."
    )
    report.note(warning)
    return [warning]


def conclude(runs: Sequence[NetworkRun], report: Report) -> bool:
    """Prints how many layer outputs were compared and differ; returns whether all agree."""
    for run in runs:
        if not run.end_to_end:
            report.say(
                f"The outputs of {run.network.name} ({describe(run.arithmetic)}) DIFFER "
                "from the emulator's run of the whole network."
            )
    compared = sum(run.compared for run in runs)
    differing = sum(run.differing for run in runs)
    report.say(
        f"{compared} layer outputs were compared with the numpy reference: "
        + (f"{differing} DIFFER." if differing else "all agree.")
    )
    return all(run.holds for run in runs)


def _line(result: LayerResult) -> str:
    text = f"{result.name}: {_agreement(result)}, {result.seconds:.1f} s"
    return f"{text}; first at {result.first}" if result.first else text


def _agreement(result: LayerResult) -> str:
    if not result.on_device:
        return "on the host"
    if not result.compared:
        return NOT_COMPARED
    if result.differing:
        return f"{result.differing} of {result.compared} outputs DIFFER"
    return f"all {result.compared} outputs agree"


def _table(run: NetworkRun, report: Report) -> None:
    rows = [
        (layer.name, _shape(layer), *_counted(layer.counters), _agreement(layer))
        for layer in run.layers
    ]
    share = f"{run.compared - run.differing} of {run.compared} agree"
    rows.append(("all", "", *_counted(run.counters), share))
    report.table(COLUMNS, rows)
    counters, images = run.counters, len(run.images)
    busy = counters.cycles_busy
    if busy:
        waits = (
            f"{100 * counters.cycles_weights / busy:.1f} % waiting for weights, "
            f"{100 * counters.cycles_activations / busy:.1f} % for activations, "
            f"{100 * counters.cycles_vector / busy:.1f} % adds and pools"
        )
        report.say(
            f"{busy / images:.0f} cycles per image ({waits}), and "
            f"{counters.cycles_link / images:.0f} idle, waiting for the link"
        )
        rate = (busy + counters.cycles_link) / sum(layer.seconds for layer in run.layers)
        report.say(f"{rate / 1e6:.2f} million cycles per second and device")
    report.say(f"{counters.bytes_written} bytes written to the device, {counters.bytes_read} read")
    for line in _splitting(run):
        report.say(line)


def _splitting(run: NetworkRun) -> list[str]:
    """Lines about tensors and weights that do not fit the device at once."""
    program = run.program
    lines = []
    if program.strips:
        named = ", ".join(f"{name} in {count}" for name, count in program.strips.items())
        lines.append(f"Cut into row strips, because their tensors do not fit at once: {named}.")
    if not program.resident:
        size = sum(load.bytes for load in program.loads)
        lines.append(
            f"The weights do not fit at once: {len(program.loads)} loads, {size} bytes per image."
        )
    return lines


def _counted(counters: Counters) -> tuple[str, str, str]:
    busy = counters.cycles_busy
    use = f"{100 * counters.cycles_computing / busy:.1f} %" if busy else "-"
    return str(counters.products), str(busy) if busy else "-", use


def _shape(layer: LayerResult) -> str:
    """input -> output, kernel, stride if it is not 1: 28x28x1 -> 28x28x16, 3x3."""
    text = f"{_by(layer.input)} -> {_by(layer.output)}"
    if layer.kernel:
        text += f", {_by(layer.kernel)}"
    if layer.stride != (1, 1):
        text += f" / {layer.stride[0] if len(set(layer.stride)) == 1 else _by(layer.stride)}"
    return text


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))
