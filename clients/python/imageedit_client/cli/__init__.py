"""The command `imageedit`. Needs the extra [cli]; the library beside it does not."""

import io
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
    # What a terminal of few letters cannot show stands there by its number, on stdout as on stderr.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    app(prog_name="imageedit")
