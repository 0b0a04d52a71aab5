"""A network on devices, layer by layer, each layer compared with the numpy reference."""

from dscim.host.device.run.difference import Difference
from dscim.host.device.run.network import NetworkRun, Pool
from dscim.host.device.run.result import LayerResult

__all__ = ["Difference", "LayerResult", "NetworkRun", "Pool"]
