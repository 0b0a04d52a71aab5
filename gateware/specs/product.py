"""The arithmetic of a product: all that its bits depend on, except the operands."""

import dataclasses

from dscim.gateware.specs.base import Spec, is_power_of_two, require
from dscim.gateware.specs.sequence import SequenceSpec

VARIANTS = {"ds-cim1": 16, "ds-cim2": 64}
"""The paper's variants by the width of their OR gate."""

SIGNED_MODES = ("offset", "split")
MAX_DEPTH = 32767
"""The most inputs K of a product; with more, 32 bits could wrap (contract, "Integers")."""


def region_side(or_width: int) -> int:
    """S: the side of a region in steps of an operand; 64 for G = 16, 32 for G = 64."""
    return 256 // int(or_width**0.5)


def check_or_width(or_width: int) -> None:
    """Raises SpecError unless `or_width` is 16 or 64."""
    require(
        or_width in VARIANTS.values(),
        f"OR width {or_width} is not built; choose 16 (ds-cim1) or 64 (ds-cim2).",
    )


def check_length(length: int, or_width: int) -> None:
    """Raises SpecError unless L = n*G with n a power of two from 1 to S."""
    side = region_side(or_width)
    samples = length // or_width
    require(
        length % or_width == 0 and is_power_of_two(samples) and samples <= side,
        f"Stream length {length} is not allowed with OR width {or_width}; choose "
        f"{or_width} times a power of two, from {or_width} to {or_width * side}.",
    )


@dataclasses.dataclass(frozen=True)
class ProductSpec(Spec):
    """The arithmetic contract's parameters (contract, section 2).

    or_width:         G, rows of an OR group, 16 or 64.
    length:           L, points per product; L = n*G, n a power of two from 1 to S.
    sequence:         the sequence of sample points.
    signed:           "split" (sign and magnitude) or "offset" (x + 128).
    activation_shift: e, 0..3, only with "split".
    exact:            True: the exact product of the integers, without stochastic computing; the
                      other fields then only choose the macro's schedule.
    """

    or_width: int = 16
    length: int = 256
    sequence: SequenceSpec = SequenceSpec()
    signed: str = "split"
    activation_shift: int = 0
    exact: bool = False

    def __post_init__(self) -> None:
        check_or_width(self.or_width)
        check_length(self.length, self.or_width)
        rejected = None if self.exact else self.sequence.rejection(self.samples)
        require(rejected is None, str(rejected))
        require(
            self.signed in SIGNED_MODES,
            f"Signed mode {self.signed!r} is unknown; choose offset or split.",
        )
        require(
            self.activation_shift in range(4),
            f"Activation shift {self.activation_shift} is outside 0..3.",
        )
        require(
            self.signed == "split" or self.activation_shift == 0,
            f"Activation shift {self.activation_shift} needs the signed mode split; "
            "offset has none.",
        )

    @property
    def root(self) -> int:
        """q: regions along one side of the sample square."""
        return int(self.or_width**0.5)

    @property
    def side(self) -> int:
        """S: the side of a region in sample steps."""
        return region_side(self.or_width)

    @property
    def operand_shift(self) -> int:
        """sh: the low bits of an 8-bit operand that are dropped in a region."""
        return self.root.bit_length() - 1

    @property
    def samples(self) -> int:
        """n: points in each region."""
        return self.length // self.or_width

    @property
    def longest(self) -> int:
        """The longest stream of the sequence for this OR width."""
        return self.or_width * min(self.side, self.sequence.max_samples)

    @property
    def decode_shift(self) -> int:
        """k: a tile's estimate is its count N << k, in product units; 0 if exact."""
        if self.exact:
            return 0
        shift = 16 - (self.samples.bit_length() - 1) - self.sequence.shift(self.samples)
        return shift if self.signed == "offset" else shift - 1 - self.activation_shift
