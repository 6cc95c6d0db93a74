"""Libraries that stand between a server and the C library, compiled where there is a compiler."""

import shutil
import subprocess
from pathlib import Path

COMPILERS = ("cc", "gcc", "clang")


def compiler() -> str | None:
    """Return the C compiler of this machine; None where there is none."""
    return next(filter(None, map(shutil.which, COMPILERS)), None)


def compiled(source: Path, folder: Path) -> Path | None:
    """Compile ``source`` into ``folder``, to be preloaded; None where there is no C compiler."""
    found = compiler()
    if found is None:
        return None
    library = folder / f"{source.stem}.so"
    subprocess.run([found, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl", "-pthread"], check=True)
    return library
