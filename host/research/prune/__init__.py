"""MetaPruning: the best pruned network for a budget of operations, parameters or real cycles.

After "MetaPruning: Meta Learning for Automatic Neural Network Channel Pruning", Liu et al.,
ICCV 2019, arXiv 1903.10258. README.md beside this file says which module does what. What is
imported here needs no torch.
"""

from dscim.host.research.prune.operations import Operation, macs, operations, parameters
from dscim.host.research.prune.space import RATIOS, Space, Structure
from dscim.host.research.prune.spaces import SPACES, space

__all__ = [
    "RATIOS",
    "SPACES",
    "Operation",
    "Space",
    "Structure",
    "macs",
    "operations",
    "parameters",
    "space",
]
