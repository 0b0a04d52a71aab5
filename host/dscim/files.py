"""Files in and out: arrays checked on the way in, results written beside and renamed."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from dscim.errors import UserError


def load_int8(path: Path, what: str, axes: Sequence[str]) -> npt.NDArray[np.int8]:
    """The int8 array in the .npy file `path`, with one axis for each name in `axes`.

    UserError names the file and what is wrong: missing, no array, dtype, NaN, shape, empty.
    """
    array = load_array(path)
    wanted = f"{what} is ({', '.join(axes)}) int8"
    if array.dtype.kind == "f" and np.isnan(array).any():
        place = tuple(int(i) for i in np.argwhere(np.isnan(array))[0])
        raise UserError(f"'{path}' holds NaN, first at {list(place)}; {wanted}.")
    if array.dtype != np.int8:
        raise UserError(f"'{path}' holds {array.dtype}; {wanted}: quantise it first.")
    if array.ndim != len(axes) or array.size == 0:
        raise UserError(f"'{path}' has the shape {array.shape}; {wanted}, no axis empty.")
    return array


def load_labels(path: Path, count: int) -> npt.NDArray[np.int64]:
    """The first `count` class numbers of the integer array in `path`; UserError if it is short."""
    array = load_array(path)
    if array.dtype.kind not in "iu" or array.ndim != 1 or len(array) < count:
        raise UserError(
            f"'{path}' holds {array.dtype} of the shape {array.shape}; labels are "
            f"integers, one for each of the {count} inputs."
        )
    return array[:count].astype(np.int64)


def load_array(path: Path) -> npt.NDArray[Any]:
    """The array in the .npy file `path`; UserError when there is none."""
    try:
        loaded = np.load(path, allow_pickle=False)
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    except (ValueError, EOFError) as error:
        raise UserError(f"'{path}' is no .npy file that numpy can read: {error}.") from error
    if not isinstance(loaded, np.ndarray):
        raise UserError(f"'{path}' is an archive of several arrays; give one .npy file.")
    return loaded


def check_writable(path: Path | None) -> None:
    """Raises UserError where a result could not be written in the end; None is always fine."""
    if path is None:
        return
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UserError(f"'{path}' cannot be written: the folder '{folder}' does not exist.")
    if path.is_dir() or not os.access(folder, os.W_OK):
        reason = "it is a folder" if path.is_dir() else f"'{folder}' is not writable"
        raise UserError(f"'{path}' cannot be written: {reason}.")


def save_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Writes `array` as .npy under exactly this name, at once."""
    _write(path, lambda file: np.save(file, array, allow_pickle=False))


def save_json(path: Path | None, value: Any) -> None:
    """Writes `value` as indented JSON at once; does nothing without a path."""
    save_text(path, json.dumps(value, indent=2) + "\n")


def save_text(path: Path | None, text: str) -> None:
    """Writes `text` at once; does nothing without a path."""
    if path is not None:
        _write(path, lambda file: file.write(text.encode()))


def save_bytes(path: Path, data: bytes) -> None:
    """Writes `data` under exactly this name, at once."""
    _write(path, lambda file: file.write(data))


def _write(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    with _beside(path) as beside, beside.open("wb") as file:
        fill(file)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A path in the same folder that becomes `path` when the block ends well, else goes."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        os.replace(beside, path)
    except OSError as error:
        raise UserError(f"'{path}' cannot be written: {error.strerror}.") from error
    finally:
        beside.unlink(missing_ok=True)
