"""The writer of all results: whole or not at all, whatever goes wrong, and no temporary files."""

import os
from pathlib import Path

import numpy as np
import pytest

from dscim.errors import UserError
from dscim.files import check_writable, replacing, save_array, save_bytes, save_json, save_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_each_kind_of_content(tmp_path: Path) -> None:
    save_text(tmp_path / "text", "ä\n")
    save_json(tmp_path / "value.json", {"a": [1]}, indent=1)
    save_array(tmp_path / "array", np.arange(3))
    assert (tmp_path / "text").read_bytes() == "ä\n".encode()
    assert (tmp_path / "value.json").read_text() == '{\n "a": [\n  1\n ]\n}\n'
    assert np.load(tmp_path / "array").tolist() == [0, 1, 2]
    assert names(tmp_path) == ["array", "text", "value.json"]


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, SystemExit])
def test_a_failed_block_leaves_the_old_file_alone(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as new:
        new.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(UserError, match="cannot be written: No such file"), replacing(path):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError("disk on fire")])
def test_an_error_gives_path_and_reason(tmp_path: Path, error: OSError) -> None:
    path = tmp_path / "file"
    with pytest.raises(UserError) as raised, replacing(path):
        raise error
    reason = error.strerror or "disk on fire"
    assert str(raised.value) == f"'{path}' cannot be written: {reason}."


def test_a_folder_or_a_missing_folder_is_refused(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path, "Is a directory"),
        (tmp_path / "no" / "file", "No such file or directory"),
    ):
        with pytest.raises(UserError, match=f"'{path}' cannot be written: ({reason})"):
            save_bytes(path, b"")
        with pytest.raises(UserError, match=f"'{path}' cannot be written"):
            check_writable(path)
    save_bytes(tmp_path / "no" / "file", b"1", parents=True)
    assert names(tmp_path) == ["no"] and names(tmp_path / "no") == ["file"]


def test_the_mode_of_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_text("old")
    path.chmod(0o754)
    save_text(path, "new")
    assert path.stat().st_mode & 0o777 == 0o754
    mask = os.umask(0o027)
    try:
        save_text(tmp_path / "fresh", "")
    finally:
        os.umask(mask)
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to("folder/file")
    save_text(link, "text")
    assert link.is_symlink() and (tmp_path / "folder" / "file").read_text() == "text"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        check_writable(pipe)
        save_text(pipe, "text")
        assert os.read(reader, 10) == b"text"
    finally:
        os.close(reader)
    assert pipe.is_fifo() and names(tmp_path) == ["pipe"]


def test_a_library_sees_the_name_of_the_file(tmp_path: Path) -> None:
    with replacing(tmp_path / "figure.svg") as new:
        assert new.name == "figure.svg"
        new.write_text("")
