"""One self-contained page of studies: tables, figures, aims."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from dscim.files import save_bytes
from dscim.host.research.studies.output import drawn
from dscim.host.research.studies.runner import Outcome
from dscim.host.research.studies.study import Row

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 0 auto; padding: 1rem;
       overflow-wrap: anywhere }
p, ul { max-width: 60rem }
h1, h2 { line-height: 1.2 }
nav a { margin-right: 1rem }
figure { margin: 1rem 0; background: #fff; max-width: 60rem }
figure svg { display: block; width: 100%; height: auto }
figure.tall { display: none }
@media (max-width: 44rem) { figure.wide { display: none } figure.tall { display: block } }
ul { padding-left: 1.2rem }
summary { cursor: pointer; padding: .3rem 0 }
.scroll { overflow: auto; max-height: 34rem; border: 1px solid #8886; width: fit-content;
       max-width: 100%; background:
       linear-gradient(to left, Canvas 40%, transparent) right / 3rem 100% no-repeat local,
       linear-gradient(to left, #8888, transparent) right / 1rem 100% no-repeat scroll }
table { border-collapse: collapse; font-size: .85rem; white-space: nowrap }
th { position: sticky; top: 0; background: Canvas; text-align: left }
th, td { padding: .2rem .5rem; border-bottom: 1px solid #8883 }
td:first-child, th:first-child { position: sticky; left: 0; background: Canvas; z-index: 1;
       white-space: normal; min-width: min(12rem, 28vw); max-width: 14rem }
td.long { white-space: normal; min-width: 14rem }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
.missed { font-weight: bold }
code { font-size: .9em }
"""

CODE = re.compile("`([^`]*)`")

LONG_TABLE, LONG_TEXT = 30, 30
"""Tables with more rows are folded, texts with more characters are wrapped."""


def save_page(path: Path | None, outcomes: Sequence[Outcome]) -> None:
    """Writes the page atomically; does nothing without a path."""
    if path is not None:
        save_bytes(path, "\n".join(_page(outcomes)).encode())


def _page(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>DS-CIM: studies</title><style>{STYLE}</style></head><body>"
    )
    yield (
        "<h1>DS-CIM: computed tables and figures</h1><p>Each part names the command that computed "
        "it, and has the paper's values (arXiv 2601.06724) for comparison.</p><nav>"
    )
    yield from (f'<a href="#{done.study.name}">{done.study.name}</a>' for done in outcomes)
    yield "</nav>"
    for done in outcomes:
        yield from _section(done)
    yield "</body></html>\n"


def _section(done: Outcome) -> Iterator[str]:
    study, facts = done.study, done.to_json()
    yield f'<section id="{study.name}"><h2>{escape(study.title)}</h2>'
    yield "<p>" + CODE.sub(r"<code>\1</code>", escape(study.question)) + "</p>"
    seeds = ", ".join(f"{what} {seed}" for what, seed in study.seeds.items()) or "none"
    yield (
        f"<p><code>{escape(done.command)}</code>: {len(done.rows)} rows in {done.seconds:.0f} s"
        f"{' (quick: fewer points than the full run)' if done.quick else ''}; "
        f"seeds: {escape(seeds)}.</p>"
    )
    for name in ("wide", "tall"):
        svg = drawn(done, "svg", tall=name == "tall").decode()
        yield f'<figure class="{name}">{svg[svg.index("<svg") :]}</figure>'
    if facts["published"]:
        yield (
            "<ul>"
            + "".join(
                f"<li>Published: {escape(each['what'])}: {each['value']:g} {escape(each['unit'])} "
                f"({escape(each['source'])})</li>"
                for each in facts["published"]
            )
            + "</ul>"
        )
    yield from _aims(facts["aims"])
    yield from _table(done)
    yield "</section>"


def _aims(lines: Sequence[Row]) -> Iterator[str]:
    if lines:
        yield (
            "<ul>"
            + "".join(
                f"<li>Aim: {escape(each['what'])}: {each['bound']} {each['aim']:g} "
                f"{escape(each['unit'])}; measured {each['measured']:.4g}: "
                f'<span class="{"held" if each["held"] else "missed"}">'
                f"{'held' if each['held'] else 'missed'}</span></li>"
                for each in lines
            )
            + "</ul>"
        )


def _table(done: Outcome) -> Iterator[str]:
    columns, rows = done.study.columns, [row for row in done.rows if done.study.shown(row)]
    number = [
        any(isinstance(row.get(column.field), int | float) for row in rows) for column in columns
    ]
    kind = [' class="number"' if each else "" for each in number]
    if len(rows) > LONG_TABLE:
        yield f"<details><summary>All {len(rows)} rows</summary>"
    yield '<div class="scroll"><table><thead><tr>'
    yield "".join(
        f"<th{each}>{escape(column.title)}</th>" for column, each in zip(columns, kind, strict=True)
    )
    yield "</tr></thead><tbody>"
    for row in rows:
        yield (
            "<tr>"
            + "".join(
                _cell(column.text(row), each) for column, each in zip(columns, kind, strict=True)
            )
            + "</tr>"
        )
    yield "</tbody></table></div>" + ("</details>" if len(rows) > LONG_TABLE else "")


def _cell(text: str, kind: str) -> str:
    long = ' class="long"' if not kind and len(text) > LONG_TEXT else kind
    return f"<td{long}>{escape(text)}</td>"
