"""API keys: a file that holds the SHA-256 of each tenant's keys, and how a new one gets into it.

``tenant = ["sha256:<64 hex digits>", …]``, as many tenants and keys as there are. A key has 256 random bits,
so its plain hash gives nothing away, and finding a key is one look-up by that hash, which takes the same
time whatever was sent.
"""

import fcntl
import hashlib
import os
import re
import secrets
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from imageedit_server.access.reload import Unusable, read_bytes

SETTING = "auth.keys_file"
REMEDY = "imageedit-server keys new TENANT --config FILE, with the server's own FILE,"
"""Without it the key would go into the keys file of a server that has no configuration."""
KEY_PREFIX = "imageedit_"
"""How every key begins, so that people and scanners know one when they see it."""
KEY_BYTES = 32
HASH_PREFIX = "sha256:"
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
TENANT_RULE = "a tenant's name is 1 to 64 letters, digits and . _ @ -, and begins with a letter or a digit"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the tenant, and the SHA-256 of the key that proved it, in hex; empty without a key."""

    tenant: str
    key_sha256: str = ""

    def __str__(self) -> str:
        """Name the caller in logs, which never see a key or its whole hash."""
        return f"{self.tenant} (key {self.key_sha256[:8]})" if self.key_sha256 else self.tenant


Keys = Mapping[str, Caller]
"""Callers by the SHA-256 of their keys, in hex."""


def sha256_of(key: str) -> str:
    """Return the hash by which a key is known."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> Keys:
    """Read a keys file. Raises ``Unusable``."""
    if not path.exists():
        raise Unusable(f"{SETTING}: there is no {path}; {REMEDY} makes it")
    return _parse(path, read_bytes(SETTING, path))


def summary_of(path: Path, keys: Keys) -> str:
    """Return how many keys there are. Raises ``Unusable`` for none, with which nobody can call."""
    if not keys:
        raise Unusable(f"{SETTING}: {path} has no keys, so nobody can call; {REMEDY} makes one")
    tenants = {caller.tenant for caller in keys.values()}
    return f"{path} has keys: {len(keys)}, of tenants: {len(tenants)}."


def add_key(path: Path, tenant: str) -> tuple[str, Caller]:
    """Make a key for ``tenant`` and put its hash into the file, which is made when missing.

    Returns the key, which is kept nowhere, and how it is known from now on. What else the file says stays,
    comments too. The file is replaced at once, so that a server sees the old one or the new one, and only
    its owner may read it. Raises ``Unusable``; then the file is as it was.
    """
    if not _TENANT.fullmatch(tenant):
        raise Unusable(TENANT_RULE)
    key = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    caller = Caller(tenant, sha256_of(key))
    path = path.resolve()
    try:
        with _alone(path) as folder:
            before = path.read_bytes() if path.exists() else b""
            _parse(path, before)  # what cannot be read is not made worse
            _replace(folder, path, _with_hash(before.decode(), caller).encode())
    except OSError as error:
        raise Unusable(f"{SETTING}: cannot write {path}: {error.strerror}") from None
    return key, caller


def _parse(path: Path, data: bytes) -> Keys:
    try:
        table = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Unusable(f"{SETTING}: {path} is not valid TOML: {error}") from None
    keys: dict[str, Caller] = {}
    for tenant, hashes in table.items():
        for key_sha256 in _hashes(path, tenant, hashes):
            if keys.setdefault(key_sha256, Caller(tenant, key_sha256)).tenant != tenant:
                raise Unusable(f"{SETTING}: {path} gives key {key_sha256[:8]} to two tenants")
    return keys


def _hashes(path: Path, tenant: str, hashes: Any) -> Iterator[str]:
    if not _TENANT.fullmatch(tenant):
        raise Unusable(f"{SETTING}: {path} names the tenant {tenant!r}; {TENANT_RULE}")
    if not isinstance(hashes, list):
        raise Unusable(f"{SETTING}: in {path}, {tenant} must be a list of hashes")
    for found in hashes:  # what stands there may be a key itself, so it is not shown
        if not isinstance(found, str) or not _HASH.fullmatch(found):
            raise Unusable(
                f'{SETTING}: in {path}, {tenant} has a key that is not "sha256:" and 64 hex digits'
            )
        yield found.removeprefix(HASH_PREFIX)


def _with_hash(text: str, caller: Caller) -> str:
    try:
        document = tomlkit.parse(text)
        document.setdefault(caller.tenant, tomlkit.array()).append(HASH_PREFIX + caller.key_sha256)
    except TOMLKitError as error:  # it reads what tomllib reads
        raise Unusable(f"{SETTING}: cannot be added to: {error}") from None
    return tomlkit.dumps(document)


@contextmanager
def _alone(path: Path) -> Iterator[int]:
    """Keep other writers out of the folder, so that none loses what another one added; yield the folder."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(folder)


def _replace(folder: int, path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # which makes it 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            _keep_owner(path, file.fileno())
            os.fsync(file.fileno())
        os.replace(name, path)
        os.fsync(folder)
    except BaseException:
        os.unlink(name)
        raise


def _keep_owner(path: Path, descriptor: int) -> None:
    """Leave the file to the server's user when another one, such as root, adds a key."""
    with suppress(FileNotFoundError, PermissionError):
        owner = path.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
