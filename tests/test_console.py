"""Tables keep their words whole on narrow terminals, and reports go where they should."""

import pytest

from dscim.console import Report

COLUMNS = ("layer", "kind of layer", ">cycles")
ROWS = [("stage1.first", "Convolution", "123456"), ("a b c", "", "7")]


def table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    Report().table(COLUMNS, ROWS)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", range(20, 80))
def test_no_word_is_broken_and_no_line_too_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    printed = table(monkeypatch, capsys, width)
    words = printed.split()
    for cell in [title.lstrip(">") for title in COLUMNS] + [cell for row in ROWS for cell in row]:
        for word in cell.split():
            assert word in words, printed
    if width >= 15 + 12:  # the longest title and the longest word
        assert all(len(line.rstrip()) <= width for line in printed.splitlines()), printed


def test_a_wide_terminal_has_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = table(monkeypatch, capsys, 60).splitlines()
    assert lines[0].split() == ["layer", "kind", "of", "layer", "cycles"] and len(lines) == 3
    assert lines[1].rstrip().endswith("123456") and lines[2].rstrip().endswith("     7")


def test_a_narrow_terminal_has_a_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert table(monkeypatch, capsys, 32).splitlines() == [
        "layer          stage1.first",
        "kind of layer  Convolution",
        "cycles         123456",
        "",
        "layer          a b c",
        "cycles         7",
    ]


def test_a_report_aside_leaves_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(aside=True)
    report.say("line")
    report.table(COLUMNS, ROWS)
    report.note("[b]note[/b]")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "line\n" in printed.err and "dscim: [b]note[/b]\n" in printed.err
