"""How fast a link is, every word verified: our own, and LiteX's beside it."""

from dscim.host.bench.bench import Bench
from dscim.host.bench.rates import Latency, Rate, Step

__all__ = ["Bench", "Latency", "Rate", "Step"]
