"""The training loop of PruningNets and of plain networks: a checkpoint an epoch, resumable."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dscim.errors import UserError
from dscim.host.research.prune import together
from dscim.host.research.prune.augmentation import augment
from dscim.host.research.prune.images import Images, batches
from dscim.host.research.prune.schedule import Schedule
from dscim.host.research.training.checkpoint import restore, save

Loss = Callable[[Tensor, Tensor, np.random.Generator], Tensor]
"""Of uint8 images (B, H, W, C) and labels (B,); the generator is the step's own."""


@dataclass(frozen=True)
class Telling:
    """Where a training tells how it goes: say(line) an epoch, step(what, done, total) a batch.

    readers: processes that read its image files ahead.
    """

    say: Callable[[str], None] = print
    step: Callable[[str, int, int], None] = lambda *_: None
    readers: int = 0


SILENT = Telling(lambda _: None)


def fit(
    model: nn.Module,
    loss: Loss,
    images: Images,
    labels: Tensor,
    schedule: Schedule,
    checkpoint: Path,
    facts: dict[str, Any],
    telling: Telling = SILENT,
) -> dict[str, Any]:
    """Trains by `schedule`, or goes on from `checkpoint`; returns the last checkpoint.

    model: on `together.device()`. images: uint8 (N, H, W, C), labels: (N,). facts: JSON values of
    what is trained; a checkpoint of others, or of another schedule, is refused. The checkpoint
    has `model`, `facts`, `schedule` and `history`, one entry an epoch; the model ends in its last
    state, on the CPU. Processes that train together leave it to the first to write and to tell.
    """
    telling = SILENT if together.rank() else telling
    optimiser = torch.optim.SGD(
        model.parameters(),
        schedule.rate,
        schedule.momentum,
        weight_decay=schedule.decay,
        nesterov=True,
    )
    state = _begun(checkpoint, {"facts": facts, "schedule": asdict(schedule)})
    if state["epoch"]:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
    together.wait()  # nobody writes while others still read
    telling.say(f"seed {schedule.seed}, epoch {state['epoch']} done")
    for epoch in range(state["epoch"], schedule.epochs):
        began, cpu = time.monotonic(), time.process_time()
        mean = _epoch(model, optimiser, loss, (images, labels), schedule, epoch, telling)
        state["history"].append(
            {
                "loss": mean,
                "seconds": time.monotonic() - began,
                "cpu_seconds": time.process_time() - cpu,
            }
        )
        if not together.rank():
            save(
                state
                | {
                    "epoch": epoch + 1,
                    "model": _on_cpu(model.state_dict()),
                    "optimiser": optimiser.state_dict(),
                },
                checkpoint,
            )
        seconds = state["history"][-1]["seconds"]
        telling.say(
            f"epoch {epoch + 1}/{schedule.epochs}: loss {mean:.4f}, "
            f"{_steps(schedule, images) * schedule.batch / seconds:.0f} images/s, "
            f"{seconds * (schedule.epochs - epoch - 1):.0f} s left"
        )
    together.wait()
    model.cpu().eval()
    return restore(checkpoint)


def _on_cpu(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in state.items()}


def _begun(checkpoint: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint to go on from, or a fresh state; UserError when it is of something else."""
    if not checkpoint.exists():
        return {"epoch": 0, "history": [], **wanted}
    state = restore(checkpoint)
    for name, value in wanted.items():
        if state.get(name) != value:
            raise UserError(
                f"'{checkpoint}' has another {name}, {state.get(name)}, not {value}: "
                "remove it or give another name."
            )
    return state


def _steps(schedule: Schedule, images: Images) -> int:
    """Steps an epoch."""
    return max(1, min(schedule.images or len(images), len(images)) // schedule.batch)


def _epoch(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss: Loss,
    data: tuple[Images, Tensor],
    schedule: Schedule,
    epoch: int,
    telling: Telling,
) -> float:
    """One epoch; the mean loss. All chance comes from the seed, the epoch and the step."""
    images, labels = data
    steps = _steps(schedule, images)
    generator = torch.Generator().manual_seed(schedule.seed * 1_000_003 + epoch)
    order = torch.randperm(len(labels), generator=generator)
    mine = together.share(schedule.batch)
    chosen = [batch[mine] for batch in order[: steps * schedule.batch].split(schedule.batch)]
    if together.rank():  # every process augments in its own way
        generator.manual_seed((schedule.seed * 1_000_003 + epoch) * 1_009 + together.rank())
    model.train()
    total = 0.0
    for step, batch in enumerate(batches(images, chosen, telling.readers)):
        rate = schedule.rate_at((epoch * steps + step) / (schedule.epochs * steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        shown = augment(batch, schedule, generator).to(together.device())
        value = loss(
            shown,
            labels[chosen[step]].to(together.device()),
            np.random.default_rng((schedule.seed, epoch, step)),
        )
        value.backward()
        optimiser.step()
        total += value.item()
        telling.step(f"epoch {epoch + 1}/{schedule.epochs}", step + 1, steps)
    model.eval()
    return together.average(total / steps)
