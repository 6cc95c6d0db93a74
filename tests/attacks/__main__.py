"""``python -m tests.attacks``: attacks real servers on loopback, each beside an honest caller with a key.

Every attack has a fresh server, a process that attacks and a caller in this process, who is watched alone
first; the controls are the same caller beside as many bytes of honest uploads, and of honest calls. An attack
was held when the slow answers (the 99th of a hundred) took at most ten times as long as usual, none failed,
the server lived and its memory grew by at most 256 MiB. A machine that does much else makes answers late too:
what was not held is tried twice more. Exits with 1 when something was not held.
"""

import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tests.attacks import table
from tests.attacks.kinds import KINDS, Kind
from tests.attacks.load import BYTES_PER_SECOND, UNLIMITED_CONNECTIONS
from tests.attacks.measuring import measure
from tests.bench.__main__ import progress, run

TRIES = 3


def main(
    only: Annotated[
        str, typer.Option(help="Those with one of these words in their name, commas between.")
    ] = "",
    seconds: Annotated[float, typer.Option(help="How long each attack lasts.")] = 5.0,
    unlimited: Annotated[
        bool, typer.Option("--unlimited", help="As fast as four connections go, not 2 MB/s on one.")
    ] = False,
    connections: Annotated[int, typer.Option(help="So many instead.")] = 0,
    write: Annotated[
        bool, typer.Option("--write", help="Put the figures into docs/measured.md and README.md.")
    ] = False,
) -> None:
    """Attack real servers on loopback, each beside an honest caller with a key."""
    kinds = [kind for name, kind in KINDS.items() if any(word in name for word in only.split(","))]
    if write and (only or unlimited or connections):
        raise typer.BadParameter("the pages have all of them, at 2 MB/s on one connection")
    rate = 0 if unlimited else BYTES_PER_SECOND
    many = connections or (UNLIMITED_CONNECTIONS if unlimited else 1)
    rows = run(_attack(kinds, seconds=seconds, bytes_per_second=rate, connections=many))
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(table.markdown(table.HEAD, rows))
    if write:
        table.write(rows)
    sys.exit(any(held.startswith("no") for *_, held in rows))


async def _attack(
    kinds: Sequence[Kind], *, seconds: float, bytes_per_second: int, connections: int
) -> list[Sequence[str]]:
    """Return the rows of the table."""
    say, rows = progress(), list[Sequence[str]]()
    with tempfile.TemporaryDirectory(prefix="imageedit-attacks-") as folder:
        for kind in kinds:
            for tries in range(1, TRIES + 1):
                measured = await measure(
                    Path(folder) / f"{len(rows)}-{tries}",
                    kind,
                    seconds=seconds * kind.times,
                    bytes_per_second=bytes_per_second,
                    connections=connections,
                )
                cells = table.row(measured, tries)
                say(" | ".join(cells))
                if not table.faults(measured):
                    break
            rows.append(cells)
    return rows


if __name__ == "__main__":
    typer.run(main)
