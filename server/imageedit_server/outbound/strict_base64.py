"""Base64 from a vendor, read strictly: no white space, no other alphabet, padding as it must be (F53)."""

import binascii

import pybase64


def read_base64(text: str) -> bytes:
    """Decode. Raises ``ValueError``.

    Forty times as fast as ``binascii``, which decides about whatever the library refuses.
    """
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        return binascii.a2b_base64(text, strict_mode=True)
