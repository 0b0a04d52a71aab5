"""The cache of compiled models, and its keys."""

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dscim.errors import SimulationError
from dscim.files import beside, reason_of

OLD_SECONDS = 30 * 24 * 3600.0
"""The age at which an unused entry is removed: 30 days."""


def cache_folder() -> Path:
    """The folder of compiled models; created if missing.

    $DSCIM_CACHE, else $XDG_CACHE_HOME/dscim, else ~/.cache/dscim. Raises SimulationError if it
    cannot be created, or if its path has a space (make cannot build there).
    """
    chosen = os.environ.get("DSCIM_CACHE")
    if chosen:
        folder = Path(chosen)
    else:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home) / "dscim"
    folder = folder.absolute()
    if len(str(folder).split()) != 1:
        raise SimulationError(
            f"Cache folder '{folder}' has a space in its path, which make cannot handle; "
            "set DSCIM_CACHE to a folder without one."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SimulationError(
            f"Cache folder '{folder}' cannot be created ({error.strerror}); "
            "set DSCIM_CACHE to a writable folder."
        ) from error
    return folder


def digest(parts: Iterable[str | bytes]) -> str:
    """A key of 16 hexadecimal digits over `parts`, in order; equal only for equal parts."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "big") + data)
    return state.hexdigest()[:16]


def forget_old(pattern: str) -> None:
    """Removes entries of the cache that match `pattern` and were not used for OLD_SECONDS."""
    for path in cache_folder().glob(pattern):
        with suppress(OSError):  # another process may remove it too
            if time.time() - path.stat().st_mtime > OLD_SECONDS:
                path.unlink() if path.is_file() else shutil.rmtree(path)


@contextmanager
def build_beside(home: Path) -> Iterator[Path]:
    """An empty folder to fill. It becomes `home` when the block succeeds and is removed otherwise.

    Two processes may fill the same `home` at once: the first one to finish wins. SimulationError if
    the block, or the folder, fails with an OSError, such as a full disk.
    """
    try:
        with beside(home) as folder:
            folder.mkdir()
            yield folder
            try:
                folder.rename(home)
            except OSError:  # another process was faster, with the same result
                if not home.is_dir():
                    raise
    except OSError as error:
        raise SimulationError(
            f"The cache folder '{home.parent}' cannot be written ({reason_of(error)}); free some "
            "space, or set DSCIM_CACHE to another folder."
        ) from error


def used(home: Path) -> None:
    """Records that an entry is in use, so that it is not removed as an old one."""
    with suppress(OSError):  # a cache that may only be read
        os.utime(home)
