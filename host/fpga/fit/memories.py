"""The memories that a network needs in a device, and those that a part has room for."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from dscim.errors import UserError
from dscim.gateware import descriptor
from dscim.gateware.layout import PARAMETER_WORDS, ceil_div
from dscim.gateware.specs import ProductSpec, SocSpec, SpecError
from dscim.gateware.specs.soc import BUS_BYTES
from dscim.host.compile import Program, Read, Write, plan
from dscim.host.network import Network

LARGEST: dict[str, Any] = {
    "activation_words": 1 << 16,
    "weight_rows": 1 << 16,
    "channels": 4096,
    "descriptors": 2048,
}
"""The largest size that is tried for each memory."""

MIN_STRIP, MAX_STRIP = 64, 4096
"""Pixels with partial sums; with fewer, weights are read more often."""

STEP = 16
"""Rows by which the weight memory grows."""

Sizes = dict[str, Any]


class Memories:
    """Chooses memories for devices that run one network.

    First all weights are in the device at once, and no tensor is cut; then, if that does not fit,
    the weights are loaded in parts, and at last tensors are cut, too.
    """

    def __init__(self, network: Network, arithmetic: ProductSpec) -> None:
        self._network, self._arithmetic = network, arithmetic
        self._weights: dict[tuple[int, int], Sizes | None] = {}
        self._tensors: dict[int, int] = {}
        shapes = network.shapes().values()
        pixels = max(height * width for height, width, _ in shapes)
        self._strip = min(max(MIN_STRIP, _power(pixels)), MAX_STRIP)

    def chosen(self, spec: SocSpec, fits: Callable[[SocSpec], bool]) -> SocSpec | None:
        """`spec` with the best memories for which `fits` holds; None if there are none."""
        for sizes in self._choices(spec):
            try:
                resized = dataclasses.replace(spec, **sizes)
            except SpecError:
                continue
            if fits(resized):
                return resized
        return None

    def _choices(self, spec: SocSpec) -> Iterator[Sizes]:
        """Memories for a device, the best first."""
        words, weights = self._tensors_of(spec), self._weights_of(spec)
        strips = [self._strip >> k for k in range(self._strip.bit_length())]
        strips = [strip for strip in strips if strip >= MIN_STRIP]
        least = ceil_div(spec.macro.rows + spec.header_rows, STEP) * STEP
        if weights is not None:
            for strip in strips:
                yield {"activation_words": words, "strip": strip, **weights}
        parts = weights or {
            name: LARGEST[name] for name in ("weight_rows", "channels", "descriptors")
        }
        tensors = words
        while tensors >= max(64, spec.banks):
            rows = parts["weight_rows"]
            while rows > least:
                rows = max(least, rows // 2 // STEP * STEP)
                yield {
                    **parts,
                    "activation_words": tensors,
                    "strip": MIN_STRIP,
                    "weight_rows": rows,
                    "channels": max(16, min(parts["channels"], 512)),
                    "descriptors": min(parts["descriptors"], 64),
                }
            tensors //= 2

    def _weights_of(self, spec: SocSpec) -> Sizes | None:
        """Memories for all weights, parameters and descriptors; None if the largest do not fit."""
        key = spec.macro.rows, spec.macro.columns
        if key not in self._weights:
            program = self._plan(spec, LARGEST)
            self._weights[key] = _loaded(spec, program) if program else None
        return self._weights[key]

    def _tensors_of(self, spec: SocSpec) -> int:
        """Words with which tensors cross the link only as with the largest activation memory."""
        if spec.banks not in self._tensors:
            largest = self._plan(spec, LARGEST)
            words = LARGEST["activation_words"]
            while largest and words > max(64, spec.banks):
                smaller = self._plan(spec, {**LARGEST, "activation_words": words // 2})
                if smaller is None or _traffic(smaller) != _traffic(largest):
                    break
                words //= 2
            self._tensors[spec.banks] = words
        return self._tensors[spec.banks]

    def _plan(self, spec: SocSpec, sizes: Sizes) -> Program | None:
        """The network's program on `spec` with these sizes; None if it cannot run."""
        try:
            return plan(self._network, self._arithmetic, dataclasses.replace(spec, **sizes))
        except (UserError, SpecError):
            return None


def _loaded(spec: SocSpec, program: Program) -> Sizes | None:
    """The sizes of the memories that the program's only load fills; None if there are more."""
    if not program.resident:
        return None
    weights = sum(len(load.weights) for load in program.loads) * BUS_BYTES
    parameters = sum(len(load.parameters) for load in program.loads)
    descriptors = sum(len(load.descriptors) for load in program.loads)
    least = spec.macro.rows + spec.header_rows
    rows = max(least, ceil_div(weights, spec.macro.columns))
    return {
        "weight_rows": ceil_div(rows, STEP) * STEP,
        "channels": max(16, spec.requant_lanes, _power(parameters // PARAMETER_WORDS)),
        "descriptors": _power(descriptors // descriptor.WORDS),
    }


def _traffic(program: Program) -> tuple[Any, ...]:
    """What a smaller activation memory changes: strips, transfers, additions on their own."""
    moved = [
        (type(action), action.tensor, action.first, action.last)
        for action in program.actions
        if isinstance(action, Write | Read)
    ]
    return program.strips, moved, program.added


def _power(value: int) -> int:
    """The smallest power of two that is not below `value`."""
    return 1 << max(0, value - 1).bit_length()
