"""Checkpoints: the state of a training after an epoch, in one file that is never half written.

epoch:     finished epochs.
recipe:    the `Recipe` as JSON values.
history:   an entry for each epoch.
facts:     JSON values that identify what is trained.
start:     provenance of the training that this one started from.
model:     the model's latest state.
optimiser: the optimiser's state.
average:   moving average of the model's states, if the recipe has one.
best:      the model's state after the best epoch, if held-out images choose it.
"""

import io
from pathlib import Path
from typing import Any

import torch

from dscim.errors import UserError
from dscim.files import save_bytes


def save(state: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint, whole or not at all; UserError if it cannot be written."""
    data = io.BytesIO()  # torch reports a full disk as a RuntimeError without a reason
    torch.save(state, data)
    save_bytes(path, data.getvalue(), parents=True)


def restore(path: Path) -> dict[str, Any]:
    """Reads a checkpoint; UserError when it is missing or is not a checkpoint."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"there is no checkpoint '{path}'; train it first.") from error
    except Exception as error:
        raise UserError(f"'{path}' is not a checkpoint; remove it and train again.") from error
    return state


def resume(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint to resume from, or a new state if there is no file.

    identity: entries that the checkpoint must have; UserError names the first that differs.
    """
    if not path.exists():
        return {"epoch": 0, "history": [], **identity}
    state = restore(path)
    for name, value in identity.items():
        if state.get(name) != value:
            raise UserError(
                f"'{path}' was trained with another {name}, {state.get(name)}, not {value}: "
                "remove it or choose another name."
            )
    return state


def kept(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The state of the model that a training returns: that of the best epoch, or of the last."""
    chosen: dict[str, torch.Tensor] = state.get("best", state["model"])
    return chosen


def provenance(path: Path) -> dict[str, Any]:
    """How a network was trained: recipe, epochs run, CPU hours, and what it started from."""
    state = restore(path)
    spent = [entry.get("cpu_seconds") for entry in state["history"]]
    hours = round(sum(spent) / 3600, 3) if spent and None not in spent else None
    return {
        "recipe": state["recipe"],
        "epochs": state["epoch"],
        "cpu_hours": hours,
        "start": state.get("start"),
    }
