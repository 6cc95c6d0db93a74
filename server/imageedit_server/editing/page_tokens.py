"""Page tokens: where a list goes on, sealed.

Lists go on before a task's number, and the numbers count the tasks of all tenants. So nobody may read one in
a token, and a token is of use for the list that gave it alone (P22).
"""

import base64
from hashlib import blake2b
from hmac import compare_digest

_NUMBER_BYTES = 8
_SEAL_BYTES = 16


class PageTokens:
    """Seals with ``key``, which stays secret, and the same when the server starts again."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, number: int, of: tuple[str, ...]) -> str:
        """Return the token with which the list ``of`` some tenant and filters goes on before ``number``."""
        plain = number.to_bytes(_NUMBER_BYTES, "big")
        seal = self._hash(plain + repr(of).encode(), _SEAL_BYTES, b"seal")
        return base64.urlsafe_b64encode(seal + self._hidden(plain, seal)).decode()

    def open(self, token: str, of: tuple[str, ...]) -> int:
        """Return the number in a token. Raises ``ValueError`` when it was not sealed here for that list."""
        data = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        seal, hidden = data[:_SEAL_BYTES], data[_SEAL_BYTES:]
        if len(hidden) != _NUMBER_BYTES:
            raise ValueError("too short or too long")
        number = int.from_bytes(self._hidden(hidden, seal), "big")
        if not compare_digest(self.seal(number, of).encode(), token.encode()):
            raise ValueError("not sealed here for this list")
        return number

    def _hidden(self, plain: bytes, seal: bytes) -> bytes:
        """Hide a number under its seal, or show it again."""
        pad = self._hash(seal, _NUMBER_BYTES, b"pad")
        return bytes(one ^ other for one, other in zip(plain, pad, strict=True))

    def _hash(self, data: bytes, size: int, purpose: bytes) -> bytes:
        return blake2b(data, digest_size=size, key=self._key, person=purpose).digest()
