"""Finds the files of a data set: in --data, else in DSCIM_DATA, else in the usual folders."""

import os
from collections.abc import Sequence
from pathlib import Path

from dscim.errors import UserError

VARIABLE = "DSCIM_DATA"
"""The environment variable that names a folder of data sets."""


def named_folder(folder: Path | None) -> Path | None:
    """The folder of --data, else the one in DSCIM_DATA, else None."""
    return folder or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)


def find(
    folder: Path | None, inside: Sequence[str], file: str, advice: str, usual: Sequence[Path] = ()
) -> Path:
    """The folder that holds the file `file` (or `file`.gz).

    folder: that of --data; by default the one in DSCIM_DATA, else the `usual` ones. The subfolders
    `inside` are tried too, so that one folder can hold several data sets.
    UserError lists the searched folders, and gives `advice` on where to get the files.
    """
    named = named_folder(folder)
    roots = [named] if named else list(usual)
    for root in roots:
        for place in (root, *(root / name for name in inside)):
            if any((place / name).is_file() for name in (file, f"{file}.gz")):
                return place
    searched = " or ".join(f"'{root}'" for root in roots) or "any folder"
    raise UserError(
        f"there is no {file} in {searched}: {advice}, and name its folder with --data "
        f"or {VARIABLE}."
    )
