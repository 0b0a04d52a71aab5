"""Tasks run by processes of this machine or by a cluster's workers; a dead worker is survived."""

from dscim.host.research.parallel.cluster import Cluster
from dscim.host.research.parallel.processes import Evaluator, Make, Workers

__all__ = ["Cluster", "Evaluator", "Make", "Workers"]
