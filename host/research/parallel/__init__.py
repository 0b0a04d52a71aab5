"""Runs tasks in processes of this machine or on a cluster; dead workers are tolerated."""

from dscim.host.research.parallel.cluster import Cluster
from dscim.host.research.parallel.processes import Evaluator, Make, Workers

__all__ = ["Cluster", "Evaluator", "Make", "Workers"]
