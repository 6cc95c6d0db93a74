"""The command ``imageedit-server``. Needs the extra [server]; that it is missing is said in a sentence."""

import io
import os
import sys

EXIT_CANNOT_START = 2
EXTRA = frozenset(
    {
        "PIL",
        "certifi",
        "grpc_health",
        "grpc_reflection",
        "h11",
        "httpcore",
        "httpx",
        "isal",
        "orjson",
        "prometheus_client",
        "pybase64",
        "pydantic",
        "sqlalchemy",
        "sqlmodel",
        "starlette",
        "tomlkit",
        "typer",
        "uvicorn",
        "uvloop",
    }
)
"""What the extra brings, by the names under which it is imported."""


def main() -> None:
    """Run the command."""
    # Else pydantic reads a file of every package that is installed, to look for code to run in here.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from imageedit_server.cli.app import app  # noqa: PLC0415  to say so when the extra is missing
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in EXTRA:
            raise
        print(
            "imageedit-server: the command needs more packages: pip install 'imageedit[server]'",
            file=sys.stderr,
        )
        sys.exit(EXIT_CANNOT_START)
    except OSError as error:
        print(f"imageedit-server: a file of what is installed cannot be read: {error}", file=sys.stderr)
        sys.exit(EXIT_CANNOT_START)
    # What a terminal of few letters cannot show stands there by its number, on stdout as on stderr.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    app()
