"""The writer of all results: whole or not at all, whatever goes wrong, and no temporary files."""

import os
import resource
import socket
from pathlib import Path

import numpy as np
import pytest

from dscim.errors import UserError
from dscim.files import (
    STDOUT,
    check_outputs,
    check_writable,
    load_int8,
    replacing,
    save_array,
    save_bytes,
    save_json,
    save_text,
)


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
        (tmp_path, "it is a folder"),
        (tmp_path / "no" / "file", "the folder .*no. does not exist"),
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


def test_a_read_only_file_is_refused_even_for_root(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.write_text("old")
    path.chmod(0o444)
    for write in (lambda: check_writable(path), lambda: save_text(path, "new")):
        with pytest.raises(UserError, match=f"'{path}' cannot be written: it is read-only"):
            write()
    assert path.read_text() == "old" and names(tmp_path) == ["kept.json"]


@pytest.mark.parametrize("name", ["file/inside.json", "x" * 300, "zero\0"])
def test_an_impossible_name_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    for write in (lambda: check_writable(tmp_path / name), lambda: save_text(tmp_path / name, "")):
        with pytest.raises(UserError, match=r"cannot be written: .*\."):
            write()
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="root can become another user")
def test_a_folder_that_may_not_be_searched_is_one_sentence(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    os.seteuid(65534)
    try:
        for write in (
            lambda: check_writable(closed / "a" / "file"),
            lambda: save_text(closed / "file", ""),
        ):
            with pytest.raises(UserError, match=r"cannot be written: .*[Pp]ermission|writable"):
                write()
    finally:
        os.seteuid(0)


def test_a_socket_is_refused_and_a_device_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        for write in (lambda: check_writable(path), lambda: save_text(path, "new")):
            with pytest.raises(UserError, match="it is a socket"):
                write()
    save_text(Path("/dev/null"), "text")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(UserError, match="'/dev/full' cannot be written: No space left on device"):
        save_text(Path("/dev/full"), "text")


def test_an_open_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("first\n")
    with path.open("a") as file:
        save_text(Path(f"/dev/fd/{file.fileno()}"), "second\n")
        assert path.samefile(f"/dev/fd/{file.fileno()}")
    assert path.read_text() == "first\nsecond\n"


def test_standard_output(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    check_writable(STDOUT)
    save_array(STDOUT, np.arange(3))
    expected = tmp_path / "array"
    save_array(expected, np.arange(3))
    assert capfdbinary.readouterr().out == expected.read_bytes()
    assert not Path("-").exists()


def test_an_array_on_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "array.npy"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(UserError, match=r"cannot be written: .+") as raised:
            save_array(path, np.zeros(1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "None" not in str(raised.value)
    assert path.read_bytes() == b"old" and names(tmp_path) == ["array.npy"]


def test_partial_results_go_to_regular_files_only(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    save_json(pipe, [1], partial=True)  # does not wait for a reader
    save_json(tmp_path / "file", [1], partial=True)
    assert (tmp_path / "file").exists()


@pytest.mark.parametrize("link", ["symlink", "hard", "name"])
def test_two_names_of_one_file_are_refused(tmp_path: Path, link: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("old")
    if link == "symlink":
        second.symlink_to(first)
    elif link == "hard":
        second.hardlink_to(first)
    else:
        second = tmp_path / "." / ".." / tmp_path.name / "first"
    with pytest.raises(UserError, match="--output and --json are both"):
        check_outputs({"--output": first, "--json": second}, {})
    with pytest.raises(UserError, match=r"--output '.*' would replace the input X"):
        check_outputs({"--output": second}, {"X": first})
    check_outputs({"--output": Path("/dev/null"), "--json": Path("/dev/null")}, {})
    with pytest.raises(UserError, match="both '-'"):
        check_outputs({"--output": STDOUT, "--json": STDOUT}, {})


@pytest.mark.parametrize(
    ("values", "dtype", "taken"),
    [
        ([-128, 127], np.int16, True),
        ([0, 127], np.uint8, True),
        ([0, 128], np.uint8, False),
        ([-129, 0], np.int64, False),
        ([0, 1], np.float32, False),
        ([0, 1], np.bool_, False),
    ],
)
def test_other_integers_are_taken_if_they_fit(
    tmp_path: Path, values: list[int], dtype: type, taken: bool
) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array(values, dtype))
    notes: list[str] = []
    if taken:
        array = load_int8(path, "an input", ("N",), notes.append)
        assert array.dtype == np.int8 and array.tolist() == values
        assert len(notes) == 1 and np.dtype(dtype).name in notes[0]
    else:
        with pytest.raises(UserError, match=np.dtype(dtype).name):
            load_int8(path, "an input", ("N",), notes.append)
        assert not notes


def test_a_header_that_lies_and_a_loop_of_links_are_one_sentence(tmp_path: Path) -> None:
    header = "{'descr': '|i1', 'fortran_order': False, 'shape': (1000000000000, 30), }"
    lie = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.ljust(117).encode() + b"\n"
    (tmp_path / "lie.npy").write_bytes(lie)
    with pytest.raises(UserError, match=r"lie.npy' is not a .npy file of numbers: .*\."):
        load_int8(tmp_path / "lie.npy", "an input", ("M", "K"))
    (tmp_path / "loop").symlink_to("loop")
    check_outputs({"--output": tmp_path / "y"}, {"X": tmp_path / "loop"})
    with pytest.raises(UserError, match="cannot be written: Too many levels"):
        check_outputs({"--output": tmp_path / "loop"}, {"X": tmp_path / "y"})
