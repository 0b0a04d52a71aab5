"""What an experiment's networks reach on the test set, as JSON.

{"command", "data", "images" (test images), "shipped" (of which the first so many ship),
"versions", "results": [...]}. A result: "network" and "sha256" of the file, "tuned" (was it
fine-tuned for this arithmetic), "arithmetic" (the fields of ProductSpec), "images", "accuracy"
(0 to 1) on them, "shipped_wrong", the indices of the shipped images it gets wrong, "seconds".
A result that is there already, of the same file, arithmetic and images, is kept, not computed
again, so the command goes on where it was stopped.
"""

import json
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from dscim.errors import UserError
from dscim.files import save_json
from dscim.gateware.specs import VARIANTS, ProductSpec
from dscim.host.network import Evaluator, Network, file_hash, load, predictions
from dscim.host.network.datasets import Dataset
from dscim.host.network.datasets.pixels import Input
from dscim.host.network.shipped import COUNT

BASE = "int8"
"""Ends the name of the network that is quantised only; each other one is tuned for its own."""

FILES = {"fashion-resnet8": "evaluation.json"}
"""Where an experiment's results are written, if not to its name with .json."""

LENGTHS = (64, 128, 256)


def evaluate(experiment: str, data: Dataset, folder: Path, limit: int) -> list[dict[str, Any]]:
    """Evaluate every pair of `pairs` on the first `limit` test images; write them as JSON."""
    path = folder / FILES.get(experiment, f"{experiment}.json")
    console = Console(highlight=False, width=100)
    known = json.loads(path.read_text())["results"] if path.exists() else []
    count = min(limit, len(data.test_labels))
    wanted = list(pairs(experiment, folder))
    results = [_known(known, file, network, spec, count) for file, network, spec in wanted]
    for index, (file, network, spec) in enumerate(wanted):
        entry = results[index]
        if "accuracy" not in entry:
            entry |= _measure(data, network, spec, count, console)
            _write(path, [result for result in results if "accuracy" in result], data)
        console.print(
            f"[{index + 1}/{len(results)}] {file.name}: {_name(spec)}: "
            f"{100 * entry['accuracy']:.2f} %, {entry['seconds']:.0f} s",
            soft_wrap=True,
            markup=False,
        )
    _write(path, results, data)
    return results


def pairs(experiment: str, folder: Path) -> Iterator[tuple[Path, Network, ProductSpec]]:
    """What is evaluated: each tuned network by its own arithmetic, the base network by all."""
    tuned = {file: load(file) for file in sorted(folder.glob(f"{experiment}*.npz"))}
    file = folder / f"{experiment}-{BASE}.npz"
    if file not in tuned:
        raise UserError(f"there is no {file}: export it first, with --variant exact.")
    base = tuned.pop(file)
    yield file, base, ProductSpec(exact=True)
    for other, network in tuned.items():
        yield other, network, network.arithmetic
    for width in VARIANTS.values():
        for length in LENGTHS:
            yield file, base, ProductSpec(width, length)


def _known(
    known: list[dict[str, Any]], file: Path, network: Network, spec: ProductSpec, count: int
) -> dict[str, Any]:
    """The result of an earlier run on the same bits, else what is known before measuring."""
    key = {
        "network": file.name,
        "sha256": file_hash(file),
        "arithmetic": spec.to_json(),
        "tuned": network.provenance.get("finetune") is not None,
        "images": count,
    }
    for entry in known:
        if all(entry.get(name) == value for name, value in key.items()):
            return entry
    return key


def _measure(
    data: Dataset, network: Network, spec: ProductSpec, count: int, console: Console
) -> dict[str, Any]:
    """Accuracy and time of one network by one arithmetic."""
    images, labels = Input.of(network).integers(data.test_images[:count]), data.test_labels[:count]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("images, {task.speed:.0f}/s"),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(_name(spec), total=len(images))
        outputs = Evaluator(network, spec).outputs(
            images, lambda done, total: bar.update(task, completed=done, total=total)
        )
    right = predictions(outputs) == labels
    wrong = np.flatnonzero(~right[:COUNT]).tolist()
    return {
        "accuracy": float(np.mean(right)),
        "shipped_wrong": wrong,
        "seconds": round(time.monotonic() - started, 1),
    }


def _write(path: Path, results: list[dict[str, Any]], data: Dataset) -> None:
    """Write the results."""
    report = {
        "command": "python -m dscim.host.research.training evaluate",
        "data": f"{data.name} test set",
        "images": len(data.test_labels),
        "shipped": COUNT,
        "versions": {
            "dscim": version("dscim"),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "results": results,
    }
    save_json(path, report, indent=1)


def _name(spec: ProductSpec) -> str:
    """An arithmetic in two words."""
    variant = next(name for name, width in VARIANTS.items() if width == spec.or_width)
    return "exact" if spec.exact else f"{variant}, L = {spec.length}"
