"""What a process gives up so that nobody reaches through it, or into it: memory, capabilities, files by name.

Linux alone has any of it; elsewhere these do nothing.
"""

import ctypes
import os
import struct
import sys
from typing import Final

_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_MOST_CAPABILITIES = 64
_CAPABILITIES_VERSION = 0x20080522

_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # on every machine
_LANDLOCK_VERSION = 1
# Each version of Landlock knows more that one can do with files; the last of them is to command a device.
_FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
_MOST_FILE_RIGHTS = 16
_NETWORK_SINCE, _NETWORK = 4, 0b11
_SCOPES_SINCE, _SCOPES = 6, 0b11  # abstract sockets and signals

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def close_memory() -> None:
    """Keep other processes of the same user out: their way to memory, descriptors and environment.

    What it forks is closed alike; whom it starts is not. Root's capability to trace passes it by.
    """
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_DUMPABLE, *map(ctypes.c_ulong, (0, 0, 0, 0)))


def drop_capabilities() -> None:
    """Have no capability, also as root. Raises ``OSError`` where any is left."""
    if sys.platform != "linux":
        return
    for capability in range(_MOST_CAPABILITIES):
        if _libc.prctl(_PR_CAPBSET_DROP, *map(ctypes.c_ulong, (capability, 0, 0, 0))):
            break  # the last one is behind us, or none may be dropped, nor had
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITIES_VERSION, 0))
    if _libc.capset(header, ctypes.create_string_buffer(bytes(24))):
        raise OSError(ctypes.get_errno(), "The kernel will not take a worker's capabilities.")


def open_nothing() -> None:
    """Reach no file by its name, no network and no other process by signals, as far as Landlock is there.

    Needs that the process cannot get new privileges. What is open stays open.
    """
    if sys.platform != "linux":
        return
    version = _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)
    if version < 1:
        return
    rights = struct.pack(
        "QQQ",
        (1 << _FILE_RIGHTS.get(version, _MOST_FILE_RIGHTS)) - 1,
        _NETWORK if version >= _NETWORK_SINCE else 0,
        _SCOPES if version >= _SCOPES_SINCE else 0,
    )
    rules = _libc.syscall(_LANDLOCK_CREATE, ctypes.create_string_buffer(rights), ctypes.c_size_t(24), 0)
    if rules >= 0:
        _libc.syscall(_LANDLOCK_RESTRICT, rules, 0)
        os.close(rules)
