"""Layers as in their descriptors, and the bytes of their windows, in plain loops."""

import dataclasses

from dscim.gateware.descriptor import VECTOR, Operation
from dscim.gateware.engine.setup import SIZE_BITS
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

SOC = SocSpec(
    MacroSpec(rows=16, columns=4, lanes=4),
    activation_words=1 << 12,
    weight_rows=64,
    channels=16,
    strip=4,
    requant_lanes=1,
)


@dataclasses.dataclass(frozen=True)
class Geometry:
    """A layer as in its descriptor: (vertical, horizontal) pairs, origin = -padding.

    It reads `channels` of the input's `pixel` channels, from `channel` on.
    """

    input: tuple[int, int]
    channels: int
    output: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    origin: tuple[int, int]
    depth: int
    base: int
    outputs: int = 1
    output_base: int = 0
    weight_base: int = 0
    channel: int = 0
    pixel: int = 0
    output_channel: int = 0
    output_channels: int = 1
    operation: Operation = Operation.PRODUCT
    second_base: int = 0

    @property
    def vector(self) -> bool:
        return self.operation in VECTOR

    @property
    def pixel_words(self) -> int:
        return -(-self.pixel // WORD_BYTES)

    def fields(self) -> dict[str, int]:
        names = ("input", "output", "kernel")
        sizes = {
            f"{name}_{side}": getattr(self, name)[axis]
            for name in names
            for axis, side in enumerate(("height", "width"))
        }
        return sizes | {
            "input_channels": self.pixel,
            "depth": self.depth,
            "inputs": self.channels,
            "input_channel": self.channel,
            "output_channel": self.output_channel,
            "operation": self.operation,
            "stride_y": self.stride[0],
            "stride_x": self.stride[1],
            "origin_y": self.origin[0],
            "origin_x": self.origin[1],
            "input_base": self.base,
            "outputs": self.outputs,
            "output_base": self.output_base,
            "weight_base": self.weight_base,
        }

    def plan(self) -> dict[str, int]:
        row = self.input[1] * self.pixel_words
        add = self.operation is Operation.ADD
        wrapped = {
            "tap_step": self.second_base - self.base if add else self.pixel_words,
            "pixel_step": self.stride[1] * self.pixel_words,
            "line_step": self.stride[0] * row,
            "origin_line": self.origin[0] * row,
            "origin_pixel": self.origin[1] * self.pixel_words,
        }
        return {
            "pixel_words": self.pixel_words,
            "row_stride": row,
            "pixels": self.output[0] * self.output[1],
            "output_pixel_words": -(-self.output_channels // WORD_BYTES),
            "vector": int(self.vector),
            "add": int(add),
            **{name: value % (1 << SIZE_BITS) for name, value in wrapped.items()},
        }

    def window(self, pixel: int) -> list[int | None]:
        """The bytes of the activation memory in this pixel's window, None for padding."""
        if self.operation is Operation.ADD:
            starts = [
                (base + pixel * self.pixel_words) * WORD_BYTES + self.channel
                for base in (self.base, self.second_base)
            ]
            return [start + c for start in starts for c in range(self.channels)]
        down, across = divmod(pixel, self.output[1])
        places: list[int | None] = []
        for ky in range(self.kernel[0]):
            for kx in range(self.kernel[1]):
                y = self.origin[0] + down * self.stride[0] + ky
                x = self.origin[1] + across * self.stride[1] + kx
                inside = 0 <= y < self.input[0] and 0 <= x < self.input[1]
                word = self.base + (y * self.input[1] + x) * self.pixel_words
                first = word * WORD_BYTES + self.channel
                places += [first + c if inside else None for c in range(self.channels)]
        return places if self.vector else places[: self.depth]


def random_geometry(rng) -> Geometry:
    """Small and odd layers, with windows partly or wholly outside the input."""
    kernel = tuple(int(side) for side in rng.integers(1, 5, 2))
    channels = int(rng.choice((1, 3, 7, 8, 9, 16, 17, 21)))
    window = kernel[0] * kernel[1] * channels
    depth = window if rng.random() < 0.6 else int(rng.integers(1, window + 1))
    pairs = [
        tuple(int(v) for v in rng.integers(low, high, 2))
        for low, high in ((1, 6), (1, 4), (1, 4), (-4, 3))
    ]
    channel, more = (int(v) for v in rng.integers(0, 20, 2) * (rng.random() < 0.5))
    pixel = channel + channels + more
    words = pairs[0][0] * pairs[0][1] * -(-pixel // WORD_BYTES)
    base = int(rng.choice((0, SOC.activation_words - words)))
    return Geometry(
        pairs[0],
        channels,
        pairs[1],
        kernel,
        pairs[2],
        pairs[3],
        depth,
        base,
        channel=channel,
        pixel=pixel,
    )


def random_vector(rng, operation: Operation) -> Geometry:
    """An add or a pool of the channels of one column tile."""
    geometry = dataclasses.replace(
        random_geometry(rng),
        depth=1,
        operation=operation,
        channels=int(rng.integers(1, 5)),
        channel=int(rng.choice((0, 4, 8, 20))),
        pixel=24,
        base=int(rng.integers(99)),
    )
    if operation is not Operation.ADD:
        return geometry
    words = geometry.input[0] * geometry.input[1] * geometry.pixel_words
    second = int(rng.integers(SOC.activation_words - words))
    return dataclasses.replace(
        geometry,
        kernel=(1, 2),
        stride=(1, 1),
        origin=(0, 0),
        output=geometry.input,
        second_base=second,
    )


def row_tiles(geometry: Geometry, columns: int = 1):
    """(column tile, first pixel, pixels, first row, rows) in the order of work."""
    pixels = geometry.output[0] * geometry.output[1]
    for column in range(-(-geometry.outputs // columns)):
        for pixel in range(0, pixels, SOC.strip):
            if geometry.vector:
                yield column, pixel, min(SOC.strip, pixels - pixel), 0, len(geometry.window(0))
                continue
            for row in range(0, geometry.depth, SOC.macro.rows):
                yield (
                    column,
                    pixel,
                    min(SOC.strip, pixels - pixel),
                    row,
                    min(SOC.macro.rows, geometry.depth - row),
                )
