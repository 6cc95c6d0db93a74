"""The calls of the operating system that the answers' folder is worked with, in one place.

Tests let them fail. Each raises ``OSError`` and nothing else.
"""

import ctypes
import errno
import os
from contextlib import suppress
from pathlib import Path

from imageedit_server.runtime.descriptors import SPARES
from imageedit_server.runtime.files import make_durable

_KEEP_SIZE = 1
_NOT_SUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
if _fallocate is not None:
    _fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def make_folder(path: Path) -> None:
    """Make a folder for its owner alone, durably; nothing where it is there already."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
        sync_folder(path.parent)


def create(path: Path) -> int:
    """Make a new file for its owner alone, and return its descriptor: if need be a spare one."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return SPARES.use(lambda: os.open(path, flags, 0o600))


def write_at(descriptor: int, data: bytes | bytearray | memoryview, position: int) -> None:
    """Write all of ``data`` at ``position``."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, position)
        rest, position = rest[written:], position + written


def sync_data(descriptor: int) -> None:
    """Wait until the file's bytes are on the disk."""
    os.fdatasync(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until the folder's names are on the disk."""
    make_durable(path)


def has_name(descriptor: int, path: Path) -> bool:
    """Whether an open file can still be found at ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def free_bytes(descriptor: int) -> int:
    """Return how much room the file's disk has for us."""
    disk = os.fstatvfs(descriptor)
    return disk.f_bavail * disk.f_frsize


def set_aside(descriptor: int, size_bytes: int) -> bool:
    """Take room for a file ahead, without making it longer; False where the file system cannot.

    Not by ``posix_fallocate``, which writes every block where the file system cannot.
    """
    if _fallocate is None:
        return False
    if _fallocate(descriptor, _KEEP_SIZE, 0, size_bytes) == 0:
        return True
    error = ctypes.get_errno()
    if error in _NOT_SUPPORTED:
        return False
    raise OSError(error, os.strerror(error))
