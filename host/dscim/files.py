"""Reads checked arrays, and writes files completely or not at all.

Every file that a user keeps is written through `replacing`: to a temporary folder next to it, then
renamed. What is not a regular file is never replaced: a pipe or a device is written to, and the
path `-` is standard output.
"""

import json
import os
import shutil
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from dscim.arrays import Array, Int8, Int64
from dscim.errors import UserError
from dscim.progress import Say, silent

STDOUT = Path("-")
"""The path that stands for standard output."""

STREAMS = ("/dev/", "/proc/")
"""Folders of names for open files, such as /dev/stdout: these are appended to, never replaced."""

NPY = b"\x93NUMPY"
"""The first bytes of a .npy file."""


def load_int8(path: Path, what: str, axes: Sequence[str], note: Say = silent) -> Int8:
    """The int8 array in the .npy file `path`, with one axis per name in `axes`.

    Integers of another dtype are converted if all values are within -128..127; `note` receives a
    line about it. what: the name of the array, for the errors. UserError names the file and its
    fault: missing, not an array, dtype, NaN, shape, empty, a value outside the range.
    """
    array = load_array(path)
    expected = f"{what} is ({', '.join(axes)}) int8"
    if array.dtype.kind == "f" and np.isnan(array).any():
        place = tuple(int(i) for i in np.argwhere(np.isnan(array))[0])
        raise UserError(f"'{path}' holds NaN, first at {list(place)}; {expected}.")
    if array.dtype.kind not in "iu":
        raise UserError(f"'{path}' holds {array.dtype}; {expected}: quantise it first.")
    if array.ndim != len(axes) or array.size == 0:
        raise UserError(f"'{path}' has the shape {array.shape}; {expected}, without an empty axis.")
    if array.dtype == np.int8:
        return array
    low, high = int(array.min()), int(array.max())
    if low < -128 or high > 127:
        raise UserError(
            f"'{path}' holds {array.dtype} from {low} to {high}; {expected}, from -128 to 127: "
            "quantise it first."
        )
    note(f"'{path}' holds {array.dtype} from {low} to {high}, taken as int8.")
    return array.astype(np.int8)


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
        raise UserError(f"'{path}' cannot be read: {reason_of(error)}.") from error
    except (ValueError, EOFError, MemoryError, OverflowError, zipfile.BadZipFile) as error:
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
    """Raises UserError if a result could not be written to `path`; None is always fine.

    A disk, a socket and a file without write permission are never written to, even by root.
    """
    if path is None or path == STDOUT:
        return
    mode = _mode(path)
    if mode is not None:
        reason = _never_written(mode)
        if reason:
            raise UserError(f"'{path}' cannot be written: it is {reason}; give another name.")
        if not (mode & 0o222 and os.access(path, os.W_OK)):
            raise UserError(
                f"'{path}' cannot be written: it is read-only; remove it or give another name."
            )
        if not stat.S_ISREG(mode) or _is_stream(path):
            return
    folder = path.resolve().parent
    if not folder.is_dir():
        raise UserError(f"'{path}' cannot be written: the folder '{folder}' does not exist.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"'{path}' cannot be written: '{folder}' is not writable.")


def check_outputs(outputs: Mapping[str, Path], inputs: Mapping[str, Path]) -> None:
    """Raises UserError if an output cannot be written, or would destroy another file of a command.

    outputs, inputs: paths by the name that the user knows, such as `--json`. Two outputs must
    differ, unless they are a character device such as /dev/null, and no output may be an input.
    """
    for place, (name, path) in enumerate(outputs.items()):
        check_writable(path)
        for other, theirs in list(outputs.items())[:place]:
            if _same(path, theirs) and not _is_character_device(path):
                raise UserError(f"{other} and {name} are both '{path}'; give two names.")
        for other, theirs in inputs.items():
            if path != STDOUT and _same(path, theirs) and not _is_character_device(path):
                raise UserError(
                    f"{name} '{path}' would replace the input {other}; give another name."
                )


def save_array(path: Path, array: Array) -> None:
    """Writes `array` as .npy under exactly this name."""
    with replacing(path) as new, new.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def save_json(path: Path | None, value: Any, indent: int = 2, *, partial: bool = False) -> None:
    """Writes `value` as indented JSON; does nothing without a path.

    partial: a later call replaces it, so that only a regular file is written now.
    """
    if path is not None and not (partial and _is_special(path)):
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
    mode and the owner of an existing file are kept. For a pipe, a device or standard output (`-`),
    the block writes to a temporary file, whose bytes are then copied there.
    parents: creates missing folders first.
    UserError with the path and the reason if `path` may not be written (see `check_writable`), or
    if the block or the replacement raises an OSError.
    """
    try:
        if _is_special(path):
            with _copied(path) as new:
                yield new
            return
        target = path.resolve()
        if parents:
            target.parent.mkdir(parents=True, exist_ok=True)
        check_writable(path)
        with beside(target) as new:
            yield new
            if target.exists():
                _keep_mode(target, new)
            os.replace(new, target)
    except OSError as error:
        if path == STDOUT and isinstance(error, BrokenPipeError):
            raise  # the reader has enough: not an error
        raise UserError(f"'{path}' cannot be written: {reason_of(error)}.") from error


def reason_of(error: OSError) -> str:
    """Why a file cannot be read or written, in a few words; numpy's errors have no number."""
    if error.strerror:
        return error.strerror
    short = "requested and" in str(error)
    return f"only a part was written ({error}); is the disk full?" if short else f"{error}"


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


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    """A temporary file whose bytes are appended to `path`, or standard output, at the end."""
    with tempfile.TemporaryDirectory(prefix="dscim-") as folder:
        new = Path(folder) / (path.name or "output")
        yield new
        data = new.read_bytes()
    if path == STDOUT:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    with open(os.open(path, os.O_WRONLY | os.O_APPEND), "wb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) or 0 :]


def _keep_mode(old: Path, new: Path) -> None:
    """Gives `new` the mode of `old`, and its owner if this user may do so."""
    before = old.stat()
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(OSError):
            os.chown(new, before.st_uid, before.st_gid)
    shutil.copymode(old, new)


def _mode(path: Path) -> int | None:
    """The type and mode of what is at `path`, links followed; None if there is nothing."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # a path with a zero is a ValueError
        reason = reason_of(error) if isinstance(error, OSError) else f"{error}"
        raise UserError(f"'{path}' cannot be written: {reason}.") from None


def _never_written(mode: int) -> str:
    """What a path is if it must never be written to; else empty."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFBLK: "a disk", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "")


def _is_special(path: Path) -> bool:
    """True for standard output, a pipe, a device and an open file, which must not be replaced.

    UserError for a disk or a socket.
    """
    mode = None if path == STDOUT else _mode(path)
    if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        check_writable(path)
        return True
    return path == STDOUT or (mode is not None and _is_stream(path))


def _is_stream(path: Path) -> bool:
    """True for a name of an open file, such as /dev/stdout."""
    return f"{path.absolute()}".startswith(STREAMS) and not path.is_dir()


def _is_character_device(path: Path) -> bool:
    mode = None if path == STDOUT else _mode(path)
    return mode is not None and stat.S_ISCHR(mode)


def _same(first: Path, second: Path) -> bool:
    """Whether two names are one file, links followed."""
    if first.absolute() == second.absolute():
        return True
    try:
        return first.samefile(second)
    except (OSError, ValueError):  # one does not exist: they are the same if their places are
        return STDOUT not in (first, second) and os.path.realpath(first) == os.path.realpath(second)
