"""Uploads: read at the caller's pace, within limits of time and of pieces (F82)."""

import asyncio
from collections.abc import AsyncIterator

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_server.access.pace import Pace
from imageedit_server.core.errors import Reason, Refusal, invalid
from imageedit_server.telemetry.metrics import UPLOADED_BYTES

KIB = 1024
MAX_CHUNK_BYTES = 1024 * KIB
MAX_MESSAGES = 65_536
"""20 MiB in pieces of 320 bytes: whoever sends smaller ones, or empty ones, sends work instead of bytes."""
IDLE_SECONDS = 30.0
TOTAL_SECONDS = 600.0


class Upload:
    """The messages of one upload, from its first on."""

    def __init__(self, requests: AsyncIterator[pb.UploadImageRequest]) -> None:
        self._requests = requests

    async def sha256(self) -> str:
        """Read the first message; return the SHA-256 that it announces, in hex, or nothing."""
        first = await self._next(_now() + IDLE_SECONDS)
        if first is None or first.WhichOneof("payload") != "info":
            raise Refusal(Reason.MALFORMED_REQUEST, "The first message of an upload must be info.")
        sha256 = first.info.sha256.removeprefix("sha256:").lower()
        if sha256 and not (len(sha256) == 64 and all(char in "0123456789abcdef" for char in sha256)):
            raise invalid("info.sha256", "must be 64 hex digits")
        return sha256

    async def chunks(self, pace: Pace) -> AsyncIterator[bytes]:
        """Yield the bytes of all other messages. They may take ``TOTAL_SECONDS`` from here on.

        ``pace`` is told what comes, and when it is waited for.
        """
        end = _now() + TOTAL_SECONDS
        for _ in range(MAX_MESSAGES):
            with pace.waiting():
                request = await self._next(min(_now() + IDLE_SECONDS, end))
            if request is None:
                return
            if request.WhichOneof("payload") != "chunk":
                raise Refusal(
                    Reason.MALFORMED_REQUEST, "After info, every message of an upload must be a chunk."
                )
            chunk = request.chunk  # once: each look at the field copies the bytes
            if len(chunk) > MAX_CHUNK_BYTES:
                too_large = f"has {len(chunk)} bytes; at most {MAX_CHUNK_BYTES} are allowed"
                raise invalid("chunk", too_large)
            UPLOADED_BYTES.inc(len(chunk))
            pace.came(len(chunk))
            yield chunk
        raise invalid("chunk", f"comes in more than {MAX_MESSAGES} pieces; send larger ones")

    async def _next(self, deadline: float) -> pb.UploadImageRequest | None:
        try:
            async with asyncio.timeout_at(deadline):
                return await anext(self._requests, None)
        except TimeoutError:
            raise Refusal(
                Reason.QUOTA_EXCEEDED,
                f"An upload may pause for {IDLE_SECONDS:g} s and take {TOTAL_SECONDS:g} s.",
            ) from None


def _now() -> float:
    return asyncio.get_running_loop().time()
