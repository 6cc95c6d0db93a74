"""What of an answer is not written: headers with credentials, and the secrets of the call in any place.

A vendor may say our key again, in an error or in a header. It is covered by as many asterisks: a body keeps
its length, and its JSON and its pictures stay what they are. Only secrets of ``SHORTEST_SECRET`` characters
are looked for: a short key ("EMPTY", "test") may stand in the Base64 of a picture by chance.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

SHORTEST_SECRET = 20
DROPPED_HEADERS = frozenset(
    {
        "authorization",
        "cookie",
        "proxy-authenticate",
        "proxy-authorization",
        "set-cookie",
        "set-cookie2",
        "www-authenticate",
        "x-api-key",
    }
)


class Mask:
    """Covers the secrets of one call in what its vendor answers, piece by piece."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        forms = {form.encode() for secret in long for form in (secret, quote(secret, safe=""))}
        self._secrets = sorted(forms, key=len, reverse=True)
        self._held = b""

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return what may be written of a head."""
        return {name: self._covered(value) for name, value in headers.items() if name not in DROPPED_HEADERS}

    def piece(self, data: bytes) -> bytes:
        """Return what may be written now; the beginning of a secret waits for what follows."""
        if not self._secrets:
            return data
        data = self._held + data
        pieces, done = [], 0
        waits_from = self._waits_from(data, done)
        for found in self._all_in(data):
            if found.start() >= waits_from:
                break
            pieces += [data[done : found.start()], b"*" * len(found[0])]
            done = found.end()
            waits_from = self._waits_from(data, done)
        self._held = data[waits_from:]
        return b"".join([*pieces, data[done:waits_from]])

    def rest(self) -> bytes:
        """Return what still waited, at the end of the body."""
        rest, self._held = self._held, b""
        return rest

    def _waits_from(self, data: bytes, start: int) -> int:
        """Return where the longest end of ``data`` begins, from ``start`` on, that may become a secret."""
        begin = max(len(data) - len(self._secrets[0]) + 1, start)
        ends = [_begun(secret, data[begin:]) for secret in self._secrets]
        return begin + min(ends) if begin < len(data) else len(data)

    def _all_in(self, data: bytes) -> Iterator[re.Match[bytes]]:
        """Find the secrets in ``data``; no pattern is made where there are none, as in most answers."""
        if not any(secret in data for secret in self._secrets):
            return iter(())
        return re.finditer(b"|".join(map(re.escape, self._secrets)), data)

    def _covered(self, text: str) -> str:
        if not self._secrets:
            return text
        raw = text.encode("utf-8", "surrogateescape")
        for found in self._all_in(raw):
            raw = raw[: found.start()] + b"*" * len(found[0]) + raw[found.end() :]
        return raw.decode("utf-8", "surrogateescape")


def _begun(secret: bytes, end: bytes) -> int:
    """Return where in ``end`` the longest part begins that ``secret`` may go on from; its length for none."""
    at = end.find(secret[:1])
    while at >= 0:
        if len(end) - at < len(secret) and secret.startswith(end[at:]):
            return at
        at = end.find(secret[:1], at + 1)
    return len(end)
