"""The figures as tables: all of them for docs/measured.md, and what they come to for the README."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.attacks.kinds import ATTACKS, GROUPS, KINDS
from tests.attacks.measuring import Measured
from tests.servers.programs import ROOT

PAGE, README = ROOT / "docs" / "measured.md", ROOT / "README.md"
PAGE_HEADING, README_HEADING = "## Attacks: `make attacks`", "## Scoreboard"
TIMES = 10
FLOOR_SECONDS = 0.020
"""A usual p99 below it counts as it: so much a scheduler may add on a machine with two cores."""
MIB = 1024 * 1024
MEMORY_BYTES = 256 * MIB
HEAD = ("attack", "sent, MB", "usual p99, ms", "p99, ms", "ratio", "worst, ms", "memory, MiB", "held")
SUMMARY_HEAD = ("", "tried", "held", "worst answer to an honest caller", "memory, most")
YES = "yes"


def faults(measured: Measured) -> list[str]:
    """Say what did not hold: the server, an answer, the time that answers take, memory."""
    found = [] if measured.ended is None else [f"the server ended with {measured.ended}"]
    if errors := [*measured.usual.errors, *measured.during.errors]:
        found.append(f"{len(errors)} errors ({errors[0]})")
    if ratio(measured) > TIMES:
        found.append("slow answers")
    if measured.grown_bytes > MEMORY_BYTES:
        found.append("memory")
    return found


def ratio(measured: Measured) -> float:
    """Return how many times as long as usual slow answers took."""
    return measured.during.slow / max(measured.usual.slow, FLOOR_SECONDS)


def row(measured: Measured, tries: int) -> Sequence[str]:
    """Return the cells of one attack."""
    found = faults(measured)
    held = f"no: {', '.join(found)}" if found else YES if tries == 1 else f"{YES}, try {tries}"
    return (
        measured.kind.name,
        f"{measured.sent_bytes / 1e6:.1f}",
        f"{1000 * measured.usual.slow:.0f}",
        f"{1000 * measured.during.slow:.0f}",
        f"{ratio(measured):.1f}",
        f"{1000 * measured.during.slowest:.0f}",
        f"+{measured.grown_bytes / MIB:.0f}",
        held,
    )


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table, numbers to the right."""
    rule = ["--:" if 0 < at < len(head) - 1 else "---" for at in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)) + "\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What a page says of one attack."""

    group: str
    worst_ms: int
    memory_mib: int
    held: bool


def summary(rows: Mapping[str, Row]) -> str:
    """Return the README's table: a line for each group of attacks, and one for all. The control is none."""
    found = [rows[kind.name] for kind in ATTACKS if kind.name in rows]
    groups = {group: [each for each in found if each.group == group] for group in GROUPS}
    lines = [_summed(name, those) for name, those in {**groups, "all": found}.items() if those]
    return markdown(SUMMARY_HEAD, lines)


def _summed(name: str, rows: Sequence[Row]) -> Sequence[str]:
    worst, memory = max(each.worst_ms for each in rows), max(each.memory_mib for each in rows)
    held = sum(each.held for each in rows)
    return (name, str(len(rows)), str(held), _time(worst), f"+{memory} MiB")


def _time(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds} ms"


def rows_of(page: str) -> dict[str, Row]:
    """Read the figures off the table of a page. Raises ``KeyError`` for an attack that is not known."""
    lines = _table(page, PAGE_HEADING)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {
        name: Row(
            group=KINDS[name].group,
            worst_ms=int(worst),
            memory_mib=int(memory),
            held=held.startswith(YES),
        )
        for name, *_, worst, memory, held in cells
    }


def write(rows: Iterable[Sequence[str]]) -> None:
    """Put the figures into docs/measured.md, and what they come to into the README."""
    _put(PAGE, PAGE_HEADING, markdown(HEAD, rows))
    _put(README, README_HEADING, summary(rows_of(PAGE.read_text())))


def readme_table() -> str:
    """Return the table that the README has."""
    return _table(README.read_text(), README_HEADING)[0]


def _put(page: Path, heading: str, table: str) -> None:
    text = page.read_text()
    page.write_text(text.replace(_table(text, heading)[0], table))


def _table(text: str, heading: str) -> re.Match[str]:
    found = re.search(r"^\|(?:.*\n\|)*.*\n", text[text.index(f"{heading}\n") :], re.MULTILINE)
    assert found is not None, heading
    return found
