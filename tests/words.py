"""Finds habits of wording that a native engineer would stumble over: `python tests/words.py`.

Each pattern stands beside what to write instead. `make lint` runs it over every tracked text file
and fails when one is found. A line that must keep its wording ends with the comment `words: ok`;
several lines stand between `words: off` and `words: on`.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUFFIXES = {".py", ".md", ".toml", ".cpp", ".h", ".yaml", ".json"}
OWN = {"tests/words.py"}

COUNTED = (
    r"(?:cycles?|bytes|bits|images|inferences|words|frames|products?|points?|samples|instructions"
    r"|operations|files?|lines?|tables|times|once|twice|MB|kB|Mbit|LUT4|rows?|columns?"
    r"|channels?|pixels?|weights|commands?|numbers?|registers?|copy|copies|steps"
    r"|seconds|minutes|hours|milliseconds|seeds?|tiles?|windows?|entry|entries)"
)
UNIT = (
    r"(?:second|minute|hour|day|cycle|image|layer|row|column|word|frame|product|point|epoch|step"
    r"|batch|core|board|region|group|channel|pixel|call|run|byte|bit|node|network|tile|window"
    r"|token|structure|generation|seed|transaction|packet|datagram|verb|room|kind|operand|key)"
)
VERB = (
    r"(?:is|are|was|were|has|have|had|can|cannot|could|may|must|do|does|did|would|will|takes?"
    r"|needs?|gives?|makes?|reads?|writes?|stays?|goes|comes?|lies?|stands?|runs?|knows?|holds?)"
)

HABITS = [
    (
        r"(?<!there )(?<!There )\b(?:is|are|was|were) no "
        r"(?!longer|more|less|later|fewer|better|worse|other than)",
        "'is no X': write 'is not an X', 'has no X' or 'there is no X'",
    ),
    (rf"\b{COUNTED} an? {UNIT}\b", "'cycles an image': write 'cycles per image'"),
    (rf"\bone (?:\w+ )?{COUNTED} an? \w+", "'one file a verb': write 'per'"),
    (
        r"[,;:] for (?:they|it|he|she|we|nobody|nothing|there|then|here|neither) \w+",
        "'for they are': write 'because'",
    ),
    (
        r"[,;:] for (?:(?!that |which |who |whose |when |where |whether )[\w'-]+ ){1,4}"
        r"(?:is|are|was|were|has|have|had|cannot|may|might|would|does|did|can)\b",
        "'for the rows are': write 'because'",
    ),
    (
        r"help=f?[\"']of (?:the|an?|its|their|all|each|every)\b",
        "a help text that begins with 'of': say what the value is, with its unit",
    ),
    (r"(?<!\.)\b(?:tells?|telling|told)\b(?! apart)", "'tell': report, say, show"),
    (r"\bwants\b", "'wants': needs, requires"),
    (r"\bhears?\b|\bheard\b", "'hear': receive, take"),
    (r"\bmend(?:s|ed|ing)?\b", "'mend': fix, install"),
    (
        r"\b(?:the|as) (?:given|found|made)\b(?=[.,;)]| (?:of|is|are|has|in|by|for|with)\b)",
        "a participle as a noun: name the thing",
    ),
    (r"\bfor ever\b", "'for ever': indefinitely"),
    (r"\bgoes on (?:where|from)\b|\bgo on (?:where|from)\b", "'goes on where': resumes"),
    (r"\b(?:held|holds?|holding) (?:\w+ ){0,3}against\b", "'hold against': compare with"),
    (r"\bas good as\b", "'as good as': effectively"),
    (r"\bother work too\b", "'a machine that did other work too': a loaded machine"),
    (r"\bof them again\b", "'3 of them again': 3 retransmitted"),
    (r"\bof (?:us|ours)\b", "'of ours': our"),
    (r"\bfor 1,?000 (?:LUT|LUT4)\b", "'for 1000 LUT4': per 1000 LUT4"),
    (r"\bplaces to try\b", "'places to try': placement seeds to try"),
    (r"\b(?:MOST|LEAST)_[A-Z]", "MOST_/LEAST_: MAX_/MIN_"),
    (
        r"\b(?:Presence|Look|Telling|Piece|Sleepers|Given|Walk|Flights|Sharing)\b(?=[(\[.:,)]| =)",
        "a name of the list in CONTRIBUTING.md: use the better one",
    ),
]
"""Each pattern, and what to write instead."""

COMPILED = [(re.compile(pattern), advice) for pattern, advice in HABITS]


def tracked() -> list[Path]:
    """The text files that git tracks, but those of this check itself."""
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    return [
        ROOT / name for name in names if Path(name).suffix in SUFFIXES | {""} and name not in OWN
    ]


def findings(path: Path) -> Iterator[str]:
    """A line per habit that is found in the file."""
    try:
        text = path.read_text()
    except (UnicodeDecodeError, OSError):
        return
    checked = True
    for number, line in enumerate(text.splitlines(), 1):
        if "words: off" in line or "words: on" in line:
            checked = "words: on" in line
        if not checked or "words: ok" in line:
            continue
        for pattern, advice in COMPILED:
            if found := pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number}: {found.group(0)!r}: {advice}"


def main(names: list[str]) -> int:
    """Prints what is found in these files, or in all; the exit status is 1 where there is any."""
    paths = [Path(name).absolute() for name in names] or tracked()
    lines = [line for path in paths for line in findings(path)]
    print("\n".join(lines) or f"words: {len(paths)} files, none of {len(HABITS)} habits found")
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
