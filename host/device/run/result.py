"""The result of a run for one node of the network."""

import dataclasses
from typing import Any

from dscim.host.device.controller import Counters
from dscim.host.device.run.difference import Difference
from dscim.host.network import Node
from dscim.host.network.node import Shape


@dataclasses.dataclass
class LayerResult:
    """One node over the images so far.

    on_device: whether the device computed it, not the host. strips: number of row strips.
    product: for an add computed together with a product, the product's name; its cycles include
    the add. images: number of images done. compared: outputs compared with the reference on the
    same input. differing: how many of them differ. first: the first difference. seconds: from the
    end of the previous node to its own, summed over all images and devices.
    """

    node: Node
    input: Shape
    output: Shape
    on_device: bool
    strips: int
    product: str = ""
    counters: Counters = dataclasses.field(default_factory=Counters)
    images: int = 0
    compared: int = 0
    differing: int = 0
    first: Difference | None = None
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The name of the node."""
        return self.node.name

    @property
    def kernel(self) -> tuple[int, int] | None:
        """(height, width) of the window, None for a node without windows."""
        kernel: tuple[int, int] | None = getattr(self.node, "kernel", None)
        return kernel

    @property
    def stride(self) -> tuple[int, int]:
        """(vertical, horizontal)."""
        stride: tuple[int, int] = getattr(self.node, "stride", (1, 1))
        return stride

    @property
    def macro_use(self) -> float | None:
        """The share of busy cycles in which the macro computed, 0 to 1; None without cycles."""
        busy = self.counters.cycles_busy
        return self.counters.cycles_computing / busy if busy else None

    def to_json(self) -> dict[str, Any]:
        """The node as one object of the report's list `layers`."""
        return {
            "name": self.name,
            "kind": type(self.node).__name__,
            "input": self.input,
            "output": self.output,
            "kernel": self.kernel,
            "stride": self.stride,
            "on_device": self.on_device,
            "strips": self.strips,
            "product": self.product,
            "images": self.images,
            "outputs_compared": self.compared,
            "outputs_differing": self.differing,
            "agrees": not self.differing if self.compared else None,
            "macro_use": self.macro_use,
            "first_difference": self.first.to_json() if self.first else None,
            "seconds": self.seconds,
            **dataclasses.asdict(self.counters),
        }
