"""A network's integers chosen so that DS-CIM comes close to the exact product; no labels needed.

Layer by layer: the scale of each tensor, the activation shift of each layer, the clipping and the
levels of each channel's weights, its gain and its bias. All of it ends in the integers that every
network has.
"""

from dscim.host.research.calibrate.calibration import LayerReport
from dscim.host.research.calibrate.network import calibrate

__all__ = ["LayerReport", "calibrate"]
