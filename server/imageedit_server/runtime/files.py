"""Files that must outlive a power failure."""

import os
import secrets
from pathlib import Path


def make_durable(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


SECRET_BYTES = 32


def secret_in(path: Path) -> bytes:
    """Return the random bytes of a file for its owner alone; it is made when missing, or cut short."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        secret = file.read()
        if len(secret) != SECRET_BYTES:
            if secret:
                file.seek(0)
                file.truncate()
            secret = secrets.token_bytes(SECRET_BYTES)
            file.write(secret)
            file.flush()
            os.fsync(descriptor)
    return secret
