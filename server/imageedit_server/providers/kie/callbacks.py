"""Callbacks: the vendor's id of the work, and the proof that the vendor knows the key (VENDORS §2.4).

The signature covers the id and the time, not the body: nothing but the id is taken from it.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from imageedit_server.providers.base import Callback, CallbackRefused
from imageedit_server.providers.kie.envelope import read_object
from imageedit_server.providers.vendor_ids import vendor_id

MAX_BODY_BYTES = 64 * 1024
MAX_SKEW_SECONDS = 300
ID_NAMES = ("taskId", "task_id", "recordId")

_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def read_callback(
    headers: Mapping[str, str], body: bytes, *, keys: Collection[str], now: datetime
) -> Callback:
    """Return what a callback tells; it must be signed with one of ``keys``, where there are any.

    One that names no task is a hint all the same, since its address says whose it is; but a signature covers
    the id, so that with keys it is malformed, as is one that is too long. Raises ``CallbackRefused`` and
    nothing else: forged when the signature is missing, stale or wrong.
    """
    found = _find_id(body)
    if len(body) > MAX_BODY_BYTES or (keys and not found):
        raise CallbackRefused(forged=False)
    if keys and not _is_signed(headers, found, keys=keys, now=now):
        raise CallbackRefused(forged=True)
    return Callback(vendor_task_id=found)


def _find_id(body: bytes) -> str:
    """Look the id up where the vendor's pages and examples put it, in this order; empty for none."""
    content = read_object(body)
    data = content.get("data")
    places: list[dict[str, Any]] = [data, content] if isinstance(data, dict) else [content]
    candidates = (place.get(name) for place in places for name in ID_NAMES)
    return next(filter(None, map(vendor_id, candidates)), "")


def _is_signed(headers: Mapping[str, str], task_id: str, *, keys: Collection[str], now: datetime) -> bool:
    timestamp = headers.get("x-webhook-timestamp", "")
    signature = headers.get("x-webhook-signature", "")
    if not _TIMESTAMP.fullmatch(timestamp):
        return False
    if abs(now.timestamp() - int(timestamp)) > MAX_SKEW_SECONDS:
        return False
    signed, given = f"{task_id}.{timestamp}".encode(), signature.encode("utf-8", "replace")
    digests = [hmac.digest(key.encode(), signed, hashlib.sha256) for key in keys]
    # As bytes: compare_digest raises for text that is not ASCII.
    return any(hmac.compare_digest(base64.b64encode(digest), given) for digest in digests)
