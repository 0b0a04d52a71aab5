"""The accuracy of an experiment's networks on the test set, as JSON.

{"command", "data", "images" (number of test images), "shipped" (how many of the first ones ship),
"versions", "results": [...]}. A result: "network" and "sha256" of the file, "tuned" (whether it was
fine-tuned for this arithmetic), "arithmetic" (the fields of ProductSpec), "images", "accuracy"
(0 to 1) on them, "shipped_wrong", the indices of the shipped images that it gets wrong, "seconds".
A result of the same file, arithmetic and images is not computed again, so a stopped command
resumes.
"""

import json
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dscim.errors import UserError
from dscim.files import save_json
from dscim.gateware.specs import VARIANTS, ProductSpec
from dscim.host.network import Evaluator, Network, file_hash, load, predictions
from dscim.host.network.datasets import Dataset
from dscim.host.network.datasets.pixels import Input
from dscim.host.network.shipped import COUNT
from dscim.progress import Progress, Say, silent

BASE = "int8"
"""The end of the name of the quantised network; the others are fine-tuned."""

FILES = {"fashion-resnet8": "evaluation.json"}
"""The file of an experiment's results, if it is not EXPERIMENT.json."""

LENGTHS = (64, 128, 256)


def evaluate(
    experiment: str,
    data: Dataset,
    folder: Path,
    limit: int,
    say: Say = silent,
    step: Progress = lambda *_: None,
) -> list[dict[str, Any]]:
    """Evaluates every pair of `pairs` on the first `limit` test images; writes them as JSON.

    Says a line for each, and reports the images of each to `step`.
    """
    path = folder / FILES.get(experiment, f"{experiment}.json")
    known = json.loads(path.read_text())["results"] if path.exists() else []
    count = min(limit, len(data.test_labels))
    chosen = list(pairs(experiment, folder))
    results = [_known(known, file, network, spec, count) for file, network, spec in chosen]
    for index, (file, network, spec) in enumerate(chosen):
        entry = results[index]
        if "accuracy" not in entry:
            entry |= _measure(data, network, spec, count, step)
            _write(path, [result for result in results if "accuracy" in result], data)
        say(
            f"[{index + 1}/{len(results)}] {file.name}: {_name(spec)}: "
            f"{100 * entry['accuracy']:.2f} %, {entry['seconds']:.0f} s"
        )
    _write(path, results, data)
    return results


def pairs(experiment: str, folder: Path) -> Iterator[tuple[Path, Network, ProductSpec]]:
    """What to evaluate: each tuned network in its own arithmetic, the base network in all.

    UserError without a base network.
    """
    tuned = {file: load(file) for file in sorted(folder.glob(f"{experiment}*.npz"))}
    file = folder / f"{experiment}-{BASE}.npz"
    if file not in tuned:
        raise UserError(
            f"there is no '{file}'; write it with `dscim dev train export --name {file.stem} "
            f"--folder {folder}`."
        )
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
    """The result of an earlier run on the same bits, else its keys without the measured values."""
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
    data: Dataset, network: Network, spec: ProductSpec, count: int, step: Progress
) -> dict[str, Any]:
    """The accuracy of one network in one arithmetic, and the time for measuring it."""
    images, labels = Input.of(network).integers(data.test_images[:count]), data.test_labels[:count]
    name, started = _name(spec), time.monotonic()
    outputs = Evaluator(network, spec).outputs(images, lambda done, total: step(name, done, total))
    right = predictions(outputs) == labels
    wrong = np.flatnonzero(~right[:COUNT]).tolist()
    return {
        "accuracy": float(np.mean(right)),
        "shipped_wrong": wrong,
        "seconds": round(time.monotonic() - started, 1),
    }


def _write(path: Path, results: list[dict[str, Any]], data: Dataset) -> None:
    """Replaces the file, whole or not at all."""
    report = {
        "command": "dscim dev train evaluate",
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
    """A short name of an arithmetic."""
    variant = next(name for name, width in VARIANTS.items() if width == spec.or_width)
    return "exact" if spec.exact else f"{variant}, L = {spec.length}"
