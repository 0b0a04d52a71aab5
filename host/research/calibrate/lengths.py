"""A stream length for each layer within a budget of cycles: longer where it matters most."""

import dataclasses

import numpy as np
import numpy.typing as npt

from dscim.errors import UserError
from dscim.gateware.layout import ceil_div, pixel_words
from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.gateware.specs.macro import UNIT_ROWS, default_macro
from dscim.host.compile.packing import best_packing, packed_layer
from dscim.host.network import Network
from dscim.host.network.weighted import STRETCHES


def cycles(layer: LayerSpec) -> int:
    """Cycles of the products of a layer per image, on the default macro.

    Every pixel takes one product per row tile and column tile. A product of n samples per row takes
    as long as one of fewer samples if the macro's lanes hold them.
    """
    macro = default_macro(layer.product.or_width, layer.product.sequence)
    height, width, outputs = layer.output
    planes, each = pixel_words(layer.input[2]), outputs // layer.input[2]
    if layer.depthwise:
        units, columns = layer.depth, planes * ceil_div(UNIT_ROWS * each, macro.columns)
    else:
        units = layer.kernel[0] * layer.kernel[1] * planes
        columns = ceil_div(outputs, macro.columns)
    tiles = ceil_div(units, macro.units) * columns
    return height * width * tiles * macro.cycles(layer.product)


def network_cycles(network: Network, arithmetic: ProductSpec) -> int:
    """`cycles` of all layers per image, with pixels packed as the engine packs them."""
    return sum(cycles(_taken(layer)) for _, layer in network.layers(arithmetic))


def _taken(layer: LayerSpec) -> LayerSpec:
    """The layer as a device with the default macro computes it."""
    product = layer.product
    device = SocSpec(macro=default_macro(product.or_width, product.sequence))
    return packed_layer(layer, best_packing(device, layer))


def stretched(network: Network, name: str, stretch: int) -> Network:
    """The network with the stretch of one layer changed."""
    return network.with_weighted(
        lambda node: dataclasses.replace(node, stretch=stretch) if node.name == name else node
    )


def lengthened(
    network: Network,
    arithmetic: ProductSpec,
    budget: int,
    noises: dict[str, npt.NDArray[np.float64]],
) -> Network:
    """The network with streams as long as `budget` cycles per image allow.

    noises: by layer, the error relative to the power at each doubling of the length, beginning with
    the network's own length. The doubling that removes most noise per cycle comes first.
    UserError if not even the network's own length fits.
    """
    network = network.with_weighted(lambda node: dataclasses.replace(node, stretch=1))
    spent = network_cycles(network, arithmetic)
    if spent > budget:
        raise UserError(
            f"--cycles {budget} is less than the {spent} cycles per image that streams "
            f"of {arithmetic.length} take; give more, or a smaller --length."
        )
    steps = dict.fromkeys(noises, 0)
    while True:
        best, chosen = 0.0, None
        for name, noise in noises.items():
            step = steps[name] + 1
            if step >= len(noise):
                continue
            longer = stretched(network, name, STRETCHES[step])
            extra = network_cycles(longer, arithmetic) - spent
            worth = float(noise[step - 1] - noise[step]) / max(extra, 1e-9)
            if spent + extra <= budget and worth > best:
                best, chosen = worth, (name, longer, extra)
        if chosen is None:
            return network
        name, network, extra = chosen
        steps[name] += 1
        spent += extra
