"""``python -m tests.bench``: measures the service beside bare gRPC, side by side in one run.

Every client is this process, every server one of its own. Prints a table; writes ``figures.json`` with the
raw figures and ``figures.png``. Goals that are missed are told and are no error: figures of a busy machine
prove nothing.
"""

import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console, RenderableType
from rich.markup import escape

from tests.bench import accepts, growth, kept, live, memory, photographs, profile, replay, start, transfers
from tests.bench.bench import FULL, QUICK, Bench
from tests.bench.figures import Figure
from tests.bench.machine import machine
from tests.bench.plot import plot
from tests.bench.table import table

T = TypeVar("T")
Measurement = Callable[[Bench], Awaitable[list[Figure]]]

MEASUREMENTS: Mapping[str, Measurement] = {
    "accepts": accepts.measure,
    "replay": replay.measure,
    "live": live.measure,
    "memory": memory.measure,
    "transfers": transfers.measure,
    "photographs": photographs.measure,
    "growth": growth.measure,
    "start": start.measure,
}
WIDTH = 150
"""Characters of the table's lines where no terminal says."""
SERVER = Path(sys.executable).with_name("imageedit-server")


def main(
    only: Annotated[str, typer.Option(help="Which to measure, commas between.")] = ",".join(MEASUREMENTS),
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter rounds, fewer tasks.")] = False,
    server_bin: Annotated[Path, typer.Option(help="The imageedit-server to measure.")] = SERVER,
    out: Annotated[Path, typer.Option(help="The folder for the figures.")] = Path("bench"),
    *,
    by_layer: Annotated[
        bool, typer.Option("--profile", help="Instead: where the time of an accept and of an edit goes.")
    ] = False,
    keeping: Annotated[
        bool, typer.Option("--keep", help="Instead: write what operations cost, for `make test` to hold.")
    ] = False,
) -> None:
    """Measure the service beside bare gRPC."""
    names = only.split(",")
    if unknown := set(names) - set(MEASUREMENTS):
        raise typer.BadParameter(f"{', '.join(unknown)}: there is {', '.join(MEASUREMENTS)}")
    with benching(server_bin, quick=quick) as bench:
        if by_layer:
            profile.write(run(profile.measure(bench)), out)
            return
        if keeping:
            kept.keep(run(kept.measure_to_keep(bench)))
            print(f"wrote {kept.FILE}: for a commit of its own that says why")
            return
        figures = run(_measure(bench, [MEASUREMENTS[name] for name in names]))
    tell(figures, out, "figures")


@contextmanager
def benching(server_bin: Path, *, quick: bool) -> Iterator[Bench]:
    """Give what every measurement works with, in a folder that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="imageedit-bench-") as folder:
        scale = QUICK if quick else FULL
        yield Bench(folder=Path(folder), scale=scale, server=server_bin.absolute(), say=progress())


def tell(
    figures: Sequence[Figure],
    out: Path,
    name: str,
    *,
    before: RenderableType = "",
    raw: Mapping[str, object] | None = None,
) -> None:
    """Print the table, after what comes ``before`` it; write the plot and all ``raw`` figures."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(f"\n{machine()}\nEach server is a process of its own, and so is the client.\n")
    console.print(before)
    console.print(table(figures))
    out.mkdir(exist_ok=True)
    told = {"machine": machine(), "figures": [figure.as_json() for figure in figures], **(raw or {})}
    (out / f"{name}.json").write_text(json.dumps(told, indent=1, ensure_ascii=False))
    plot(figures).save(out / f"{name}.png")
    print(f"\nsaved {out / name}.json and .png")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end; when asked to stop, take the servers down first."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return asyncio.run(coroutine)


def progress() -> Callable[[str], None]:
    """Return what prints a line of progress with the seconds since now."""
    console, started = Console(stderr=True), time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:6.1f} s[/]  {escape(line)}", highlight=False)

    return say


async def _measure(bench: Bench, measurements: Sequence[Measurement]) -> list[Figure]:
    return [figure for measure in measurements for figure in await measure(bench)]


if __name__ == "__main__":
    typer.run(main)
