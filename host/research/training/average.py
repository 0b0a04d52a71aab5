"""The moving average of a model over its training steps, which is what is kept."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The exponential moving average of a model's state; with decay 0 the model itself.

    state: by name, as the model's state_dict; what is no floating-point number is the latest.
    steps: taken in so far. The first ones count in full (the decay rises with the steps), so that
    what the model began with is soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """decay: 0 up to 1, the share of the past in each step."""
        self._model, self._decay, self.steps = model, decay, 0
        self.state = {name: value.clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the model as it is after a step."""
        self.steps += 1
        decay = min(self._decay, self.steps / (self.steps + 9))
        for name, value in self._model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[dict[str, Tensor]]:
        """The model is the average within; yields a copy of its state."""
        latest = {name: value.clone() for name, value in self._model.state_dict().items()}
        self._model.load_state_dict(self.state)
        try:
            yield {name: value.clone() for name, value in self.state.items()}
        finally:
            self._model.load_state_dict(latest)
