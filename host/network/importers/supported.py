"""How an operator that can be imported is declared, whatever its format."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dscim.host.network import Node


@dataclass(frozen=True)
class Supported:
    """An operator that can be imported; the table of operators in the README is made of these.

    title: what it does, the same in all formats. handle: imports one. kinds: the nodes that compute
    it, of which it may need none. limits: what is refused. unsigned: whether tensors of uint8 are
    imported, too, where that is not the same.
    """

    title: str
    handle: Callable[[Any, Any], Any]
    kinds: tuple[type[Node], ...] = ()
    limits: str = ""
    unsigned: bool = True
