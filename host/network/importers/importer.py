"""Chooses the importer for a file, and reports the errors of all importers."""

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dscim.errors import UserError
from dscim.gateware.specs import SpecError
from dscim.host.network.importers.draft import Imported

MAX_BYTES = 1 << 29
"""The limit on the bytes of a file: a network of 512 MB is too large for a device."""

DAMAGE = (
    struct.error,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    RecursionError,
)
"""Errors of the libraries for damaged files of their format."""


def import_file(path: Path, name: str | None = None) -> Imported:
    """The network in a .tflite (INT8) or .onnx (QDQ) file, with exact arithmetic.

    name: the network's name; by default the file's, without its suffix. UserError describes the
    fault of the file, or the unsupported operator or type with its place and a hint.
    """
    data = read_file(path)
    try:
        with np.errstate(all="ignore"):  # NaN and infinity are checked, and rejected
            return _importer(path, data)(
                data,
                name or path.stem,
                {"file": path.name, "sha256": hashlib.sha256(data).hexdigest()},
            )
    except UserError as error:
        raise UserError(f"'{path}' cannot be imported: {_printable(str(error))}") from error
    except (SpecError, *DAMAGE) as error:
        kind = "" if isinstance(error, SpecError) else f"damaged ({type(error).__name__}): "
        reason = _printable(str(error))[:200] or "no details"
        raise UserError(f"'{path}' cannot be imported: {kind}{reason.rstrip('.')}.") from error


def _printable(text: str) -> str:
    """One printable line: names in a file may have any characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:1200]


def format_of(path: Path, data: bytes) -> str:
    """ "tflite" or "onnx", by the file's first bytes or its suffix; UserError for any other."""
    suffix = path.suffix.lower()
    if data[4:8] == b"TFL3" or suffix == ".tflite":
        return "tflite"
    if suffix == ".onnx":
        return "onnx"
    raise UserError("its format is unknown; give a .tflite (INT8) or .onnx (QDQ) file.")


def _importer(path: Path, data: bytes) -> Callable[[bytes, str, dict[str, Any]], Imported]:
    """The importer for the file's format."""
    try:
        if format_of(path, data) == "tflite":
            from dscim.host.network.importers import tflite_int8  # noqa: PLC0415

            return tflite_int8.import_bytes
        from dscim.host.network.importers import onnx_qdq  # noqa: PLC0415

        return onnx_qdq.import_bytes
    except ImportError as error:
        raise UserError(
            f"its format needs the Python package {error.name!r}; install it with "
            "`pip install 'dscim[import]'`."
        ) from error


def read_file(path: Path) -> bytes:
    """The bytes of a file; UserError if it is too large or cannot be read."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(f"'{path}' has {size} bytes, more than the limit of {MAX_BYTES}.")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror}.") from error
