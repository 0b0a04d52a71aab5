"""The whole device: its macros, its memories, its engine."""

import dataclasses

from dscim.gateware.specs.base import Spec, is_power_of_two, require
from dscim.gateware.specs.macro import MacroSpec
from dscim.gateware.specs.product import ProductSpec

BUS_BYTES = 4
WORD_BYTES = 8
"""Bytes of a word of the activation memory; a pixel's channels begin on a word."""


@dataclasses.dataclass(frozen=True)
class SocSpec(Spec):
    """What is built: the hash of this is the device's identity.

    macro:            the DS-CIM macro (form array or selected), or an exact one alone.
    exact:            True: an exact macro of the same rows, columns and G stands beside it.
    activation_words: words of 8 bytes of the activation memory (inputs and outputs).
    weight_rows:      rows of `columns` bytes of the weight memory.
    channels:         output channels whose bias, multiplier and shift are held.
    strip:            pixels whose 32-bit partial sums are held.
    requant_lanes:    channels requantised a cycle.
    descriptors:      descriptors that can be held at once.
    All sizes are powers of two.
    """

    macro: MacroSpec = MacroSpec()
    exact: bool = True
    activation_words: int = 8192
    weight_rows: int = 4096
    channels: int = 512
    strip: int = 512
    requant_lanes: int = 2
    descriptors: int = 256

    def __post_init__(self) -> None:
        limits = {
            "activation_words": (64, 1 << 16),
            "weight_rows": (16, 1 << 16),
            "channels": (16, 4096),
            "strip": (2, 4096),
            "requant_lanes": (1, 2),
            "descriptors": (1, 2048),
        }
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            require(
                is_power_of_two(value) and least <= value <= most,
                f"The device's {name} of {value} is not a power of two from {least} to {most}.",
            )
        require(
            self.macro.columns >= BUS_BYTES,
            f"A macro of {self.macro.columns} columns is too narrow for the device's bus of "
            f"{BUS_BYTES} bytes; choose {BUS_BYTES} columns or more.",
        )
        require(
            self.weight_rows >= self.macro.rows,
            f"A weight memory of {self.weight_rows} rows does not hold one row tile of the "
            f"macro's {self.macro.rows} rows.",
        )
        require(
            not (self.exact and self.macro.form == "exact"),
            "The device's macro is exact already; leave the second exact macro out.",
        )

    @property
    def macros(self) -> tuple[MacroSpec, ...]:
        """The macros that stand in the device; a descriptor chooses one by its place here."""
        if not self.exact:
            return (self.macro,)
        return self.macro, dataclasses.replace(self.macro, form="exact", lanes=1)

    def macro_for(self, product: ProductSpec) -> int:
        """The place in `macros` of the macro that computes `product`; SpecError if none can."""
        rejections = [macro.rejection(product) for macro in self.macros]
        require(None in rejections, f"The device cannot compute this product: {rejections[0]}")
        return rejections.index(None)
