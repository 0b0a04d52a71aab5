"""Markdown tables."""

from collections.abc import Sequence


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; a column whose title begins with ">" is aligned to the right."""
    rules = ["---:" if title.startswith(">") else "---" for title in head]
    lines = [[title.lstrip(">") for title in head], rules, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
