"""LiteScope on the signals of `dscim.gateware.probes`."""

from litescope import LiteScopeAnalyzer
from migen import Signal

from dscim.gateware.core import Core
from dscim.gateware.probes import PROBES, SAMPLES


def build_scope(core: Core) -> LiteScopeAnalyzer:
    """An analyzer of `core`, in `sys`; its registers are `probes.REGISTERS`."""
    engine, memory = core.engine, core.memories["activations"]
    fsm, units, outputs = engine.fsm, engine.units, engine.requantiser.sink
    seen = {
        "start": engine.start,
        "busy": engine.busy,
        "error": engine.error,
        "place": engine.place,
        "setup": fsm.ongoing("SETUP"),
        "loading": fsm.ongoing("WEIGHTS"),
        "windows": fsm.ongoing("WINDOWS"),
        "weights_valid": units.weights.valid,
        "weights_ready": units.weights.ready,
        "activations_valid": units.activations.valid,
        "activations_ready": units.activations.ready,
        "computing": units.computing,
        "sums_valid": units.sums.valid,
        "sums_ready": units.sums.ready,
        "outputs_valid": outputs.valid,
        "outputs_ready": outputs.ready,
        "read": memory.read.re,
        "written": memory.write.we != 0,
    }
    signals = [Signal(probe.width, name=f"probe_{probe.name}") for probe in PROBES]
    scope = LiteScopeAnalyzer(signals, SAMPLES, clock_domain="sys", register=True, csr_csv=None)
    scope.comb += [
        signal.eq(seen[probe.name]) for signal, probe in zip(signals, PROBES, strict=True)
    ]
    return scope
