"""What ``imageedit-server`` can be asked to do."""

import asyncio
import gc
import logging
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

import imageedit_server
from imageedit_server import vendor_answers
from imageedit_server.access.keys import add_key
from imageedit_server.access.reload import Unusable
from imageedit_server.cli import EXIT_CANNOT_START
from imageedit_server.cli.text import shown
from imageedit_server.engine.restoring import Said
from imageedit_server.maintenance import Finding, backup, check
from imageedit_server.outbound.redaction import redact
from imageedit_server.process import run
from imageedit_server.providers.catalog import ModelClash
from imageedit_server.runtime.listening import CannotListen
from imageedit_server.runtime.memory import share_one_arena
from imageedit_server.runtime.versions import Unsupported
from imageedit_server.settings import (
    LogSettings,
    Settings,
    SettingsError,
    keys_file_from_environment,
    settings_from_environment,
)
from imageedit_server.store.database import StoreRefused
from imageedit_server.telemetry import logs
from imageedit_server.vendor_answers import NoAnswer

EXIT_BROKEN = 1
EXIT_UNSOUND = 1
COLLECT_AFTER = (10_000, 20, 20)
"""So many more objects than before are there when garbage is looked for; Python's own 700 are one edit's."""
PRIVATE = 0o077
"""The umask under which what is made is its owner's alone."""

Config = Annotated[Path | None, typer.Option(metavar="FILE", help="TOML file: see docs/settings.md.")]
DataDir = Annotated[Path | None, typer.Option(metavar="DIR", help="Where tasks and images are kept.")]

_log = logging.getLogger(__name__)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
keys = typer.Typer(no_args_is_help=True)
app.add_typer(keys, name="keys")


def _tell_version(asked: bool) -> None:
    if asked:
        _say(f"imageedit-server {imageedit_server.__version__}")
        raise typer.Exit


@app.callback()
def command(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_tell_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """The image-editing gateway."""


@app.command("serve")
def serve_command(
    config: Config = None,
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where gRPC listens.")] = None,
    http_listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where health and callbacks listen.")
    ] = None,
    data_dir: DataDir = None,
    *,
    restored: Annotated[
        bool,
        typer.Option("--restored", metavar="", help="The data are a copy: pay for none of its open tasks."),
    ] = False,
    resubmit_restored: Annotated[
        bool,
        typer.Option(
            "--resubmit-restored", metavar="", help="They are, and the original paid for none: send them."
        ),
    ] = False,
    moved: Annotated[
        bool, typer.Option("--moved", metavar="", help="The data are no copy: they are in a new place.")
    ] = False,
) -> None:
    """Serve until SIGTERM. Prints one line when ready; logs go to stderr."""
    given = {"listen": listen, "http_listen": http_listen, "data_dir": data_dir}
    said = Said(restored=restored, moved=moved, resubmit=resubmit_restored)
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        settings = settings_from_environment(config, overrides)
        logs.configure(sys.stderr, as_json=_as_json(settings.log), level=settings.log.level, redact=redact)
        _prepare_process()
        code = run(settings, announce, said)
        gc.freeze()  # or the interpreter's last look at every object takes longer than the drain
    except (SettingsError, StoreRefused, ModelClash, Unusable, Unsupported, CannotListen) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"cannot use {error.filename}: {error.strerror}")
    except Exception as error:  # noqa: BLE001  what ends it is told as one line like everything else
        _log.critical("the server cannot go on", exc_info=error)
        raise typer.Exit(EXIT_BROKEN) from None
    raise typer.Exit(code)


@app.command("check")
def check_command(config: Config = None, data_dir: DataDir = None) -> None:
    """Check settings, data, keys, certificate and every provider's account. Nothing is changed or paid."""
    settings = _settings(config, data_dir)
    _say("ok    settings: They are well formed.")

    async def tell() -> bool:
        return all([_tell(finding) async for finding in check(settings)])

    if not asyncio.run(tell()):
        raise typer.Exit(EXIT_UNSOUND)


@app.command("backup")
def backup_command(
    target: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to; an older copy is brought up to date.")
    ],
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Copy the data, also while a server writes it, and check the copy. To restore: serve --data-dir DIR."""
    settings = _settings(config, data_dir)
    os.umask(PRIVATE)
    try:
        told = [_tell(finding) for finding in backup(settings, target)]
    except StoreRefused as refused:
        _refuse(str(refused))
    except OSError as error:
        _refuse(f"cannot use {error.filename}: {error.strerror}")
    if not all(told):
        raise typer.Exit(EXIT_UNSOUND)


@app.command("answers")
def answers_command(
    task_id: Annotated[
        str | None, typer.Argument(metavar="TASK_ID", help="Show its answers; without it, list all.")
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
    *,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Write the body, as it came, to a new file.")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write the exchange without pictures and texts."),
    ] = None,
    read_again: Annotated[
        bool,
        typer.Option("--read-again", metavar="", help="Read it once more; a picture becomes a late image."),
    ] = False,
) -> None:
    """Show vendors' answers that are kept, also beside a server. Their bodies may hold anybody's pictures."""
    settings = _settings(config, data_dir)
    if task_id is None and (save or export or read_again):
        _refuse("name the task whose answer is meant")
    try:
        for line in _told_of_answers(settings, task_id, save, export, read_again=read_again):
            _say(line)
    except (NoAnswer, StoreRefused, SettingsError, ModelClash, TimeoutError) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"cannot use {error.filename}: {error.strerror}")


def _told_of_answers(
    settings: Settings, task_id: str | None, save: Path | None, export: Path | None, *, read_again: bool
) -> Iterator[str]:
    if task_id is None:
        yield from vendor_answers.listed(settings)
        return
    if save:
        yield vendor_answers.save(settings, task_id, save)
    if export:
        yield vendor_answers.export(settings, task_id, export)
    if read_again:
        yield vendor_answers.read_again(settings, task_id)
    if not (save or export or read_again):
        yield from vendor_answers.shown(settings, task_id)


def _settings(config: Path | None, data_dir: Path | None) -> Settings:
    try:
        return settings_from_environment(config, {"data_dir": data_dir} if data_dir else {})
    except SettingsError as error:
        _refuse(str(error))


def _tell(finding: Finding) -> bool:
    how = ("warn " if finding.warns else "ok   ") if finding.ok else "FAIL "
    _say(f"{how} {finding.subject}: {finding.sentence}")
    return finding.ok


@keys.callback()
def keys_commands() -> None:
    """The API keys of callers."""


@keys.command("new")
def new_key(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Whose key it is.")],
    config: Config = None,
) -> None:
    """Make a key, put its hash into auth.keys_file and print the key: it is shown this once.

    A server that runs takes it up within seconds. To take a key away, delete its hash from the file.
    """
    try:
        path = keys_file_from_environment(config)
        key, caller = add_key(path, tenant)
    except (SettingsError, Unusable) as error:
        _refuse(str(error))
    _say(f"{caller} is now in {path}", err=True)
    print(key, flush=True)


def _refuse(sentence: str) -> NoReturn:
    _say(f"imageedit-server: {sentence}", err=True)
    raise typer.Exit(EXIT_CANNOT_START) from None


def _say(line: str, *, err: bool = False) -> None:
    """Print a line. Hardly any is ours alone: vendors' words, names of files and of tenants stand in them."""
    typer.echo(shown(line), err=err)


def _prepare_process() -> None:
    """What this process makes is its owner's alone, and it may open as many files as the machine lets it."""
    os.umask(PRIVATE)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    share_one_arena()


def _as_json(log: LogSettings) -> bool:
    return log.format == "json" or (log.format == "auto" and not sys.stderr.isatty())


def announce(line: str) -> None:
    """Say that the server is ready. What was loaded until now stays: no search for garbage looks at it again.

    Each such search stops everything; of the whole heap it takes tens of milliseconds.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    print(line, flush=True)
