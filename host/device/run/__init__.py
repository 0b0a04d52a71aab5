"""Runs a network on devices, layer by layer, and compares each layer with the numpy reference."""

from dscim.host.device.run.difference import Difference
from dscim.host.device.run.network import NetworkRun, Pool
from dscim.host.device.run.result import LayerResult

__all__ = ["Difference", "LayerResult", "NetworkRun", "Pool"]
