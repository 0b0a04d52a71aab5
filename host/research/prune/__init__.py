"""MetaPruning: the best pruned network for a budget of operations, parameters or real cycles.

After "MetaPruning: Meta Learning for Automatic Neural Network Channel Pruning", Liu et al.,
ICCV 2019, arXiv 1903.10258. README.md in this folder says what each module does. Nothing that is
imported here needs torch.
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
