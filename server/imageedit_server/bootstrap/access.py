"""Who may call: keys and certificates, read at the start and again when their files change."""

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from imageedit_server.access.admission import Admission
from imageedit_server.access.callers import Callers
from imageedit_server.access.certificates import CertificateFiles, Certificates
from imageedit_server.access.inflight import BytesInFlight
from imageedit_server.access.keys import Keys, read_keys, summary_of
from imageedit_server.access.rates import RequestRates
from imageedit_server.access.reload import Reloaded, Unusable
from imageedit_server.access.uploads import UploadPlaces
from imageedit_server.access.watches import WatchBudget
from imageedit_server.settings import (
    AuthSettings,
    LimitsSettings,
    Settings,
    TlsSettings,
    parse_address,
)

RELOAD_SECONDS = 1.0
"""How soon a new key or certificate is taken up; the end of a revoked key's streams has 60 (P23)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Who may call, with the files that say so; None where callers need no key, and for plaintext."""

    admission: Admission
    keys: Reloaded[Keys] | None
    certificates: Certificates | None


def open_access(settings: Settings) -> Access:
    """Read keys and certificate, and warn of what is of no use. Raises ``Unusable``."""
    keys, certificates = keys_of(settings.auth), certificates_of(settings.tls)
    _warn_of_useless(settings.auth, keys, certificates)
    _warn_of_plaintext(settings)
    return Access(admission=_admission(keys, settings.limits), keys=keys, certificates=certificates)


def keys_of(auth: AuthSettings) -> Reloaded[Keys] | None:
    """Read the callers' keys, None when callers need none. Raises ``Unusable``."""
    if auth.mode == "none":
        return None
    return Reloaded([auth.keys_file], partial(read_keys, auth.keys_file))


def _warn_of_useless(
    auth: AuthSettings, keys: Reloaded[Keys] | None, certificates: Certificates | None
) -> None:
    """Not refused: the first key may come while it runs, and so may the next certificate."""
    try:
        if keys is not None:
            summary_of(auth.keys_file, keys.value)
        if certificates is not None:
            certificates.valid_until()
    except Unusable as useless:
        _log.warning("%s", useless)


def _admission(keys: Reloaded[Keys] | None, limits: LimitsSettings) -> Admission:
    """Callers are only looked at, on the way of every call, where there is something to look for."""
    asked = keys is not None or limits.requests_per_second
    return Admission(
        callers=Callers(keys, RequestRates(limits.requests_per_second)) if asked else None,
        watches=WatchBudget(per_tenant=limits.watches),
        uploads=UploadPlaces(),
        in_flight=BytesInFlight(per_tenant=limits.inflight_bytes, per_server=limits.inflight_bytes_total),
    )


def certificates_of(tls: TlsSettings) -> Certificates | None:
    """Read the server's certificate, None when it speaks plaintext. Raises ``Unusable``."""
    if not tls.cert_file:
        return None
    client_ca = Path(tls.client_ca_file) if tls.client_ca_file else None
    files = CertificateFiles(cert=Path(tls.cert_file), key=Path(tls.key_file), client_ca=client_ca)
    return Certificates(files)


def _warn_of_plaintext(settings: Settings) -> None:
    """Not refused: behind a proxy or in a mesh that speaks TLS, plaintext is what the server is to speak."""
    if not settings.tls.cert_file and is_exposed(settings):
        _log.warning(
            "%s can be reached from other machines without TLS: API keys and pictures travel readable for all"
            " on the way; set tls.cert_file and tls.key_file, or server.behind_proxy = true if something in"
            " front of it speaks TLS",
            settings.server.listen,
        )


def is_exposed(settings: Settings) -> bool:
    """Whether others than this machine and a proxy may reach the gRPC door."""
    return not (settings.server.behind_proxy or parse_address(settings.server.listen).is_loopback)


async def look_again(access: Access) -> None:
    """Take up keys and certificates that were changed, and end what was open under a key that is gone."""
    keys, certificates, callers = access.keys, access.certificates, access.admission.callers
    while True:
        await asyncio.sleep(RELOAD_SECONDS)
        if certificates is not None:
            await asyncio.to_thread(certificates.look)
        if keys is not None and await asyncio.to_thread(keys.look) and callers is not None:
            callers.cut_off()
