"""Runs a block's matrices on a device, tile by tile, and compares them with the reference."""

import dataclasses

import numpy as np

from dscim.arrays import Int64
from dscim.gateware.specs import ProductSpec
from dscim.host.device import Device
from dscim.host.golden.reference import product
from dscim.host.research.language.aligned import Tiles, rotated
from dscim.host.research.language.llama import MATRICES, Llama


@dataclasses.dataclass
class BlockRun:
    """The numbers of compared sums, of sums that differ, of busy cycles and of products."""

    sums: int = 0
    differing: int = 0
    cycles: int = 0
    products: int = 0


def run_block(
    device: Device,
    model: Llama,
    tokens: Int64,
    spec: ProductSpec,
    block: int = 0,
    matrices: tuple[str, ...] = MATRICES,
    turned: bool = False,
) -> BlockRun:
    """Multiplies each tile of a block's matrices on the device and with the reference.

    tokens: (T,); their activations in the float model are the inputs. turned: operands are
    `rotated`.
    """
    inputs = model.entering(tokens, block)
    found = BlockRun()
    for name in matrices:
        x, weights = inputs[name], model.matrix(block, name)
        if turned:
            x, weights = rotated(x), rotated(weights)
        for (a, _), (w, _) in zip(Tiles(x), Tiles(weights), strict=True):
            columns = np.ascontiguousarray(w.T)
            run = device.multiply(a, columns, spec)
            found.sums += run.values.size
            found.differing += int((run.values != product(a, columns, spec)).sum())
            found.cycles += run.counters.cycles_busy
            found.products += run.counters.products
    return found
