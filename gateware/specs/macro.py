"""The macro: its size, its form and the products that it can compute."""

import dataclasses

from dscim.gateware.specs.base import Spec, is_power_of_two, require
from dscim.gateware.specs.product import (
    SIGNED_MODES,
    ProductSpec,
    check_or_width,
    region_side,
)
from dscim.gateware.specs.sequence import SequenceSpec

FORMS = ("selected", "array", "exact")


@dataclasses.dataclass(frozen=True)
class MacroSpec(Spec):
    """A macro (contract, sections 1, 2 and 5).

    rows:     R, inputs of a product; a multiple of G.
    columns:  outputs of a product, a power of two.
    or_width: G, rows of an OR group, 16 or 64; for "exact" it only sets the schedule.
    form:     "selected" (one row of a group per cycle), "array" (the paper's circuit) or "exact"
              (products of the integers, with the schedule of "selected").
    lanes:    P, points per cycle, a power of two. array: 1..64. selected: 1..S with the counter
              sequence, 1..S/2 with a table, where the lanes are samples of one region, and 1 with
              lfsr. exact: 1. With a table, several lanes hold all samples of a region.
    sequence: the sequence of sample points.
    signed:   the signed modes that are built: "offset", "split" or both.
    """

    rows: int = 128
    columns: int = 32
    or_width: int = 16
    form: str = "selected"
    lanes: int = 16
    sequence: SequenceSpec = SequenceSpec()
    signed: tuple[str, ...] = SIGNED_MODES

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

    def _max_lanes(self) -> int:
        if self.form == "array":
            return 64
        if self.form == "selected" and self.sequence.kind != "lfsr":
            return region_side(self.or_width) // (1 if self.sequence.kind == "counter" else 2)
        return 1

    @property
    def groups(self) -> int:
        """OR groups per column."""
        return self.rows // self.or_width

    @property
    def side(self) -> int:
        """S: the side of a region in sample steps."""
        return region_side(self.or_width)

    @property
    def max_samples(self) -> int:
        """The largest n that the macro can compute, a power of two."""
        most = min(self.side, self.sequence.max_samples)
        in_lanes = self.sequence.kind == "table" and self.form == "selected" and self.lanes > 1
        return min(most, self.lanes) if in_lanes else most

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
                f"macro's {self.lanes} lanes hold {self.max_samples} of its table; build it "
                "with one lane, or choose a shorter stream."
            )
        if self.form == "array" and product.length % self.lanes:
            return f"Stream length {product.length} is not a multiple of {self.lanes} lanes."
        return None

    def cycles(self, product: ProductSpec) -> int:
        """Cycles from the start of one product to the start of the next, at full speed."""
        if self.form == "array":
            return product.length // self.lanes
        if self.form == "exact":
            return self.or_width
        return self.or_width * max(1, product.samples // self.lanes)


def default_macro(or_width: int = 16, sequence: SequenceSpec | None = None) -> MacroSpec:
    """The default macro of a variant: 128 x 32, selected, 256/G samples of a region per cycle."""
    sequence = sequence or SequenceSpec()
    check_or_width(or_width)
    lanes = 1 if sequence.kind == "lfsr" else 256 // or_width
    return MacroSpec(or_width=or_width, sequence=sequence, lanes=lanes)
