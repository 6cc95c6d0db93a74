"""The keys file: what it may say, and how a key gets into it."""

import asyncio
import re
import stat
from pathlib import Path

import pytest

from imageedit_server.access.keys import Caller, add_key, read_keys, sha256_of, summary_of
from imageedit_server.access.reload import Reloaded, Unusable
from tests.rpc.callers import hash_of

KEY = re.compile(r"imageedit_[A-Za-z0-9_-]{43}")
"""43 characters of base64 are 256 bits."""

FILE = f"""\
# Who may call. Ask the platform team.
alice = [ # the shop
    "{hash_of("one")}", # until May ["not a key"]
    '{hash_of("two")}'
]

# the studio
"b.o@b-1_x" = ["{hash_of("three")}"]
empty = []
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A keys file that somebody wrote by hand."""
    path = tmp_path / "keys.toml"
    path.write_text(FILE)
    return path


def test_every_key_is_found_by_its_hash(file: Path) -> None:
    """Several of one tenant, in every way that TOML writes them."""
    assert read_keys(file) == {
        sha256_of(key): Caller(tenant, sha256_of(key))
        for key, tenant in (("one", "alice"), ("two", "alice"), ("three", "b.o@b-1_x"))
    }


def test_an_empty_file_has_no_keys(tmp_path: Path) -> None:
    """Keys may come later."""
    (tmp_path / "keys.toml").touch()
    assert read_keys(tmp_path / "keys.toml") == {}


def test_a_file_that_is_being_written_is_left_until_it_stays_the_same(file: Path) -> None:
    """An editor that empties a file before it writes it does not take every key away for a moment."""
    keys = Reloaded([file], lambda: read_keys(file))
    before = keys.value
    file.write_text("")
    assert not keys.look()
    file.write_text(FILE + "\n")
    assert not keys.look()
    assert keys.value is before
    assert keys.look()
    assert keys.value == before
    assert not keys.look()


SECRET = "imageedit_a-key-itself"

BAD = {
    "not TOML": "alice = [",
    "not UTF-8": b"alice = ['\xff']",
    "a text": f'alice = "{hash_of("x")}"',
    "a table": f'[alice]\nkey = "{hash_of("x")}"',
    "the key itself": f'alice = ["{SECRET}"]',
    "a hash without its name": f'alice = ["{hash_of("x").removeprefix("sha256:")}"]',
    "upper case": f'alice = ["sha256:{hash_of("x").removeprefix("sha256:").upper()}"]',
    "a short hash": f'alice = ["{hash_of("x")[:-1]}"]',
    "a number": "alice = [1]",
    "two tenants": f'alice = ["{hash_of("x")}"]\nbob = ["{hash_of("x")}"]',
    "no tenant": f'"" = ["{hash_of("x")}"]',
    "a tenant with a line break": f'"a\\nb" = ["{hash_of("x")}"]',
    "the same tenant twice": "alice = []\nalice = []",
}


@pytest.mark.parametrize("text", BAD.values(), ids=list(BAD))
def test_what_is_wrong_is_one_sentence(tmp_path: Path, text: str | bytes) -> None:
    """It names the file and shows no key (P26); and no key is added to such a file."""
    path = tmp_path / "keys.toml"
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(data)
    for use in (lambda: read_keys(path), lambda: add_key(path, "alice")):
        with pytest.raises(Unusable, match=r"^auth\.keys_file: [^\n]*keys\.toml[^\n]*$") as caught:
            use()
        assert SECRET not in str(caught.value)
    assert path.read_bytes() == data


def test_a_new_key_is_long_and_known_by_its_prefix(tmp_path: Path) -> None:
    """At least 256 bits, another one each time; only its hash is in the file."""
    path = tmp_path / "keys.toml"
    made = [add_key(path, "alice") for _ in range(20)]
    keys = {key for key, _ in made}
    assert len(keys) == 20
    assert all(KEY.fullmatch(key) for key in keys)
    assert set(read_keys(path)) == {sha256_of(key) for key in keys}
    assert [caller for _, caller in made] == list(read_keys(path).values())
    assert not any(key in path.read_text() for key in keys)


@pytest.mark.parametrize("tenant", ["alice", "b.o@b-1_x", "empty", "new", "new.with-dots@x"])
def test_what_else_the_file_says_stays(file: Path, tenant: str) -> None:
    """Comments, other tenants, other keys of the same one."""
    before = read_keys(file)
    key, caller = add_key(file, tenant)
    assert read_keys(file) == {**before, sha256_of(key): caller}
    assert caller.tenant == tenant
    comments = re.findall("#.*", FILE)
    assert [comment for comment in comments if comment not in file.read_text()] == []


def test_only_its_owner_reads_the_file(file: Path) -> None:
    """Whatever it was before; and nothing is left beside it."""
    file.chmod(0o644)
    add_key(file, "alice")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["keys.toml"]


def test_a_link_to_the_file_stays_a_link(file: Path) -> None:
    """Where a deployment keeps it elsewhere."""
    link = file.parent / "link.toml"
    link.symlink_to(file)
    key, _ = add_key(link, "alice")
    assert link.is_symlink()
    assert sha256_of(key) in read_keys(file)


async def test_keys_that_are_made_at_once_are_all_kept(file: Path) -> None:
    """Writers wait for each other."""
    made = await asyncio.gather(*(asyncio.to_thread(add_key, file, f"t{number % 5}") for number in range(30)))
    assert {sha256_of(key) for key, _ in made} <= set(read_keys(file))


@pytest.mark.parametrize("tenant", ["", " ", "a b", "-x", "ä", "a\n", "a" * 65, "a/b"])
def test_a_tenant_has_a_plain_name(tmp_path: Path, tenant: str) -> None:
    """It stands in logs and files."""
    with pytest.raises(Unusable, match=r"^a tenant's name is "):
        add_key(tmp_path / "keys.toml", tenant)
    assert not (tmp_path / "keys.toml").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """One sentence."""
    with pytest.raises(Unusable, match=r"^auth\.keys_file: cannot write \S+keys\.toml: [^\n]+$"):
        add_key(tmp_path / "nowhere" / "keys.toml", "alice")


def test_who_is_told_to_make_a_key_is_told_for_which_server(tmp_path: Path) -> None:
    """Without --config the key would go beside a configuration that the server does not have."""
    with pytest.raises(Unusable, match=r"keys new TENANT --config FILE") as missing:
        read_keys(tmp_path / "keys.toml")
    with pytest.raises(Unusable, match=r"keys new TENANT --config FILE") as empty:
        summary_of(tmp_path / "keys.toml", {})
    assert "there is no" in str(missing.value)
    assert "nobody can call" in str(empty.value)
