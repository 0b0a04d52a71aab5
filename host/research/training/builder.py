"""Turns the operations of a traced PyTorch module into steps."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import fx

from dscim.errors import UserError
from dscim.host.network import INPUT
from dscim.host.research.training.step import NO_BOUNDS, Step


class Builder:
    """Turns every operation of a traced graph into a step, or folds it into an earlier one."""

    def __init__(self, module: fx.GraphModule, handlers: Mapping[Any, "Handler"]) -> None:
        """handlers: by a module's class, a function, or a method's name."""
        self.steps: list[Step] = []
        self._made: dict[fx.Node, str] = {}
        self._handlers = handlers
        self._modules = dict(module.named_modules())
        for node in module.graph.nodes:
            self._visit(node)

    def _visit(self, node: fx.Node) -> None:
        """Handles one operation of the graph."""
        if node.op == "placeholder":
            self._made[node] = INPUT
        elif node.op == "output":
            if len(self._made) < 2 or self._made.get(node.args[0]) != self.steps[-1].name:
                raise UserError("the module must return one tensor, that of its last operation.")
        else:
            kind = self._kind(node)
            if kind not in self._handlers:
                raise unsupported(
                    node,
                    f"the operation {_title(kind)} has no integer form; supported are "
                    "convolutions, linear layers, batch norm, ReLU, ReLU6, sums, pools, "
                    "flatten and dropout",
                )
            self._handlers[kind](self, node)

    def _kind(self, node: fx.Node) -> Any:
        """The key of an operation's handler: a module's class, a function, or a method's name."""
        return type(self.module(node)) if node.op == "call_module" else node.target

    def module(self, node: fx.Node) -> Any:
        """The module that an operation calls."""
        return self._modules[str(node.target)]

    def source(self, node: fx.Node, index: int = 0) -> str:
        """The name of the step that computes an operation's input."""
        name = self._made.get(node.args[index])  # type: ignore[arg-type]
        if name is None:
            raise unsupported(node, "its input is not a tensor of the network")
        return name

    def name(self, node: fx.Node) -> str:
        """A name for an operation that is not a module: the enclosing module and the operation."""
        around = list(node.meta.get("nn_module_stack", {}).values())
        path = f"{around[-1][0]}." if around and around[-1][0] else ""
        short = path + re.sub(r"_\d+$", "", node.name)
        return path + node.name if short in self._made.values() else short

    def add(self, node: fx.Node, step: Step) -> None:
        """Adds the operation's own step."""
        self._made[node] = step.name
        self.steps.append(step)

    def pass_on(self, node: fx.Node) -> None:
        """The operation's output is its input."""
        self._made[node] = self.source(node)

    def passes_on(self, node: Any) -> bool:
        """True if an operation passes its input on."""
        made = self._made.get(node)
        return made != INPUT and self._made.get(node.args[0]) == made

    def producer(self, node: fx.Node, kinds: type[Step] | tuple[type[Step], ...]) -> Any:
        """The step of `kinds` that this operation folds into, of which it is the only reader."""
        step = next((s for s in self.steps if s.name == self.source(node)), None)
        alone = len(node.args[0].users) == 1  # type: ignore[union-attr]
        if not isinstance(step, kinds) or not alone or step.bounds != NO_BOUNDS:
            raise unsupported(
                node,
                "it can only be folded into a convolution or a sum directly before it "
                "whose output has no other reader",
            )
        return step


Handler = Callable[[Builder, fx.Node], None]
"""Handles one operation: adds a step, folds it into an earlier one, or passes it on."""


def shape_of(node: Any) -> tuple[int, ...]:
    """The shape of an operation's result; () if it is not a tensor."""
    facts = node.meta.get("tensor_meta") if isinstance(node, fx.Node) else None
    return tuple(facts.shape) if facts is not None else ()


def _title(kind: Any) -> str:
    """An operation's name for an error."""
    return getattr(kind, "__name__", str(kind))


def unsupported(node: fx.Node, reason: str) -> UserError:
    """The error for an operation of the module that cannot become a step; reason: why not."""
    return UserError(f"{str(node.target if node.op == 'call_module' else node.name)!r}: {reason}.")
