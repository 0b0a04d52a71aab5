"""The macro: its size, its form and the products that it can compute."""

import dataclasses
from typing import ClassVar

from dscim.gateware.specs.base import Spec, is_power_of_two, require
from dscim.gateware.specs.product import (
    SIGNED_MODES,
    ProductSpec,
    check_or_width,
    region_side,
)
from dscim.gateware.specs.sequence import SequenceSpec

FORMS = ("selected", "array", "exact")

UNIT_ROWS = 8
"""Rows of a unit: a window is written unit by unit, eight channels of a pixel each."""


@dataclasses.dataclass(frozen=True)
class MacroSpec(Spec):
    """A macro (contract, sections 1, 2 and 5).

    rows:     R, inputs of a product; a multiple of G.
    columns:  outputs of a product, a power of two.
    or_width: G, rows of an OR group, 16 or 64; for "exact" it only sets the schedule.
    form:     "selected" (rows with all their samples at once; one row of a group per cycle with
              lfsr), "array" (the paper's circuit) or "exact" (products of the integers).
    lanes:    P, points per cycle and group, a power of two up to 64; selected with lfsr: 1. exact:
              rows of every group per cycle, a power of two up to G.
    sequence: the sequence of sample points.
    signed:   the signed modes that are built: "offset", "split" or both.
    samples:  the largest n that is built, a power of two; None: every n.
    """

    later: ClassVar[tuple[str, ...]] = ("samples",)

    rows: int = 128
    columns: int = 32
    or_width: int = 16
    form: str = "selected"
    lanes: int = 64
    sequence: SequenceSpec = SequenceSpec()
    signed: tuple[str, ...] = SIGNED_MODES
    samples: int | None = None

    def __post_init__(self) -> None:
        check_or_width(self.or_width)
        require(
            self.form in FORMS,
            f"Macro form {self.form!r} is unknown; choose one of {', '.join(FORMS)}.",
        )
        require(
            self.rows > 0 and self.rows % self.or_width == 0 and self.rows <= 512,
            f"A macro of {self.rows} rows cannot be cut into OR groups of {self.or_width}; "
            f"choose a multiple of {self.or_width} up to 512.",
        )
        require(
            is_power_of_two(self.columns) and self.columns <= 256,
            f"{self.columns} columns are not a power of two up to 256.",
        )
        require(
            bool(self.signed) and set(self.signed) <= set(SIGNED_MODES),
            f"Signed modes {self.signed} are not one or both of {', '.join(SIGNED_MODES)}.",
        )
        most = self._max_lanes()
        require(
            is_power_of_two(self.lanes) and self.lanes <= most,
            f"{self.lanes} lanes do not fit the form {self.form} with the sequence "
            f"{self.sequence.kind}; choose a power of two from 1 to {most}.",
        )
        built = min(self.side, self.sequence.max_samples)
        require(
            self.samples is None or (is_power_of_two(self.samples) and self.samples <= built),
            f"A macro cannot be built for {self.samples} samples per row; choose a power of two "
            f"from 1 to {built}.",
        )

    def _max_lanes(self) -> int:
        if self.form == "exact":
            return self.or_width
        return 1 if self.form == "selected" and self.sequence.kind == "lfsr" else 64

    @property
    def groups(self) -> int:
        """OR groups per column."""
        return self.rows // self.or_width

    @property
    def side(self) -> int:
        """S: the side of a region in sample steps."""
        return region_side(self.or_width)

    @property
    def units(self) -> int:
        """U: the units of a window."""
        return self.rows // UNIT_ROWS

    @property
    def ordered(self) -> bool:
        """Whether a row's place decides its region; else the weights bring what decides it."""
        return self.form == "array" or (self.form == "selected" and self.sequence.kind == "lfsr")

    @property
    def slotted(self) -> bool:
        """Whether the samples of a row are known in advance, so that it takes several at once."""
        return self.form == "selected" and not self.ordered

    @property
    def max_samples(self) -> int:
        """The largest n that the macro can compute, a power of two."""
        return self.samples or min(self.side, self.sequence.max_samples)

    def rejection(self, product: ProductSpec) -> str | None:
        """Why this macro cannot compute `product`, as one sentence; None if it can."""
        if product.exact != (self.form == "exact"):
            kind = "exact" if product.exact else "stochastic"
            return f"A macro of the form {self.form} does not compute {kind} products."
        if product.exact:
            return None
        if product.or_width != self.or_width:
            return f"The macro's OR width is {self.or_width}, not {product.or_width}."
        if product.sequence != self.sequence:
            return f"The macro's sequence is {self.sequence}, not {product.sequence}."
        if product.signed not in self.signed:
            return f"The macro has the signed modes {self.signed}, not {product.signed}."
        if product.samples > self.max_samples:
            return (
                f"Stream length {product.length} has {product.samples} samples per row, but the "
                f"macro is built for up to {self.max_samples}; build it for more, or choose a "
                f"stream length up to {self.or_width * self.max_samples}."
            )
        if self.form == "array" and product.length % self.lanes:
            return f"Stream length {product.length} is not a multiple of {self.lanes} lanes."
        return None

    def cycles(self, product: ProductSpec) -> int:
        """Cycles from the start of one product to the start of the next, at full speed."""
        if self.form == "exact":
            return self.or_width // self.lanes
        return max(1, product.length // self.lanes)


def default_macro(or_width: int = 16, sequence: SequenceSpec | None = None) -> MacroSpec:
    """The default macro of a variant: 128 x 32, selected, 64 points per cycle (1 with lfsr)."""
    sequence = sequence or SequenceSpec()
    lanes = 1 if sequence.kind == "lfsr" else 64
    return MacroSpec(or_width=or_width, sequence=sequence, lanes=lanes)
