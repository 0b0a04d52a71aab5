"""The layer descriptor, declared once: the host packs it, the engine takes it apart.

A descriptor is `WORDS` words of 32 bits in the descriptor memory. Fields never straddle words.
Words that no field uses are reserved, to be written as zero.
"""

import dataclasses
from collections.abc import Sequence

WORDS = 16


@dataclasses.dataclass(frozen=True)
class Field:
    """Bits [offset, offset + size) of word `word`; two's complement when signed."""

    name: str
    word: int
    offset: int
    size: int
    description: str
    signed: bool = False

    @property
    def limits(self) -> range:
        """The values that the field holds."""
        if self.signed:
            return range(-(1 << self.size - 1), 1 << self.size - 1)
        return range(1 << self.size)


FIELDS = (
    Field("input_height", 0, 0, 12, "Rows of the input."),
    Field("input_width", 0, 16, 12, "Pixels of a row of the input."),
    Field("input_channels", 1, 0, 12, "Channels of an input pixel."),
    Field("outputs", 1, 16, 12, "Channels of an output pixel."),
    Field("output_height", 2, 0, 12, "Rows of the output."),
    Field("output_width", 2, 16, 12, "Pixels of a row of the output."),
    Field("kernel_height", 3, 0, 12, "Rows of a window."),
    Field("kernel_width", 3, 16, 12, "Pixels of a row of a window."),
    Field("stride_y", 4, 0, 12, "Rows from a window to the one below."),
    Field("stride_x", 4, 16, 12, "Pixels from a window to the next."),
    Field("origin_y", 5, 0, 13, "Row of the first window's first tap: -top padding.", True),
    Field("origin_x", 5, 16, 13, "Pixel of the first window's first tap: -left padding.", True),
    Field("depth", 6, 0, 16, "Inputs K of a window that count; fewer than the window has stop "
                             "early, which is how a difference is located."),
    Field("macro", 6, 16, 2, "Which macro: its place in SocSpec.macros."),
    Field("raw", 6, 18, 1, "1: outputs are 32-bit sums in product units, not requantised."),
    Field("samples_log2", 7, 0, 3, "log2 n: samples a row; 0 for an exact macro."),
    Field("offset", 7, 3, 1, "Signed mode: 1 offset, 0 split."),
    Field("activation_shift", 7, 4, 2, "e of the mode split."),
    Field("decode_shift", 7, 6, 5, "k: a count N stands for N << k product units."),
    Field("input_zero", 7, 16, 8, "z of the activations, and the value of padding.", True),
    Field("output_zero", 7, 24, 8, "Added after scaling.", True),
    Field("clamp_low", 8, 0, 8, "The least output.", True),
    Field("clamp_high", 8, 8, 8, "The greatest output.", True),
    Field("input_base", 9, 0, 16, "First word of the input in the activation memory."),
    Field("output_base", 9, 16, 16, "First word of the output in the activation memory."),
    Field("weight_base", 10, 0, 16, "First row of the weights in the weight memory."),
    Field("parameter_base", 10, 16, 16, "First channel's parameters; a multiple of 8."),
)

BY_NAME = {field.name: field for field in FIELDS}


def pack(values: dict[str, int]) -> list[int]:
    """The descriptor's words; every field must be given, and hold.

    Raises ValueError with the field's name, value and limits.
    """
    if set(values) != set(BY_NAME):
        raise ValueError(f"A descriptor lacks or adds {set(values) ^ set(BY_NAME)}.")
    words = [0] * WORDS
    for field in FIELDS:
        value = values[field.name]
        if value not in field.limits:
            raise ValueError(f"The descriptor's {field.name} of {value} is outside "
                             f"{field.limits[0]}..{field.limits[-1]}.")
        words[field.word] |= (value & (1 << field.size) - 1) << field.offset
    return words


def unpack(words: Sequence[int]) -> dict[str, int]:
    """The fields of a descriptor's words."""
    values = {}
    for field in FIELDS:
        value = int(words[field.word]) >> field.offset & (1 << field.size) - 1
        negative = field.signed and value >> field.size - 1
        values[field.name] = value - (1 << field.size) if negative else value
    return values
