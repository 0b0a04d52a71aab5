"""A network run as a verb prints it: a line a layer, the table, the sums."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs import LayerSpec
from dscim.host.cli.options import describe
from dscim.host.cli.report import Report
from dscim.host.device import Counters
from dscim.host.errors import UserError
from dscim.host.network import predictions
from dscim.host.run import LayerResult, NetworkRun
from dscim.host.run.network import macro_use
from dscim.sim.errors import SimulationError

Labels = npt.NDArray[np.int64]

COLUMNS = ("layer", "shape", ">products", ">cycles", ">macro used", "agreement")


def carry_out(run: NetworkRun, report: Report) -> None:
    """Runs every layer with its line and progress, then prints the table.

    When the target fails or Ctrl-C comes in the middle, what was done so far is printed and the
    error goes on.
    """
    try:
        with report.progress() as step:
            for result in run.execute(step):
                report.say(f"[{len(run.layers)}/{run.total}] {_line(result)}")
    except (UserError, SimulationError, KeyboardInterrupt):
        if run.layers:
            report.say(f"Stopped after {len(run.layers)} of {run.total} layers; done so far:")
            _table(run, report)
        raise
    report.say("")
    _table(run, report)


def to_json(run: NetworkRun, labels: Labels | None) -> dict[str, Any]:
    """A run as JSON, complete or not; predictions and accuracy (0 to 1) of a complete one."""
    result: dict[str, Any] = {
        "network": run.network.name, "images": len(run.images),
        "settings": run.arithmetic.to_json(), "complete": run.outputs is not None}
    if run.outputs is not None:
        classes = predictions(run.outputs)
        result["predictions"] = classes.tolist()
        if labels is not None:
            result["accuracy"] = float((classes == labels).mean())
    return result | {
        "outputs_compared": run.compared, "outputs_differing": run.differing,
        "end_to_end_agrees": run.end_to_end,
        "layers": [layer.to_json() for layer in run.layers]}


def conclude(runs: Sequence[NetworkRun], report: Report) -> bool:
    """The last line: how many layer outputs were compared and whether all agree. True if so."""
    for run in runs:
        if not run.end_to_end:
            report.say(f"The outputs of {run.network.name} ({describe(run.arithmetic)}) DIFFER "
                       "from the emulator's run of the whole network.")
    compared = sum(run.compared for run in runs)
    differing = sum(run.differing for run in runs)
    report.say(f"{compared} layer outputs were compared with the numpy reference: "
               + (f"{differing} DIFFER." if differing else "all agree."))
    return all(run.holds for run in runs)


def _line(result: LayerResult) -> str:
    text = f"{result.name}: {_agreement(result)}, {result.seconds:.1f} s"
    return f"{text}; first at {result.first}" if result.first else text


def _agreement(result: LayerResult) -> str:
    if result.differing:
        return f"{result.differing} of {result.compared} outputs DIFFER"
    return f"all {result.compared} outputs agree"


def _table(run: NetworkRun, report: Report) -> None:
    rows = [(layer.name, _shape(layer.layer), *_counted(layer.counters), _agreement(layer))
            for layer in run.layers]
    share = f"{run.compared - run.differing} of {run.compared} agree"
    rows.append(("all", "", *_counted(run.counters), share))
    report.table(COLUMNS, rows)
    counters = run.counters
    busy = counters.cycles_busy
    if busy:
        waits = (f"{100 * counters.cycles_weights / busy:.1f} % waiting for weights, "
                 f"{100 * counters.cycles_activations / busy:.1f} % for activations")
        report.say(f"{busy / len(run.images):.0f} cycles an image ({waits}), and "
                   f"{counters.cycles_link / len(run.images):.0f} idle for the link")
        rate = (busy + counters.cycles_link) / sum(layer.seconds for layer in run.layers)
        report.say(f"{rate / 1e6:.2f} million cycles a second, all devices together")
    report.say(f"{counters.bytes_written} bytes written to the device, {counters.bytes_read} read")


def _counted(counters: Counters) -> tuple[str, str, str]:
    use = macro_use(counters)
    return (str(counters.products), str(counters.cycles_busy) if counters.cycles_busy else "-",
            "-" if use is None else f"{100 * use:.1f} %")


def _shape(layer: LayerSpec) -> str:
    """input -> output, kernel, stride when there is one: 28x28x1 -> 28x28x16, 3x3."""
    stride = f" / {layer.stride[0]}" if layer.stride == (layer.stride[0],) * 2 else \
        f" / {_by(layer.stride)}"
    return (f"{_by(layer.input)} -> {_by(layer.output)}, {_by(layer.kernel)}"
            + ("" if layer.stride == (1, 1) else stride))


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))
