"""``python -m tests.bench.peers``: the same edits through this service and through the proxies of others.

All stand before the same vendor on loopback, which answers at once. An edit is over when its caller has the
picture: with a proxy one HTTP call, with this service EditImage, WatchTask to its end and DownloadImage, and
then the task and both pictures are durable. The same caller asks the vendor without anyone between.
"""

from pathlib import Path
from typing import Annotated

import typer

from tests.bench.__main__ import SERVER, benching, run, tell
from tests.bench.peers.measurement import measure
from tests.bench.peers.proxies import peers
from tests.bench.peers.table import contenders_table
from tests.servers.programs import ROOT

LITELLM = ROOT / ".venv-peers" / "bin" / "litellm"
PORTKEY = ROOT / ".node-peers" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"


def main(
    litellm: Annotated[Path, typer.Option(help="The command of LiteLLM's proxy.")] = LITELLM,
    portkey: Annotated[Path, typer.Option(help="The script that starts Portkey's gateway.")] = PORTKEY,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter rounds.")] = False,
    server_bin: Annotated[Path, typer.Option(help="The imageedit-server to measure.")] = SERVER,
    out: Annotated[Path, typer.Option(help="The folder for the figures.")] = Path("bench"),
) -> None:
    """Measure the service beside LiteLLM's proxy and Portkey's gateway, those of them that are there."""
    with benching(server_bin, quick=quick) as bench:
        measured = run(measure(bench, peers(litellm.absolute(), portkey.absolute())))
    tell(
        measured.figures,
        out,
        "peers",
        before=contenders_table(measured.matches),
        raw={"matches": [match.as_json() for match in measured.matches]},
    )


if __name__ == "__main__":
    typer.run(main)
