"""The speed of a link, with every word verified, and of LiteX's clients for comparison."""

from dscim.host.device.bench.bench import Bench
from dscim.host.device.bench.rates import Latency, Rate

__all__ = ["Bench", "Latency", "Rate"]
