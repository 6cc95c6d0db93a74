"""Writes the stubs of the clients in Go and TypeScript, or with `--check` proves that they are fresh.

``python -m tests.tools.generate_client_stubs [--check] [go] [typescript]``; one whose toolchain is not here
is skipped, and said so; with CI set that is a failure.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import google.rpc

from tests.tools import toolchains
from tests.tools.generate_stubs import PROTOS, ROOT, differences, replace

DETAILS = ("google/rpc/status.proto", "google/rpc/error_details.proto")
"""What errors carry. Go has a module of it."""

GRPC_JS = (
    "env=node",
    "esModuleInterop=true",
    "importSuffix=.js",
    "oneof=unions-value",
    "outputServices=grpc-js",
    "stringEnums=true",
    "useExactTypes=false",
)


@dataclass(frozen=True, kw_only=True)
class Stubs:
    """The stubs of one language; ``generate`` writes them into an empty folder. Raises ``Missing``."""

    folder: Path
    generate: Callable[[Path], None]


def go(folder: Path) -> None:
    """Messages and service, by the plugins that clients/go/tools names."""
    command = toolchains.go(toolchains.GO_TOOLS)
    with tempfile.TemporaryDirectory() as plugins:
        build = [command, "build", "-o", f"{plugins}/", "tool"]
        subprocess.run(build, cwd=toolchains.GO_TOOLS, check=True)
        options = "module=imageedit/clients/go/imageeditv1"
        protoc(
            *(f"--plugin={plugin}" for plugin in sorted(map(str, Path(plugins).iterdir()))),
            *(f"--go_out={options}:{folder}", f"--go-grpc_out={options}:{folder}"),
        )


def typescript(folder: Path) -> None:
    """Messages, service and the details of errors, by ts-proto."""
    toolchains.node()
    (google_rpc,) = google.rpc.__path__
    protoc(
        f"--plugin={toolchains.MODULES}/.bin/protoc-gen-ts_proto",
        f"--ts_proto_out={','.join(GRPC_JS)}:{folder}",
        f"--proto_path={Path(google_rpc).parents[1]}",
        *DETAILS,
    )


STUBS = {
    "go": Stubs(folder=toolchains.GO / "imageeditv1", generate=go),
    "typescript": Stubs(folder=toolchains.TYPESCRIPT / "src/generated", generate=typescript),
}


def main() -> None:
    """Write the stubs, or compare them."""
    arguments = sys.argv[1:]
    checking = "--check" in arguments
    found = [line for name in named(arguments) for line in brought_up_to_date(name, checking=checking)]
    if found:
        sys.exit("\n".join([*found, "`make generate` writes the stubs anew."]))


def named(arguments: list[str]) -> list[str]:
    """The languages that are named, all without one."""
    return [name for name in arguments if name in STUBS] or list(STUBS)


def brought_up_to_date(name: str, *, checking: bool) -> list[str]:
    """Write the stubs of one language, or return a line for each file that is not what the protos give."""
    stubs = STUBS[name]
    with tempfile.TemporaryDirectory(prefix=".generated-", dir=ROOT) as folder:
        fresh = Path(folder) / stubs.folder.name
        fresh.mkdir()
        try:
            stubs.generate(fresh)
        except toolchains.Missing as error:
            return skip(str(error))
        if checking:
            return list(differences(stubs.folder, fresh))
        replace(stubs.folder, fresh)
        return []


def skip(why: str) -> list[str]:
    """Say that one is skipped; exits where that is a failure, as in continuous integration."""
    if toolchains.must_be_here():
        sys.exit(why)
    print(f"skipped: {why}")
    return []


def protoc(*arguments: str) -> None:
    """Run the protoc of grpcio-tools on our protos. Exits with its status when it fails."""
    protos = map(str, sorted(PROTOS.rglob("*.proto")))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}", *arguments, *protos]
    if status := subprocess.run(command, check=False).returncode:
        sys.exit(status)


if __name__ == "__main__":
    main()
