"""LiteScope in a device: armed, waited for, read, and written as a VCD."""

import dataclasses
import time
from collections.abc import Iterator, Mapping

import numpy as np

from dscim.arrays import Words
from dscim.errors import LinkError, UserError
from dscim.gateware import registers
from dscim.gateware.probes import PROBES, SAMPLES, address, place
from dscim.host.link.base import Link

TAKEN = SAMPLES - 8
"""Samples of one look; the rest is on its way through LiteScope's queues."""

SETTLED = 4 * SAMPLES
"""Cycles in which LiteScope has emptied its memory and refilled what comes before the trigger."""


@dataclasses.dataclass(frozen=True)
class Look:
    """When to look: in the first cycle in which every probe named has its value.

    before: samples kept from before that cycle. UserError for what no probe can be.
    """

    trigger: Mapping[str, int]
    before: int

    def __post_init__(self) -> None:
        if not 0 <= self.before < TAKEN:
            raise UserError(f"{self.before} samples before the trigger are outside 0..{TAKEN - 1}.")
        _pattern(self.trigger)


class Scope:
    """The LiteScope of a device that was built with it, behind an open link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def arm(self, look: Look) -> None:
        """Waits, from now on, for what `look` says."""
        mask, value = _pattern(look.trigger)
        for name in ("trigger_enable", "storage_enable", "mux_value", "subsampler_value"):
            self._write(name, 0)
        self._pass(SETTLED)
        for name, word in (
            ("trigger_mem_mask", mask),
            ("trigger_mem_value", value),
            ("trigger_mem_write", 1),
            ("storage_offset", look.before),
            ("storage_length", TAKEN),
            ("storage_enable", 1),
        ):
            self._write(name, word)
        self._pass(SETTLED)
        self._write("trigger_enable", 1)

    def wait(self, seconds: float) -> Words:
        """The samples, TAKEN of them, uint32 each as PROBES lie; UserError where the trigger was
        not met in time, LinkError where the line lost or doubled a frame: a sample is gone once it
        is read."""
        deadline = time.monotonic() + seconds
        while not self._read("storage_done"):
            if time.monotonic() > deadline:
                raise UserError(
                    f"The trigger was not met in {seconds:g} s; choose another --trigger."
                )
        before = self._troubles()
        samples = [self._read("storage_mem_data") for _ in range(TAKEN)]
        self._read("storage_done")  # behind whatever comes twice
        if self._troubles() != before:
            raise LinkError(
                "The line lost or doubled frames while samples were read, of which "
                "some are gone; look again."
            )
        return np.array(samples, np.uint32)

    def _troubles(self) -> int:
        """Frames that were sent again or came without need, so far."""
        counted = self._link.statistics
        return counted.resends + counted.damaged + counted.foreign

    def _pass(self, cycles: int) -> None:
        """Lets cycles of the device go by."""
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
    for name, wanted in trigger.items():
        try:
            bit, width = place(name)
        except KeyError as error:
            raise UserError(
                f"There is no probe {name!r}; choose one of "
                f"{', '.join(probe.name for probe in PROBES)}."
            ) from error
        if not 0 <= wanted < 1 << width:
            raise UserError(f"Probe {name} has {width} bits and is never {wanted}.")
        mask |= ((1 << width) - 1) << bit
        value |= wanted << bit
    return mask, value


def column(samples: Words, name: str) -> Words:
    """What probe `name` was in every sample."""
    bit, width = place(name)
    return (samples >> bit & (1 << width) - 1).astype(np.uint32)


def vcd(samples: Words) -> str:
    """A VCD, 10 ns a sample, with a variable a probe."""
    keys = {probe.name: chr(ord("!") + index) for index, probe in enumerate(PROBES)}
    head = ["$timescale 1ns $end", "$scope module dscim $end"]
    head += [f"$var wire {probe.width} {keys[probe.name]} {probe.name} $end" for probe in PROBES]
    return (
        "\n".join(
            [
                *head,
                "$upscope $end",
                "$enddefinitions $end",
                *_changes(samples, keys),
                f"#{10 * len(samples)}",
            ]
        )
        + "\n"
    )


def _changes(samples: Words, keys: Mapping[str, str]) -> Iterator[str]:
    """A line a time and a line a change, of the first sample all."""
    last: dict[str, int] = {}
    for index, sample in enumerate(samples):
        now = {probe.name: int(column(sample, probe.name)) for probe in PROBES}
        changed = [probe for probe in PROBES if now[probe.name] != last.get(probe.name)]
        if changed:
            yield f"#{10 * index}"
        for probe in changed:
            bits = f"{now[probe.name]:b}"
            yield (
                f"b{bits} {keys[probe.name]}" if probe.width > 1 else f"{bits}{keys[probe.name]}"
            )
        last = now
