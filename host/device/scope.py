"""The LiteScope of a device: arms it, reads its samples and writes them as a VCD."""

import dataclasses
import io
import time
from collections.abc import Mapping

import numpy as np
from vcd import VCDWriter

from dscim.arrays import Words
from dscim.errors import LinkError, UserError
from dscim.gateware import registers
from dscim.gateware.probes import PROBES, SAMPLES, address, place
from dscim.host.link.base import Link

CAPTURE_SAMPLES = SAMPLES - 8
"""Samples per capture; the rest of the memory leaves room for those in LiteScope's queues."""

SETTLED = 4 * SAMPLES
"""Cycles after which LiteScope has emptied its memory and refilled the part before the trigger."""


@dataclasses.dataclass(frozen=True)
class Capture:
    """A capture: the samples around the first cycle that meets the trigger.

    trigger: the value that each named probe must have in that cycle. before: number of samples to
    keep from before it, 0..CAPTURE_SAMPLES-1. Raises UserError for unknown probes and impossible
    values.
    """

    trigger: Mapping[str, int]
    before: int

    def __post_init__(self) -> None:
        if not 0 <= self.before < CAPTURE_SAMPLES:
            raise UserError(
                f"{self.before} samples before the trigger are outside 0..{CAPTURE_SAMPLES - 1}."
            )
        _pattern(self.trigger)


class Scope:
    """The LiteScope of a device that was built with it; `link` is open."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def arm(self, capture: Capture) -> None:
        """Starts watching for the trigger of `capture`."""
        mask, value = _pattern(capture.trigger)
        for name in ("trigger_enable", "storage_enable", "mux_value", "subsampler_value"):
            self._write(name, 0)
        self._pass(SETTLED)
        for name, word in (
            ("trigger_mem_mask", mask),
            ("trigger_mem_value", value),
            ("trigger_mem_write", 1),
            ("storage_offset", capture.before),
            ("storage_length", CAPTURE_SAMPLES),
            ("storage_enable", 1),
        ):
            self._write(name, word)
        self._pass(SETTLED)
        self._write("trigger_enable", 1)

    def wait(self, seconds: float) -> Words:
        """The captured samples: uint32 of shape (CAPTURE_SAMPLES,), with the bits of PROBES.

        Raises UserError if the trigger is not met within `seconds`, and LinkError if the line lost
        or duplicated a frame: reading a sample removes it, so some would be missing.
        """
        deadline = time.monotonic() + seconds
        while not self._read("storage_done"):
            if time.monotonic() > deadline:
                raise UserError(
                    f"The trigger was not met within {seconds:g} s; choose another --trigger."
                )
        before = self._troubles()
        samples = [self._read("storage_mem_data") for _ in range(CAPTURE_SAMPLES)]
        self._read("storage_done")  # any duplicate answer arrives before this one
        if self._troubles() != before:
            raise LinkError(
                "The line lost or duplicated frames while samples were read, so some samples "
                "are missing; capture again."
            )
        return np.array(samples, np.uint32)

    def _troubles(self) -> int:
        """Frames that were resent, damaged or duplicated so far."""
        counted = self._link.statistics
        return counted.resends + counted.damaged + counted.foreign

    def _pass(self, cycles: int) -> None:
        """Waits for this many cycles of the device."""
        counter = registers.address("cycles_link")
        first = int(self._link.read(counter, 1)[0])
        while (int(self._link.read(counter, 1)[0]) - first) % (1 << 32) < cycles:
            pass

    def _read(self, name: str) -> int:
        return int(self._link.read(address(name), 1)[0])

    def _write(self, name: str, word: int) -> None:
        self._link.write(address(name), np.array([word], np.uint32))


def _pattern(trigger: Mapping[str, int]) -> tuple[int, int]:
    """Mask and value of a sample that meets `trigger`."""
    mask = value = 0
    for name, required in trigger.items():
        try:
            bit, width = place(name)
        except KeyError as error:
            raise UserError(
                f"Probe {name!r} is unknown; choose one of "
                f"{', '.join(probe.name for probe in PROBES)}."
            ) from error
        if not 0 <= required < 1 << width:
            raise UserError(f"Probe {name} has {width} bits and is never {required}.")
        mask |= ((1 << width) - 1) << bit
        value |= required << bit
    return mask, value


def column(samples: Words, name: str) -> Words:
    """The value of probe `name` in every sample: uint32 of shape (samples,)."""
    bit, width = place(name)
    return (samples >> bit & (1 << width) - 1).astype(np.uint32)


def vcd(samples: Words) -> str:
    """The text of a VCD with one variable per probe and 10 ns per sample."""
    text = io.StringIO()
    values = {probe.name: column(samples, probe.name).tolist() for probe in PROBES}
    with VCDWriter(text, timescale="1 ns", date="") as writer:
        variables = {
            probe.name: writer.register_var("dscim", probe.name, "wire", probe.width)
            for probe in PROBES
        }
        for index in range(len(samples)):
            for name, variable in variables.items():
                writer.change(variable, 10 * index, values[name][index])
        writer.close(10 * len(samples))
    return text.getvalue()
