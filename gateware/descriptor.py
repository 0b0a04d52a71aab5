"""The layer descriptor, declared once: the host packs it, the engine unpacks it.

A descriptor is `WORDS` words of 32 bits in the descriptor memory. Fields never straddle words.
Unused bits are reserved: write zero.

A descriptor computes `outputs` channels of every output pixel, starting at `output_channel`. The
other channels of the output keep their bytes. It reads `inputs` channels, starting at
`input_plane`. So a layer may be split into descriptors by channels; each operation says how.
"""

import dataclasses
import enum
from collections.abc import Sequence

WORDS = 16

MAX_WIDENING = 22
"""The most bits by which an add may widen an input, `left_shift` plus a left shift: the sum of two
9-bit differences, widened by this much, still fits 32 bits."""


class Operation(enum.IntEnum):
    """What a descriptor does.

    PRODUCT:      each output is a product over the window: `inputs` channels of every tap.
    DEPTHWISE:    each output is a product over the taps of its own channel: output channel
                  output_channel + o reads channel o of the planes from `input_plane` on. inputs =
                  outputs. The signed mode is split.
    ADD:          TensorFlow Lite's int8 ADD of the input at `input_base` and one of the same shape
                  at `second_base`. The zero point of each is subtracted, the difference widened
                  and scaled, then both are summed. The sum is scaled by `output_multiplier` and
                  `output_shift`; `sum_zero` is added and the sum's clamp applied.
    MAX_POOL:     the maximum over the window's positions inside the input; -128 if there are none.
    AVERAGE_POOL: their mean, rounded half away from zero; 0 if there are none.
    SUM_POOL:     their sum, each less `input_zero`; 0 if there are none.

    The result of a pool is scaled by `output_multiplier` and `output_shift`; then `output_zero` is
    added and the clamp applied. `input_zero` is subtracted from a maximum or mean before scaling.
    After a product, every channel has its own bias, multiplier and shift in the parameter memory.
    `decode_shift` is 0 except for a product. Scaling rounds twice, as gemmlowp does, or once with
    `single_rounding`; an add always rounds twice.
    Adds and pools read the channels that they write, from `input_plane` on: inputs = outputs,
    units = 1. An add has stride 1, origin 0, equal input and output sizes, and a kernel of (1, 2):
    its taps are the two inputs. It may overwrite one of them.

    CHANNELWISE:  DEPTHWISE in the depthwise unit, for a device that has one. All taps of a kernel
                  of at most 8 x 8 are used, stride_y is at most 8, and the macro is the first,
                  with at most `SocSpec.depthwise_samples` samples per row. The weights have the
                  layout of `dscim.gateware.kernels`.

    A product, depthwise or not, with `residual` set is followed by an add: its int8 outputs are
    the first input, a tensor of the output's shape at `second_base` is the second, and only the
    sum is written. It may overwrite that tensor.

    A unit is the eight channels of a plane at one tap. Units are in the order of taps, and of
    planes within a tap. The row tile t of a PRODUCT holds the units from t*U on, U = R / 8; that of
    a DEPTHWISE the taps, since its column tiles have one plane each.
    """

    PRODUCT = 0
    DEPTHWISE = 1
    ADD = 2
    MAX_POOL = 3
    AVERAGE_POOL = 4
    SUM_POOL = 5
    CHANNELWISE = 6


PRODUCTS = frozenset({Operation.PRODUCT, Operation.DEPTHWISE, Operation.CHANNELWISE})
"""The operations with weights."""

VECTOR = frozenset(Operation) - PRODUCTS
"""The operations without weights."""

MAX_KERNEL = 8
"""The largest side of a kernel, and the largest vertical stride, of a CHANNELWISE."""


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
        """The values that fit the field."""
        if self.signed:
            return range(-(1 << self.size - 1), 1 << self.size - 1)
        return range(1 << self.size)


FIELDS = (
    Field("input_height", 0, 0, 12, "Rows of the input."),
    Field("input_width", 0, 12, 12, "Pixels per row of the input."),
    Field("second_zero", 0, 24, 8, "z of an add's second input.", True),
    Field("input_channels", 1, 0, 12, "Channels per pixel of the input in memory."),
    Field("input_plane", 1, 12, 9, "The first plane that is read: eight channels each."),
    Field("operation", 1, 21, 3, "The `Operation`."),
    Field("input_zero", 1, 24, 8, "z of the activations, and the value of padding.", True),
    Field("output_channels", 2, 0, 12, "Channels per pixel of the output in memory."),
    Field(
        "output_channel",
        2,
        12,
        12,
        "The first channel that is written: a multiple of 8, or of the columns if fewer.",
    ),
    Field("output_zero", 2, 24, 8, "Added after scaling.", True),
    Field("inputs", 3, 0, 12, "Channels read per pixel."),
    Field("outputs", 3, 12, 12, "Channels written per pixel."),
    Field("clamp_low", 3, 24, 8, "The smallest output.", True),
    Field("output_height", 4, 0, 12, "Rows of the output."),
    Field("output_width", 4, 12, 12, "Pixels per row of the output."),
    Field("clamp_high", 4, 24, 8, "The largest output.", True),
    Field("kernel_height", 5, 0, 12, "Rows of a window."),
    Field("kernel_width", 5, 12, 12, "Pixels per row of a window."),
    Field("samples_log2", 5, 24, 3, "log2 n: samples per row; 0 for an exact macro."),
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
        "units",
        8,
        0,
        16,
        "Units of a window that are used. Fewer than the window has stop early, which helps to "
        "locate a difference.",
    ),
    Field("second_shift", 8, 16, 6, "An add's second input: shift, left when positive.", True),
    Field("output_shift", 8, 22, 6, "Shift of an add or a pool, left when positive.", True),
    Field("macro", 8, 28, 2, "The macro: its index in SocSpec.macros."),
    Field("input_base", 9, 0, 16, "First row of the input in the activation memory."),
    Field("output_base", 9, 16, 16, "First row of the output in the activation memory."),
    Field("weight_base", 10, 0, 16, "First row of the weights in the weight memory."),
    Field("parameter_base", 10, 16, 16, "Index of the first written channel's parameters."),
    Field("second_base", 11, 0, 16, "First row of an add's second input."),
    Field("weight_rows", 11, 16, 16, "Rows of a column tile in the weight memory."),
    Field("first_multiplier", 12, 0, 31, "An add's first input: Q31 multiplier."),
    Field("raw", 12, 31, 1, "1: outputs are 32-bit sums in product units, without requantisation."),
    Field("second_multiplier", 13, 0, 31, "An add's second input: Q31 multiplier."),
    Field("offset", 13, 31, 1, "Signed mode: 1 offset, 0 split."),
    Field("output_multiplier", 14, 0, 31, "Q31 multiplier of an add or a pool."),
    Field(
        "single_rounding",
        14,
        31,
        1,
        "1: scaling rounds once, ties away from zero; 0: twice, as in gemmlowp.",
    ),
    Field("first_zero", 15, 0, 8, "z of an add's first input.", True),
    Field("sum_zero", 15, 8, 8, "Added to an add's sum after scaling.", True),
    Field("sum_low", 15, 16, 8, "The smallest output of an add.", True),
    Field("sum_high", 15, 24, 8, "The largest output of an add.", True),
)

BY_NAME = {field.name: field for field in FIELDS}


def pack(values: dict[str, int]) -> list[int]:
    """The descriptor's words. `values` must have every field, each within its limits.

    Raises ValueError with the field's name, value and limits.
    """
    if set(values) != set(BY_NAME):
        raise ValueError(f"Missing or unknown descriptor fields: {set(values) ^ set(BY_NAME)}.")
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
