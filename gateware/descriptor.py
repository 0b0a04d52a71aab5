"""The layer descriptor, declared once: the host packs it, the engine takes it apart.

A descriptor is `WORDS` words of 32 bits in the descriptor memory. Fields never straddle words.
Words that no field uses are reserved, to be written as zero.

A descriptor computes `outputs` channels of every output pixel, from `output_channel` on; the
other channels of the output keep their bytes. It reads `inputs` channels, from `input_channel`
on. So a layer may be cut into descriptors by its channels; each operation says how.
"""

import dataclasses
import enum
from collections.abc import Sequence

WORDS = 16

MAX_WIDENING = 22
"""The most bits by which an add may widen an input, `left_shift` and a left shift together:
two differences of 9 bits, widened by as many, still have a sum of 32 bits."""


class Operation(enum.IntEnum):
    """What a descriptor does.

    PRODUCT:      each output is a product over the window: all taps, `inputs` channels of each.
    DEPTHWISE:    the same, its rows channel by channel, one row tile only: row c*taps + t is
                  channel input_channel + c, tap t, so that a block-diagonal matrix makes each
                  output a product of one channel. depth = taps*inputs <= R.
    ADD:          TensorFlow Lite's int8 ADD: the input at `input_base` and the one of the same
                  shape at `second_base`, each less its zero point, widened and scaled, are summed;
                  the sum is scaled by `output_multiplier` and `output_shift`, then come `sum_zero`
                  and the sum's clamp.
    MAX_POOL:     the greatest of the window's positions inside the input; -128 of none.
    AVERAGE_POOL: their mean, rounded half away from zero; 0 of none.
    SUM_POOL:     their sum, each less `input_zero`; 0 of none.

    What a pool gives is scaled by `output_multiplier` and `output_shift`, then comes `output_zero`
    and the clamp; of the greatest and of the mean, `input_zero` is taken before. After a product,
    every channel has a bias, multiplier and shift of its own in the parameter memory.
    `decode_shift` is 0 but for a product. Scaling rounds twice, as gemmlowp does, or once with
    `single_rounding`; an add always rounds twice.
    Adds and pools work on whole words: `input_channel` and `output_channel` are multiples of 8,
    inputs = outputs, depth = 1. An add has stride 1, origin 0, equal sizes in and out, and a
    kernel of (1, 2): its taps are the two inputs. It may write over one of them.

    A product, depthwise or not, with `residual` is one and an add at once: its int8 outputs are
    the add's first input, a tensor of the output's shape at `second_base` the second, and the
    sum alone is written. It may write over that tensor.

    A PRODUCT's window may be those of 1 << windows_log2 pixels side by side in a row, each from a
    whole OR group on, so that each keeps its regions; rows between them are unused. It is one row
    tile, not in signed mode offset. Then `outputs` and `output_channels` are those of all these
    pixels, `output_width` counts windows, and `stride_x` is from pixel to pixel.
    """

    PRODUCT = 0
    DEPTHWISE = 1
    ADD = 2
    MAX_POOL = 3
    AVERAGE_POOL = 4
    SUM_POOL = 5


VECTOR = frozenset(Operation) - {Operation.PRODUCT, Operation.DEPTHWISE}
"""The operations without a macro."""


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
    Field("input_width", 0, 12, 12, "Pixels of a row of the input."),
    Field("operation", 0, 24, 3, "What is done: an `Operation`."),
    Field("macro", 0, 27, 2, "Which macro: its place in SocSpec.macros."),
    Field("raw", 0, 29, 1, "1: outputs are 32-bit sums in product units, not requantised."),
    Field("offset", 0, 30, 1, "Signed mode: 1 offset, 0 split."),
    Field(
        "single_rounding",
        0,
        31,
        1,
        "1: outputs are scaled with one rounding, ties away from zero; 0: with two, as gemmlowp.",
    ),
    Field("input_channels", 1, 0, 12, "Channels of a whole pixel of the input in memory."),
    Field("input_channel", 1, 12, 12, "The first of them that is read."),
    Field("input_zero", 1, 24, 8, "z of the activations, and the value of padding.", True),
    Field("output_channels", 2, 0, 12, "Channels of a whole pixel of the output in memory."),
    Field("output_channel", 2, 12, 12, "The first of them that is written."),
    Field("output_zero", 2, 24, 8, "Added after scaling.", True),
    Field("inputs", 3, 0, 12, "Channels that are read of a pixel."),
    Field("outputs", 3, 12, 12, "Channels that are written of a pixel."),
    Field("clamp_low", 3, 24, 8, "The least output.", True),
    Field("output_height", 4, 0, 12, "Rows of the output."),
    Field("output_width", 4, 12, 12, "Pixels of a row of the output."),
    Field("clamp_high", 4, 24, 8, "The greatest output.", True),
    Field("kernel_height", 5, 0, 12, "Rows of a window."),
    Field("kernel_width", 5, 12, 12, "Pixels of a row of a window."),
    Field("samples_log2", 5, 24, 3, "log2 n: samples a row; 0 for an exact macro."),
    Field("decode_shift", 5, 27, 5, "k: a count N stands for N << k product units."),
    Field("stride_y", 6, 0, 12, "Rows from a window to the one below."),
    Field("stride_x", 6, 12, 12, "Pixels from a window to the next."),
    Field("activation_shift", 6, 24, 2, "e of the mode split."),
    Field("left_shift", 6, 26, 5, "Bits by which an add widens its inputs."),
    Field("residual", 6, 31, 1, "1: a product's outputs are added to the tensor at second_base."),
    Field("origin_y", 7, 0, 13, "Row of the first window's first tap: -top padding.", True),
    Field("origin_x", 7, 13, 13, "Pixel of the first window's first tap: -left padding.", True),
    Field("first_shift", 7, 26, 6, "An add's first input: shift, left when positive.", True),
    Field(
        "depth",
        8,
        0,
        16,
        "Inputs K of a window that count; fewer than the window has stop "
        "early, which is how a difference is located. Of several pixels' "
        "windows: rows to the end of the last.",
    ),
    Field("second_zero", 8, 16, 8, "z of an add's second input.", True),
    Field("second_shift", 8, 24, 6, "An add's second input: shift, left when positive.", True),
    Field("input_base", 9, 0, 16, "First word of the input in the activation memory."),
    Field("output_base", 9, 16, 16, "First word of the output in the activation memory."),
    Field("weight_base", 10, 0, 16, "First row of the weights in the weight memory."),
    Field(
        "parameter_base",
        10,
        16,
        16,
        "Parameters of the first channel that is written; equal to `output_channel` modulo 8.",
    ),
    Field("second_base", 11, 0, 16, "First word of an add's second input."),
    Field("output_shift", 11, 16, 6, "Of an add or a pool: shift, left when positive.", True),
    Field("windows_log2", 11, 22, 2, "log2 of the pixels that a product's window serves."),
    Field("first_multiplier", 12, 0, 31, "An add's first input: Q31 multiplier."),
    Field("second_multiplier", 13, 0, 31, "An add's second input: Q31 multiplier."),
    Field("output_multiplier", 14, 0, 31, "Of an add or a pool: Q31 multiplier."),
    Field("first_zero", 15, 0, 8, "z of an add's first input.", True),
    Field("sum_zero", 15, 8, 8, "Added to an add's sum after scaling.", True),
    Field("sum_low", 15, 16, 8, "The least output of an add.", True),
    Field("sum_high", 15, 24, 8, "The greatest output of an add.", True),
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
            raise ValueError(
                f"The descriptor's {field.name} of {value} is outside "
                f"{field.limits[0]}..{field.limits[-1]}."
            )
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
