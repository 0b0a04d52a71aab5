"""Checkpoints: the state of a training after an epoch, in one file, never half written."""

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from dscim.errors import UserError
from dscim.files import save_bytes
from dscim.host.research.training.recipe import Recipe


def save(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, whole or not at all; UserError where it cannot be written."""
    data = io.BytesIO()  # torch reports a full disk as a RuntimeError without a reason
    torch.save(state, data)
    save_bytes(path, data.getvalue(), parents=True)


def restore(path: Path) -> dict[str, Any]:
    """Read a checkpoint; UserError when it is missing or is none."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"no checkpoint {path}: train it first") from error
    except Exception as error:
        raise UserError(f"{path} is not a checkpoint: remove it and train again") from error
    return state


def resume(path: Path, recipe: Recipe) -> dict[str, Any]:
    """The checkpoint to go on from, or a fresh state; UserError when the recipes differ."""
    if not path.exists():
        return {"epoch": 0, "history": []}
    state = restore(path)
    if state["recipe"] != asdict(recipe):
        raise UserError(f"{path} was trained by another recipe, {state['recipe']}: remove it")
    return state


def provenance(path: Path) -> dict[str, Any]:
    """What is told of a training: its recipe, the epochs of it that were run, its CPU time, and
    what it began with."""
    state = restore(path)
    spent = [entry.get("cpu_seconds") for entry in state["history"]]
    hours = round(sum(spent) / 3600, 3) if spent and None not in spent else None
    return {
        "recipe": state["recipe"],
        "epochs": state["epoch"],
        "cpu_hours": hours,
        "start": state.get("start"),
    }
