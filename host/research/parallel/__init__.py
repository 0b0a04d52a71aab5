"""Tasks by processes of this machine, or by a cluster's workers; one that dies costs its task."""

from dscim.host.research.parallel.cluster import Cluster
from dscim.host.research.parallel.processes import Evaluator, Make, Workers

__all__ = ["Cluster", "Evaluator", "Make", "Workers"]
