"""The real command line, as a user calls it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

DSCIM = Path(sys.executable).with_name("dscim")


def dscim(
    *arguments: object, folder: Path | None = None, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Runs `dscim ARGUMENTS` in `folder` and returns what it printed and its status."""
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR")}
    return subprocess.run(
        [DSCIM, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=seconds,
        env=environment,
        check=False,
    )


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit status 2, nothing on standard output, one line on standard error with these words."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("dscim: ")
    for word in words:
        assert word in lines[0]


def contents(folder: Path) -> Sequence[str]:
    """The names of all files in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())
