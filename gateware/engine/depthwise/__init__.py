"""The depthwise unit: products of channels with kernels of their own, two output rows at once.

A beat of the activation memory has a word of every bank: the planes of a pixel, or, if a pixel's
planes are a power of two and fewer than the banks, those of several pixels of a column. Each byte
is multiplied with a weight of its own for both of the output rows that share the window's rows.
"""

from dscim.gateware.engine.depthwise.unit import DepthwiseUnit

__all__ = ["DepthwiseUnit"]
