"""A stream length for each layer under a budget of cycles: longer where it matters most."""

import dataclasses

import numpy as np
import numpy.typing as npt

from dscim.errors import UserError
from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.gateware.specs.macro import default_macro
from dscim.host.compile.cycles import best_packing
from dscim.host.compile.packing import packed_layer
from dscim.host.network import Network
from dscim.host.network.weighted import STRETCHES


def cycles(layer: LayerSpec) -> int:
    """Cycles of the macro's products for one image of a layer, by the default macro.

    Every pixel takes a product of each row tile and column tile; a product of n samples a row
    takes as long as one of fewer, as long as the macro's lanes hold them.
    """
    macro = default_macro(layer.product.or_width, layer.product.sequence)
    height, width, outputs = layer.output
    tiles, columns = -(-layer.depth // macro.rows), outputs
    if layer.depthwise:
        together = min(layer.input[2], max(1, macro.rows // layer.depth))
        tiles, columns = (
            tiles * -(-layer.input[2] // together),
            together * (outputs // layer.input[2]),
        )
    return height * width * tiles * -(-columns // macro.columns) * macro.cycles(layer.product)


def network_cycles(network: Network, arithmetic: ProductSpec) -> int:
    """`cycles` of all layers for one image, with as many pixels a window as the engine takes."""
    return sum(cycles(_taken(layer)) for _, layer in network.layers(arithmetic))


def _taken(layer: LayerSpec) -> LayerSpec:
    """The layer as a device with the default macro computes it."""
    product = layer.product
    device = SocSpec(macro=default_macro(product.or_width, product.sequence))
    return packed_layer(layer, best_packing(device, layer))


def stretched(network: Network, name: str, stretch: int) -> Network:
    """The network with the stream of one layer so many times as long as the network's."""
    return network.with_weighted(
        lambda node: dataclasses.replace(node, stretch=stretch) if node.name == name else node
    )


def lengthened(
    network: Network,
    arithmetic: ProductSpec,
    budget: int,
    noises: dict[str, npt.NDArray[np.float64]],
) -> Network:
    """The network with streams as long as `budget` cycles an image allow.

    noises: of each layer, its error's share of its power at each doubling of the length, from the
    network's own length on. The doubling that takes away most noise a cycle comes first.
    UserError when not even the network's own length fits.
    """
    network = network.with_weighted(lambda node: dataclasses.replace(node, stretch=1))
    spent = network_cycles(network, arithmetic)
    if spent > budget:
        raise UserError(
            f"--cycles {budget} is less than the {spent} cycles an image that streams "
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
