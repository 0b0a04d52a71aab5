"""Runs a file's own runtime in a child process, so that whatever it does, this program goes on.

A runtime may raise, abort the process, or never end. Each becomes one sentence that says whose
fault it is.
"""

import importlib.util
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from dscim.arrays import Int8
from dscim.errors import UserError
from dscim.host.network.archive import unzip_arrays, zip_arrays
from dscim.host.network.importers.draft import Imported

SECONDS = 60.0
"""How long a runtime may take for each answer, by default."""

PROGRAM = "dscim.host.network.importers.runtimes"

TITLES = {"litert": "LiteRT", "litert_optimised": "LiteRT", "onnxruntime": "onnxruntime"}
"""The runtimes' names in sentences."""

PACKAGES = {
    "litert": ("ai_edge_litert",),
    "litert_optimised": ("ai_edge_litert",),
    "onnxruntime": ("onnx", "onnxruntime"),
}
"""The Python packages that each runtime needs."""

WARNING = re.compile(r"^\S*WARNING|^W\d{4} |\[W:|Warning:")
UNIMPORTANT = re.compile(r"absl::InitializeLog|XNNPACK")


def answers(
    data: bytes, imported: Imported, images: Int8, seconds: float, warn: Callable[[str], None]
) -> Iterator[dict[str, Int8]]:
    """The runtime's tensors for each batch of images: (N, H, W, C) int8, by name of node.

    data: the bytes of the file. images: (N, H, W, C) int8. seconds: the limit for each answer.
    warn: called with a sentence if the runtime warned. UserError if the runtime is not installed,
    raises, aborts, or takes too long.
    """
    runtime = imported.runtime
    for package in PACKAGES[runtime]:
        if importlib.util.find_spec(package) is None:
            raise _missing(package)
    with tempfile.TemporaryDirectory(prefix="dscim-compare-") as folder:
        path = Path(folder) / "job.npz"
        header = np.frombuffer(json.dumps(job(imported)).encode(), np.uint8)
        file = np.frombuffer(data, np.uint8)
        path.write_bytes(
            zip_arrays({"job": header, "file": file, "images": images}, compressed=False)
        )
        with (Path(folder) / "errors").open("w+b") as errors:
            command = [sys.executable, "-W", "ignore", "-m", PROGRAM, str(path)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:
                try:
                    yield from _frames(process, TITLES[runtime], seconds, errors)
                finally:
                    process.kill()
            _pass_warnings(TITLES[runtime], _lines(errors), warn)


def job(imported: Imported) -> dict[str, Any]:
    """What the child needs besides the file and the images, as a JSON object."""
    network = imported.network
    shapes = network.shapes()
    return {
        "runtime": imported.runtime,
        "scale": network.scale,
        "zero": network.zero,
        "batch": imported.batch,
        "input": asdict(imported.entry),
        "wanted": {
            name: {**asdict(origin), "shape": shapes[name]}
            for name, origin in imported.sources.items()
        },
    }


def _frames(
    process: "subprocess.Popen[bytes]", title: str, seconds: float, errors: IO[bytes]
) -> Iterator[dict[str, Int8]]:
    """The batches that the child sends; UserError for an error, an abort or a long silence."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    while head := _read(pipe, 9, seconds, title):
        size = int.from_bytes(head[1:], "little")
        content = _read(pipe, size, seconds, title) if len(head) == 9 else b""
        if len(content) != size:
            break
        if head[:1] == b"E":
            text = content.decode(errors="replace")
            if text.startswith("missing:"):
                raise _missing(text.removeprefix("missing:"))
            raise UserError(f"{title} cannot run the file, and says: {_short(text)}.")
        yield unzip_arrays(content)
    status = process.wait(seconds)
    if status:
        how = (
            f"was ended by {signal.Signals(-status).name}"
            if status < 0
            else f"ended with the status {status}"
        )
        said = _lines(errors)
        last = f", and said: {_short(said[-1])}" if said else " without a word"
        raise UserError(
            f"{title} {how} while it ran the file{last}; this is a fault of {title}, not of the "
            "network, which was not compared."
        )


def _read(pipe: int, count: int, seconds: float, title: str) -> bytes:
    """`count` bytes, fewer at the end; UserError after `seconds` without all of them."""
    made, deadline = b"", time.monotonic() + seconds
    while len(made) < count:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise UserError(
                f"{title} gave no answer for {seconds:g} seconds and was stopped; give it longer "
                "with --time-limit, or compare fewer images with --limit."
            )
        part = os.read(pipe, min(count - len(made), 1 << 20))
        if not part:
            break
        made += part
    return made


def _pass_warnings(title: str, lines: list[str], warn: Callable[[str], None]) -> None:
    """Calls `warn` with one sentence on all warnings among the lines."""
    found = [line for line in lines if WARNING.search(line) and not UNIMPORTANT.search(line)]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        warn(f"{title} warns: {_short(found[0])}{more}.")


def _lines(errors: IO[bytes]) -> list[str]:
    """What the child has printed, line by line, without empty lines."""
    errors.seek(0)
    text = errors.read(1 << 20).decode(errors="replace")
    return [line for line in map(str.strip, text.splitlines()) if line]


def _short(text: str) -> str:
    """Printable text on one line without a period at its end."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return (line or "nothing")[:300].rstrip(".")


def _missing(package: str) -> UserError:
    return UserError(
        f"comparing needs the Python package {package!r}; install it with "
        "`pip install 'dscim[compare]'`."
    )
