"""A network on devices, layer by layer, each layer held against the numpy reference."""

from dscim.host.run.difference import Difference
from dscim.host.run.network import NetworkRun
from dscim.host.run.pool import Pool
from dscim.host.run.result import LayerResult

__all__ = ["Difference", "LayerResult", "NetworkRun", "Pool"]
