"""Finds where a layer on a device first differs from the reference, down to the row tile."""

import dataclasses
from typing import Any

from dscim.arrays import Int8
from dscim.errors import LinkError, UserError
from dscim.gateware.layout import ceil_div, unit_depth, window_units
from dscim.gateware.specs import LayerSpec
from dscim.host.compile.parameters import LayerParameters
from dscim.host.compile.products import describable, viewed
from dscim.host.device import Device
from dscim.host.golden.reference import product, weight_matrix, windows

REQUANTISATION = "after the row tiles: bias, requantisation or clamp"
NOT_LOCATED = "row tile not located, because the sums do not fit the device's memory"


@dataclasses.dataclass(frozen=True)
class Difference:
    """The first output that differs, in the order image, row, column, channel.

    place: the row tile after which the sums differ, REQUANTISATION, or NOT_LOCATED; for a node
    that is not a Conv, its kind.
    """

    image: int
    pixel: tuple[int, int]
    channel: int
    place: str
    device: int
    reference: int

    def __str__(self) -> str:
        return (
            f"image {self.image}, pixel {self.pixel}, channel {self.channel}, {self.place}: "
            f"the device has {self.device}, the reference {self.reference}"
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as a JSON object."""
        return dataclasses.asdict(self)


def first_difference(
    device: Device, layer: LayerSpec, parameters: LayerParameters, x: Int8, seen: Difference
) -> Difference:
    """The difference `seen`, with the row tile after which the sums differ.

    x: the layer's input (1, H, W, C); the layer runs on `device` again with different numbers of
    row tiles. Raises LinkError if the device fails.
    """
    try:
        place = _row_tile(device, layer, parameters, x, (*seen.pixel, seen.channel))
    except LinkError:
        raise
    except UserError:
        place = NOT_LOCATED
    return dataclasses.replace(seen, place=place)


def _row_tile(
    device: Device,
    layer: LayerSpec,
    parameters: LayerParameters,
    x: Int8,
    output: tuple[int, int, int],
) -> str:
    """Bisects for a row tile before which the sums of `output` agree, and after which they differ.

    output: (row, column, channel).
    """
    layer = viewed(layer)
    x = x.reshape(1, *layer.input)
    direct = describable(device.spec, layer)
    channels = layer.input[2] if direct else layer.depth
    units = window_units(channels, layer.depth)
    tiles = ceil_div(units, device.spec.macro.units)

    def differs(count: int) -> bool:
        used = min(count * device.spec.macro.units, units)
        window, weights = _prefix(layer, parameters, x, output, unit_depth(channels, used))
        if direct:
            run = device.run_layer(layer, parameters, x, units=used, raw=True)
            found = int(run.outputs[0][output]) - int(parameters.bias[output[2]])
        else:
            found = int(
                device.multiply(window, weights, layer.product, layer.input_zero).values[0, 0]
            )
        return found != int(product(window, weights, layer.product, layer.input_zero)[0, 0])

    if not differs(tiles):
        return REQUANTISATION
    good, bad = 0, tiles
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if differs(middle) else (middle, bad)
    return f"row tile {bad - 1} of 0..{tiles - 1}"


def _prefix(
    layer: LayerSpec, parameters: LayerParameters, x: Int8, output: tuple[int, int, int], depth: int
) -> tuple[Int8, Int8]:
    """The first `depth` inputs of an output's window (1, depth), and its weights (depth, 1)."""
    y, column, channel = output
    window = windows(x, layer)[0, y, column, :depth]
    return window[None], weight_matrix(parameters.weights)[:depth, [channel]]
