"""Writes generated/ from protos/, or with `--check` proves that it is what the protos give."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "protos"
GENERATED = ROOT / "generated"


def main() -> None:
    """Write the stubs, or compare them."""
    with tempfile.TemporaryDirectory(prefix=".generated-", dir=ROOT) as folder:
        fresh = Path(folder) / "generated"
        generate(fresh)
        if "--check" not in sys.argv:
            replace(GENERATED, fresh)
        elif found := list(differences(GENERATED, fresh)):
            sys.exit("\n".join([*found, "`make generate` writes generated/ anew."]))


def generate(folder: Path) -> None:
    """Write the stubs and their types into a new folder. Exits with protoc's status when it fails."""
    folder.mkdir()
    kinds = ("python", "pyi", "grpc_python", "mypy_grpc")  # mypy_grpc types what grpc_python writes
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}"),
        f"--plugin=protoc-gen-mypy_grpc={Path(sys.executable).parent / 'protoc-gen-mypy_grpc'}",
        "--mypy_grpc_opt=quiet",
        *(f"--{kind}_out={folder}" for kind in kinds),
        *map(str, sorted(PROTOS.rglob("*.proto"))),
    ]
    status = subprocess.run(command, check=False).returncode
    if status:
        sys.exit(status)
    for package in {path.parent for path in folder.rglob("*.pyi")}:
        (package / "py.typed").touch()  # or the types are nobody's who installs them (PEP 561)


def replace(folder: Path, fresh: Path) -> None:
    """Put `fresh` in the place of `folder`, which is kept whole until then."""
    if folder.exists():
        folder.rename(fresh.with_name("before"))
    shutil.move(fresh, folder)


def differences(folder: Path, fresh: Path) -> Iterator[str]:
    """A line for each file of `folder` that is missing, stale or no stub of any proto."""
    kept, wanted = files(folder), files(fresh)
    for path in sorted(kept.keys() | wanted.keys()):
        if path not in kept:
            yield f"missing  {folder.name}/{path}"
        elif path not in wanted:
            yield f"extra    {folder.name}/{path}"
        elif kept[path] != wanted[path]:
            yield f"stale    {folder.name}/{path}"


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes; Python's caches aside."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


if __name__ == "__main__":
    main()
