"""Reads checked arrays, and writes files completely or not at all.

Every file that a user keeps is written through `replacing`: to a temporary folder next to it, then
renamed.
"""

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dscim.arrays import Array, Int8, Int64
from dscim.errors import UserError

NPY = b"\x93NUMPY"
"""The first bytes of a .npy file."""


def load_int8(path: Path, what: str, axes: Sequence[str]) -> Int8:
    """The int8 array in the .npy file `path`, with one axis per name in `axes`.

    what: the name of the array, for the errors. UserError names the file and its fault: missing,
    not an array, dtype, NaN, shape, empty.
    """
    array = load_array(path)
    expected = f"{what} is ({', '.join(axes)}) int8"
    if array.dtype.kind == "f" and np.isnan(array).any():
        place = tuple(int(i) for i in np.argwhere(np.isnan(array))[0])
        raise UserError(f"'{path}' holds NaN, first at {list(place)}; {expected}.")
    if array.dtype != np.int8:
        raise UserError(f"'{path}' holds {array.dtype}; {expected}: quantise it first.")
    if array.ndim != len(axes) or array.size == 0:
        raise UserError(f"'{path}' has the shape {array.shape}; {expected}, without an empty axis.")
    return array


def load_labels(path: Path, count: int) -> Int64:
    """The first `count` class numbers, (count,), of the integer array in `path`.

    UserError if it is too short, or not one axis of integers.
    """
    array = load_array(path)
    if array.dtype.kind not in "iu" or array.ndim != 1 or len(array) < count:
        raise UserError(
            f"'{path}' holds {array.dtype} of the shape {array.shape}; labels are "
            f"integers, one for each of the {count} inputs."
        )
    return array[:count].astype(np.int64)


def load_array(path: Path) -> Array:
    """The array in the .npy file `path`; UserError if it cannot be read."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        with path.open("rb") as file:
            magic = file.read(len(NPY))
        reason = "it is cut short, damaged, or holds objects"
        if magic != NPY:
            reason = "it begins with other bytes"
        raise UserError(
            f"'{path}' is not a .npy file of numbers: {reason}; write it with numpy.save."
        ) from error
    if not isinstance(loaded, np.ndarray):
        raise UserError(f"'{path}' is an archive of several arrays; give one .npy file.")
    return loaded


def check_writable(path: Path | None) -> None:
    """Raises UserError if a result could not be written to `path`; None is always fine."""
    if path is None:
        return
    folder = path.resolve().parent
    if path.is_dir():
        raise UserError(f"'{path}' cannot be written: it is a folder.")
    if not folder.is_dir():
        raise UserError(f"'{path}' cannot be written: the folder '{folder}' does not exist.")
    place = path if _is_device(path) else folder
    if not os.access(place, os.W_OK):
        raise UserError(f"'{path}' cannot be written: '{place}' is not writable.")


def save_array(path: Path, array: Array) -> None:
    """Writes `array` as .npy under exactly this name."""
    with replacing(path) as new, new.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def save_json(path: Path | None, value: Any, indent: int = 2) -> None:
    """Writes `value` as indented JSON; does nothing without a path."""
    save_text(path, json.dumps(value, indent=indent) + "\n")


def save_text(path: Path | None, text: str) -> None:
    """Writes `text`; does nothing without a path."""
    if path is not None:
        save_bytes(path, text.encode())


def save_bytes(path: Path, data: bytes, *, parents: bool = False) -> None:
    """Writes `data` under exactly this name. parents: creates missing folders first."""
    with replacing(path, parents=parents) as new:
        new.write_bytes(data)


@contextmanager
def replacing(path: Path, *, parents: bool = False) -> Iterator[Path]:
    """A path to write to. It replaces `path` when the block succeeds and is removed otherwise.

    It has the name of `path`, in a temporary folder next to it, so libraries that choose a format
    by the suffix, or store the name, do the same as with `path` itself. Links are followed, and the
    mode of an existing file is kept. A device or a pipe is written directly.
    parents: creates missing folders first.
    UserError with the path and the reason if the block or the replacement raises an OSError.
    """
    target = path.resolve()
    try:
        if _is_device(path):
            yield path
            return
        if parents:
            target.parent.mkdir(parents=True, exist_ok=True)
        with beside(target) as new:
            yield new
            if target.exists():
                shutil.copymode(target, new)
            os.replace(new, target)
    except OSError as error:
        raise UserError(f"'{path}' cannot be written: {error.strerror or error}.") from error


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A path of the same name in a new folder next to `path`, which is removed when the block ends.

    OSError if the folder cannot be created.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{path.name}.building-", dir=path.parent))
    try:
        yield folder / path.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_device(path: Path) -> bool:
    """True for a device or a pipe, which must not be replaced."""
    return path.exists() and not (path.is_file() or path.is_dir())
