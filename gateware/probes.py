"""What LiteScope sees of a device that is built with it, and where its registers are: declared once
for gateware and host."""

import dataclasses

PAGE = 4
BASE = 0x0000_2000
"""LiteScope's page of registers, and its byte address."""

SAMPLES = 1024
"""That the device has room for; one a cycle of `sys`."""

REGISTERS = (
    "mux_value",
    "trigger_enable",
    "trigger_done",
    "trigger_mem_write",
    "trigger_mem_mask",
    "trigger_mem_value",
    "trigger_mem_full",
    "subsampler_value",
    "storage_enable",
    "storage_done",
    "storage_length",
    "storage_offset",
    "storage_mem_level",
    "storage_mem_data",
)
"""LiteScope's, a word each, in its order."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """Some bits of every sample."""

    name: str
    meaning: str
    width: int = 1


PROBES = (
    Probe("start", "the host starts descriptors"),
    Probe("busy", "a layer runs"),
    Probe("error", "why a descriptor was refused", 4),
    Probe("place", "the descriptor that runs, its low bits", 8),
    Probe("setup", "a descriptor is read and checked"),
    Probe("loading", "weights of a row tile go to the macro"),
    Probe("windows", "windows of a row tile go to the macro"),
    Probe("weights_valid", "a row of weights is there"),
    Probe("weights_ready", "and is taken"),
    Probe("activations_valid", "activations of a window are there"),
    Probe("activations_ready", "and are taken"),
    Probe("computing", "the macro issues a region or a point"),
    Probe("sums_valid", "a window's sums are there"),
    Probe("sums_ready", "and are taken"),
    Probe("outputs_valid", "a pixel's sums over all row tiles are there"),
    Probe("outputs_ready", "and are taken to be requantised"),
    Probe("read", "the engine reads the activation memory"),
    Probe("written", "the engine writes the activation memory"),
)
"""The bits of a sample, from the lowest on; a word of 32 at most."""

assert sum(probe.width for probe in PROBES) <= 32


def address(register: str) -> int:
    """The byte address of one of LiteScope's registers."""
    return BASE + 4 * REGISTERS.index(register)


def place(name: str) -> tuple[int, int]:
    """The lowest bit and the width of a probe; KeyError where there is none of that name."""
    bit = 0
    for probe in PROBES:
        if probe.name == name:
            return bit, probe.width
        bit += probe.width
    raise KeyError(name)
