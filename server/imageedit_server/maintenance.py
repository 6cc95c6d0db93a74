"""What operators do beside serving: check everything, and back the data up."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from imageedit_server.access.keys import summary_of
from imageedit_server.access.reload import Unusable
from imageedit_server.bootstrap import answers_of, archives_of
from imageedit_server.bootstrap.access import certificates_of, is_exposed, keys_of
from imageedit_server.bootstrap.providers import defaults_of, open_catalog
from imageedit_server.core.model import Model
from imageedit_server.providers.base import AccountRefused
from imageedit_server.providers.catalog import Catalog, ModelClash
from imageedit_server.runtime.clock import SystemClock
from imageedit_server.settings import AuthSettings, Settings, SettingsError, TlsSettings
from imageedit_server.store.database import StoreRefused

REFUSALS = (SettingsError, ModelClash, Unusable)
"""What stops a start."""
NEAR_DAYS = 30
"""So long before its end a model is named."""
SHOWN = 10
"""Of many faults of one kind, this many are named."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``subject`` is what, ``sentence`` how it is.

    What ``warns`` stops no start, and is to be thought about.
    """

    subject: str
    sentence: str
    ok: bool = True
    warns: bool = False


async def check(settings: Settings) -> AsyncIterator[Finding]:
    """Look at the data and at all that a server opens at its start, by opening it, and ask every provider.

    The settings themselves were checked before.
    """
    for finding in check_data(settings):
        yield finding
    yield _looked("keys", partial(_look_at_keys, settings.auth))
    yield _looked("certificate", partial(_look_at_certificate, settings.tls))
    if exposed := _exposure(settings):
        yield Finding("listener", exposed, warns=True)
    for unused in settings.unused_keys:
        yield Finding("unused key", f"{unused}.")
    async with AsyncExitStack() as stack:
        try:
            catalog = open_catalog(settings, stack)
        except REFUSALS as refused:
            yield Finding("providers", str(refused), ok=False)
            return
        yield _looked("default models", partial(_look_at_defaults, settings, catalog))
        yield Finding("models", endings(catalog.models(), SystemClock().now().date()))
        for name, provider in catalog.providers.items():
            try:
                yield Finding(f"provider {name}", await provider.adapter.check_account())
            except AccountRefused as refused:
                yield Finding(f"provider {name}", str(refused), ok=False)


def _looked(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, look())
    except REFUSALS as refused:
        return Finding(subject, str(refused), ok=False)


def _look_at_keys(auth: AuthSettings) -> str:
    keys = keys_of(auth)
    return "Callers need none." if keys is None else summary_of(auth.keys_file, keys.value)


def _look_at_certificate(tls: TlsSettings) -> str:
    found = certificates_of(tls)
    return "None is needed without TLS." if found is None else f"It is valid until {found.valid_until()}."


def _exposure(settings: Settings) -> str:
    """Say that strangers reach gRPC itself, where they do; empty elsewhere."""
    if settings.tls.client_ca_file or not is_exposed(settings):
        return ""
    return (
        f"Strangers can reach gRPC at {settings.server.listen}: put nginx or HAProxy in front (docs/proxies)"
        " and set server.behind_proxy = true, or ask for certificates with tls.client_ca_file."
    )


def _look_at_defaults(settings: Settings, catalog: Catalog) -> str:
    defaults = defaults_of(settings, catalog)
    return f"{defaults.edit_model}, and {defaults.model_edit_model} for model edits."


def endings(models: Sequence[Model], today: date) -> str:
    """Say in a sentence which models their vendors serve no more, or not for long."""
    ending = sorted(
        (model.shutdown_date, model.name)
        for model in models
        if model.shutdown_date and (model.shutdown_date - today).days <= NEAR_DAYS
    )
    if not ending:
        return f"None of {len(models)} is known to end within {NEAR_DAYS} days."
    return f"Their vendors end {', '.join(_ending(name, day, today) for day, name in ending)}."


def _ending(name: str, day: date, today: date) -> str:
    days = (day - today).days
    return f"{name} on {day} ({f'in {days} days' if days > 0 else 'which is past'})"


def check_data(settings: Settings) -> Iterator[Finding]:
    """Look at the database and the images."""
    archive, pictures = archives_of(settings)
    if not archive.exists():
        yield Finding("data", f"There is none in {settings.server.data_dir} yet.")
        return
    try:
        schema, faults, images = archive.schema(), archive.faults(), archive.images()
    except StoreRefused as refused:
        yield Finding("database", str(refused), ok=False)
        return
    yield Finding("schema", schema)
    if older := archive.older_copies():
        holds = "from before an upgrade: it holds what was erased since. Remove it when it is needed no more"
        yield from (Finding("copy", f"{name} is {holds}.") for name in older)
    yield from _found("database", faults, "It is sound.")
    lost = [f"The bytes of {image_id} are gone or cut short." for image_id in pictures.missing(images)]
    yield from _found("images", lost, f"All {len(images)} are there.")
    yield Finding("answers", _kept_in(settings))


def _kept_in(settings: Settings) -> str:
    stored = answers_of(settings).stored()
    kept = [each.size_bytes for each in stored if each.tried]
    unread = f" {len(stored) - len(kept)} are still to be acted on." if len(stored) > len(kept) else ""
    if not kept:
        return f"None is kept.{unread}"
    return f"{len(kept)} that could not be read are kept, {sum(kept) / 2**20:.1f} MiB.{unread}"


def _found(subject: str, faults: list[str], else_: str) -> Iterator[Finding]:
    for fault in faults[:SHOWN]:
        yield Finding(subject, fault, ok=False)
    if len(faults) > SHOWN:
        yield Finding(subject, f"There are {len(faults) - SHOWN} more like it.", ok=False)
    if not faults:
        yield Finding(subject, else_)


def backup(settings: Settings, target: Path) -> Iterator[Finding]:
    """Copy data that a server may be writing; what ``target`` has from before is not copied again.

    Images first: those that are forgotten while the copy is made would else be missing. Then the database as
    of one moment, then the images that came meanwhile, and the answers. Raises ``StoreRefused`` for a target
    that was ever served from: a server would lose its database, or what the copy had become by being served.
    """
    copied_to = with_data_dir(settings, target)
    (archive, pictures), (copy, copied_pictures) = archives_of(settings), archives_of(copied_to)
    if copy.was_served():
        raise StoreRefused(f"{target} is the data dir of a server; choose another folder for the copy")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    copied = pictures.copy_to(target, archive.images())
    archive.copy_to(target)
    copied += pictures.copy_to(target, copy.images())
    answers = answers_of(settings).copy_to(target)
    yield Finding("copied", f"The database, {copied} images and {answers} answers.")
    yield from _still_held(copied_pictures.others(copy.images()))
    yield from check_data(copied_to)


def _still_held(others: Sequence[str]) -> Iterator[Finding]:
    """Name the images that an older copy had and the data have no more: they may have been erased."""
    for name in others[:SHOWN]:
        yield Finding("copy", f"{name} is still in it, though the data have it no more; delete the file.")
    if len(others) > SHOWN:
        yield Finding(
            "copy", f"So are {len(others) - SHOWN} more; a copy into a new folder has none of them."
        )


def with_data_dir(settings: Settings, folder: Path) -> Settings:
    """Return the same settings for other data."""
    return settings.model_copy(update={"server": settings.server.model_copy(update={"data_dir": folder})})
