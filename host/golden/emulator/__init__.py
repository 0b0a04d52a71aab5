"""Computes layers in DS-CIM arithmetic, bit for bit, at the speed of matrix products."""

from dscim.host.golden.emulator.compile import kernel, why_no_kernel
from dscim.host.golden.emulator.layer import EmulatedLayer, PreparedNode, estimate, prepare
from dscim.host.golden.emulator.matrix import product
from dscim.host.golden.emulator.parallel import over_images
from dscim.host.golden.emulator.tables import PointwiseTable

__all__ = [
    "EmulatedLayer",
    "PointwiseTable",
    "PreparedNode",
    "estimate",
    "kernel",
    "over_images",
    "prepare",
    "product",
    "why_no_kernel",
]
