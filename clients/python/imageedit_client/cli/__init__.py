"""The command `imageedit`. Needs the extra [cli]; the library beside it does not."""

import sys


def main() -> None:
    """Runs the command and ends the process with its exit code."""
    try:
        from .app import app  # noqa: PLC0415 - to say so when the extra is missing
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"typer", "rich"}:
            raise
        print("imageedit: the command needs more packages: pip install 'imageedit[cli]'", file=sys.stderr)
        sys.exit(2)
    app(prog_name="imageedit")
