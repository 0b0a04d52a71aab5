"""Calibration: chooses a network's integers so that DS-CIM comes close to the exact product.

It needs no labels. It chooses, layer by layer, the scale of each tensor, the activation shift of
each layer, and the clipping, weight levels, gain and bias of each channel. The result is an
ordinary network: all choices are expressed in its integers.
"""

from dscim.host.research.calibrate.calibration import LayerReport
from dscim.host.research.calibrate.network import calibrate

__all__ = ["LayerReport", "calibrate"]
