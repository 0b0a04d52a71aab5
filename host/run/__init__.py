"""A network on a device, layer by layer, each layer held against the numpy reference."""

from dscim.host.run.difference import Difference
from dscim.host.run.network import LayerResult, NetworkRun
from dscim.host.run.pool import Pool, RunsLayers

__all__ = ["Difference", "LayerResult", "NetworkRun", "Pool", "RunsLayers"]
