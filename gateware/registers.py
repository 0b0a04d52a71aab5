"""The register map, declared once: the SoC is built from it, the host uses its names."""

import dataclasses
import enum

BANK_BASE = 0x0000_0800
"""Byte address of the bank, the second page: in a LiteX SoC without CPU, registers start at 0."""

BANK_PAGE = 1
IDENTIFIER_PAGE = 2
"""The page of LiteX's identifier, one character per word."""

LINK_BASE = 0x0000_1800
"""Byte address of the link's counters: the fourth page."""

LINK_PAGE = 3
MAGIC = 0x4453_4349
"""The value of `magic`: "DSCI"."""

PROTOCOL = 5
"""Version of registers and descriptors; the host rejects any other."""

PLACE_BITS = 12
"""Bits of a descriptor's place, and of the number of descriptors to run."""

MEMORY_BASES = {
    "descriptors": 0x1000_0000,
    "parameters": 0x2000_0000,
    "weights": 0x3000_0000,
    "activations": 0x4000_0000,
}
"""Byte addresses of the memory windows."""


class ErrorCode(enum.IntEnum):
    """Why the engine rejected a descriptor; the value of `status.error`."""

    NONE = 0
    DESCRIPTOR = 1
    OPERATION = 2
    MACRO = 3
    LENGTH = 4
    SIGNED_MODE = 5
    GEOMETRY = 6
    SCALING = 7
    INPUT_MEMORY = 8
    OUTPUT_MEMORY = 9
    WEIGHT_MEMORY = 10
    PARAMETER_MEMORY = 11

    @property
    def text(self) -> str:
        """The reason as a sentence."""
        return _ERROR_TEXTS[self]


_ERROR_TEXTS = {
    ErrorCode.NONE: "No error.",
    ErrorCode.DESCRIPTOR: "The descriptor's place is outside the descriptor memory.",
    ErrorCode.OPERATION: "The descriptor names an unknown operation, or adds a residual to "
    "something other than a requantised product.",
    ErrorCode.MACRO: "The descriptor names a macro that the device does not have.",
    ErrorCode.LENGTH: "The stream length is not allowed for the macro.",
    ErrorCode.SIGNED_MODE: "The macro is built without the signed mode or activation shift, "
    "or the operation does not allow it.",
    ErrorCode.GEOMETRY: "A size is zero, too deep, or does not fit the operation.",
    ErrorCode.SCALING: "An add widens its inputs beyond 32 bits.",
    ErrorCode.INPUT_MEMORY: "The input does not fit the activation memory.",
    ErrorCode.OUTPUT_MEMORY: "The output does not fit the activation memory.",
    ErrorCode.WEIGHT_MEMORY: "The weights do not fit the weight memory.",
    ErrorCode.PARAMETER_MEMORY: "The channels' parameters do not fit the parameter memory.",
}


@dataclasses.dataclass(frozen=True)
class Field:
    """Some bits of a register. pulse: reads as zero; high for one cycle when 1 is written."""

    name: str
    size: int
    description: str
    pulse: bool = False


@dataclasses.dataclass(frozen=True)
class Register:
    """32 bits on the bus. writable: set by the host; otherwise by the device."""

    name: str
    description: str
    fields: tuple[Field, ...]
    writable: bool = False

    def offset(self, field: str) -> int:
        """The lowest bit of `field`; fields are adjacent, starting at bit 0."""
        names = [f.name for f in self.fields]
        return sum(f.size for f in self.fields[: names.index(field)])

    def pack(self, **values: int) -> int:
        """The register's value with these fields, all others zero.

        Raises ValueError for a value that does not fit, or an unknown field.
        """
        total = 0
        for field in self.fields:
            value = values.pop(field.name, 0)
            if not 0 <= value < 1 << field.size:
                raise ValueError(f"{self.name}.{field.name} holds {field.size} bits, not {value}.")
            total |= value << self.offset(field.name)
        if values:
            raise ValueError(f"Register {self.name} has no field {', '.join(values)}.")
        return total

    def unpack(self, value: int) -> dict[str, int]:
        """The fields of a register that reads `value`."""
        return {f.name: value >> self.offset(f.name) & (1 << f.size) - 1 for f in self.fields}


def _word(name: str, description: str) -> Register:
    return Register(name, description, (Field("value", 32, description),))


REGISTERS = (
    _word("magic", f"Reads {MAGIC:#x}: this is a dscim device."),
    _word("protocol", "Version of registers and descriptors."),
    _word("spec_hash", "Hash of the device's SocSpec."),
    Register(
        "control",
        "Starts the engine.",
        (
            Field(
                "start",
                1,
                "Write 1: run `count` descriptors from `first`. Ignored while busy.",
                pulse=True,
            ),
            Field("clear", 1, "Write 1: reset all counters to zero.", pulse=True),
            Field("first", PLACE_BITS, "Place of the first descriptor."),
            Field("count", PLACE_BITS, "Number of descriptors to run; 0 runs none."),
        ),
        writable=True,
    ),
    Register(
        "status",
        "State of the engine.",
        (
            Field("busy", 1, "The engine is running; memories answer reads only when it is not."),
            Field("error", 4, "ErrorCode of the rejected descriptor; cleared by the next start."),
            Field(
                "place", PLACE_BITS, "Place of the descriptor that runs, ran last or was rejected."
            ),
        ),
    ),
    _word("cycles_busy", "Cycles in which the engine ran."),
    _word("cycles_computing", "Cycles in which a macro computed."),
    _word("cycles_weights", "Busy cycles in which a macro waited for weights."),
    _word("cycles_activations", "Busy cycles in which a macro waited for activations."),
    _word("cycles_vector", "Busy cycles in which an add or a pool ran."),
    _word("cycles_link", "Cycles in which the engine was idle, waiting for the link."),
    _word("products", "Products that the macros finished."),
)

COUNTERS = (
    "cycles_busy",
    "cycles_computing",
    "cycles_weights",
    "cycles_activations",
    "cycles_vector",
    "cycles_link",
    "products",
)
"""The registers that count, all cleared by `control.clear`."""

LINK_REGISTERS = (
    _word("frames_taken", "Valid frames."),
    _word("frames_dropped", "Invalid frames (CRC, COBS, length), and answers that came back."),
    _word("frames_doubled", "WRITE frames that were already applied and only answered."),
    _word("frames_ahead", "WRITE frames beyond the window, dropped."),
    _word("frames_refused", "Frames answered REFUSED."),
    _word("stray_bytes", "Bytes outside frames while a session was open, dropped."),
    _word("sessions_opened", "Sessions opened."),
    _word("stray_datagrams", "Malformed datagrams to Etherbone, dropped."),
    _word("stray_writes", "Words written by Etherbone while a session was open, ignored."),
    _word("link_resets", "Times that Ethernet stalled for 10 ms and was reset."),
)
"""Counters of the link since reset, modulo 2^32, in their own page."""

PAGES = {BANK_BASE: REGISTERS, LINK_BASE: LINK_REGISTERS}
"""All registers, by the byte address of their page."""

BY_NAME = {register.name: register for page in PAGES.values() for register in page}


def address(name: str) -> int:
    """Byte address of the register `name` on the bus."""
    register = BY_NAME[name]
    base, page = next((base, page) for base, page in PAGES.items() if register in page)
    return base + 4 * page.index(register)
