"""Planning: turns a network into actions of a device, within its memories."""

from dscim.host.compile.planner import plan
from dscim.host.compile.program import (
    Action,
    Command,
    Compute,
    Load,
    Multiply,
    Program,
    Read,
    Run,
    Stage,
    Write,
)

__all__ = [
    "Action",
    "Command",
    "Compute",
    "Load",
    "Multiply",
    "Program",
    "Read",
    "Run",
    "Stage",
    "Write",
    "plan",
]
