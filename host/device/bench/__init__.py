"""How fast a link is, every word verified: our own, and LiteX's beside it."""

from dscim.host.device.bench.bench import Bench
from dscim.host.device.bench.rates import Latency, Rate

__all__ = ["Bench", "Latency", "Rate"]
