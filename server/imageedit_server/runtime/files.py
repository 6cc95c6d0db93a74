"""Files that must outlive a power failure."""

import os
import secrets
import shutil
from pathlib import Path


def make_durable(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_durably(source: Path, target: Path) -> bool:
    """Copy a file for its owner alone, whole or not at all; False when the source is gone.

    The folder's names are the caller's to make durable.
    """
    half = target.with_name(f"{target.name}.half")
    try:
        shutil.copyfile(source, half)
    except FileNotFoundError:
        return False
    half.chmod(0o600)
    make_durable(half)
    half.rename(target)
    return True


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
