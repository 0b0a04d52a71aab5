"""The whole device: macros, memories, engine."""

import dataclasses
from typing import ClassVar

from dscim.gateware.specs.base import Spec, is_power_of_two, require
from dscim.gateware.specs.macro import MacroSpec
from dscim.gateware.specs.product import ProductSpec

BUS_BYTES = 4
MAX_CHUNKS = 8
"""Cycles of a product in the depthwise unit at most."""

WORD_BYTES = 8
"""Bytes per word of the activation memory: eight channels of a pixel, a plane."""


@dataclasses.dataclass(frozen=True)
class SocSpec(Spec):
    """A device. The hash of this spec is the device's identity.

    macro:            the DS-CIM macro (form array or selected), or an exact macro.
    exact:            True: the device also has an exact macro of the same rows, columns and G.
    activation_words: size of the activation memory (inputs and outputs) in words of 8 bytes.
    banks:            words of the activation memory that are read per cycle.
    read_ports:       of the activation memory, 1 or 2. The second reads the tensors that are added
                      to outputs, so that windows need not wait; it takes as much block RAM again.
    weight_rows:      size of the weight memory in rows of `columns` bytes, a multiple of 16.
    channels:         output channels with parameters (bias, multiplier, shift) in memory.
    strip:            pixels with 32-bit partial sums in memory.
    requant_lanes:    channels requantised per cycle, at most two for each bank.
    descriptors:      descriptors in memory.
    depthwise:        samples per cycle of each product in the depthwise unit; 0: it is not built,
                      and depthwise layers run on the macro.
    All other sizes are powers of two.
    """

    later: ClassVar[tuple[str, ...]] = ("depthwise",)

    macro: MacroSpec = MacroSpec()
    exact: bool = True
    activation_words: int = 8192
    weight_rows: int = 4096
    channels: int = 512
    strip: int = 512
    requant_lanes: int = 32
    descriptors: int = 256
    banks: int = 16
    read_ports: int = 2
    depthwise: int = 0

    def __post_init__(self) -> None:
        limits = {
            "activation_words": (64, 1 << 16),
            "channels": (16, 4096),
            "strip": (2, 4096),
            "banks": (1, 16),
            "read_ports": (1, 2),
            "requant_lanes": (1, 32),
            "descriptors": (1, 2048),
        }
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            require(
                is_power_of_two(value) and least <= value <= most,
                f"The device's {name} of {value} is not a power of two from {least} to {most}.",
            )
        require(
            16 <= self.weight_rows <= 1 << 16 and self.weight_rows % 16 == 0,
            f"The device's weight_rows of {self.weight_rows} is not a multiple of 16 from 16 to "
            f"{1 << 16}.",
        )
        most = min(2 * self.banks, self.macro.columns)
        require(
            self.requant_lanes <= most,
            f"{self.requant_lanes} requant_lanes are more than {most}: the macro's columns and "
            "two for each bank are the limits.",
        )
        require(
            self.macro.columns >= BUS_BYTES,
            f"A macro of {self.macro.columns} columns is too narrow for the device's bus of "
            f"{BUS_BYTES} bytes; choose {BUS_BYTES} columns or more.",
        )
        require(
            self.weight_rows >= self.macro.rows + self.header_rows,
            f"A weight memory of {self.weight_rows} rows does not hold one row tile of the "
            f"macro's {self.macro.rows} rows and its header of {self.header_rows}.",
        )
        require(
            not (self.exact and self.macro.form == "exact"),
            "The device's macro is already exact; leave out the second exact macro.",
        )
        if self.depthwise:
            self._check_depthwise()

    def _check_depthwise(self) -> None:
        require(
            is_power_of_two(self.depthwise) and 2 <= self.depthwise <= 16,
            f"The device's depthwise of {self.depthwise} is not 0 or a power of two from 2 to 16.",
        )
        require(
            self.depthwise <= self.macro.max_samples,
            f"The device's depthwise of {self.depthwise} is more than the "
            f"{self.macro.max_samples} samples per row of the macro.",
        )
        require(
            self.macro.slotted and "split" in self.macro.signed,
            "The depthwise unit takes the samples of a macro of the form selected, with the "
            "sequence counter or table and the signed mode split; choose depthwise 0.",
        )
        require(
            self.macro.columns >= WORD_BYTES,
            f"The depthwise unit needs {WORD_BYTES} columns, not {self.macro.columns}; choose "
            "depthwise 0.",
        )

    @property
    def macros(self) -> tuple[MacroSpec, ...]:
        """The macros of the device; a descriptor chooses one by its place here."""
        if not self.exact:
            return (self.macro,)
        return self.macro, dataclasses.replace(self.macro, form="exact", lanes=1)

    @property
    def offset(self) -> bool:
        """Whether a macro computes in the signed mode offset."""
        return any(macro.form != "exact" and "offset" in macro.signed for macro in self.macros)

    @property
    def header_rows(self) -> int:
        """Rows of the weight memory before those of a row tile: a bit for each row of the macro."""
        return -(-self.macro.rows // (8 * self.macro.columns))

    @property
    def depthwise_samples(self) -> int:
        """The largest n that the depthwise unit computes, a power of two; 0 without the unit."""
        macro, most = self.macro, MAX_CHUNKS * self.depthwise
        if not macro.sequence.table:  # the regions' parity complements thresholds in between
            most = min(most, macro.side // 2)
        return min(most, macro.max_samples)

    @property
    def depthwise_steps(self) -> int:
        """Cycles of a product of the most samples in the depthwise unit; only if there is one."""
        return max(1, self.depthwise_samples // self.depthwise)

    @property
    def activation_rows(self) -> int:
        """Rows of the activation memory: a word of every bank."""
        return self.activation_words // self.banks

    def macro_for(self, product: ProductSpec) -> int:
        """The place in `macros` of the first that can compute `product`; SpecError if none can."""
        rejections = [macro.rejection(product) for macro in self.macros]
        require(None in rejections, f"The device cannot compute this product: {rejections[0]}")
        return rejections.index(None)
