"""The signals that LiteScope samples in a device built with it, and the addresses of its registers:
declared once for gateware and host."""

import dataclasses

PAGE = 4
BASE = 0x0000_2000
"""LiteScope's page of registers, and the page's byte address."""

SAMPLES = 1024
"""Samples in a capture, one per cycle of `sys`."""

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
"""LiteScope's registers, one word each, in its order."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """A signal in every sample. width: in bits."""

    name: str
    meaning: str
    width: int = 1


PROBES = (
    Probe("start", "the host starts descriptors"),
    Probe("busy", "a layer runs"),
    Probe("error", "ErrorCode of the rejected descriptor", 4),
    Probe("place", "low bits of the running descriptor's place", 8),
    Probe("setup", "a descriptor is read and checked"),
    Probe("loading", "the weights of a row tile are loaded"),
    Probe("windows", "the windows of a row tile are computed"),
    Probe("weights_valid", "a row of weights is offered"),
    Probe("weights_ready", "... and accepted"),
    Probe("activations_valid", "activations of a window are offered"),
    Probe("activations_ready", "... and accepted"),
    Probe("computing", "the macro issues a region or a point"),
    Probe("sums_valid", "a window's sums are offered"),
    Probe("sums_ready", "... and accepted"),
    Probe("outputs_valid", "a pixel's sums over all row tiles are offered"),
    Probe("outputs_ready", "... and accepted for requantisation"),
    Probe("read", "the engine reads the activation memory"),
    Probe("written", "the engine writes the activation memory"),
)
"""The bits of a sample, lowest first; 32 at most."""

assert sum(probe.width for probe in PROBES) <= 32


def address(register: str) -> int:
    """The byte address of one of LiteScope's registers."""
    return BASE + 4 * REGISTERS.index(register)


def place(name: str) -> tuple[int, int]:
    """The lowest bit and the width of a probe; KeyError for an unknown name."""
    bit = 0
    for probe in PROBES:
        if probe.name == name:
            return bit, probe.width
        bit += probe.width
    raise KeyError(name)
