"""The clients in other languages: a toolchain that is missing is told of, and their locks name no address."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.tools import generate_client_stubs, toolchains


@pytest.fixture
def nothing_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize("language", generate_client_stubs.STUBS)
@pytest.mark.usefixtures("nothing_on_path")
def test_a_check_without_its_toolchain_is_skipped_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(sys, "argv", ["generate_client_stubs", "--check", language])
    generate_client_stubs.main()
    assert re.fullmatch(r"skipped: there is no (go|node) on PATH\n", capsys.readouterr().out)


@pytest.mark.parametrize("language", generate_client_stubs.STUBS)
@pytest.mark.usefixtures("nothing_on_path")
def test_in_continuous_integration_it_fails(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(sys, "argv", ["generate_client_stubs", "--check", language])
    with pytest.raises(SystemExit, match=r"there is no (go|node) on PATH"):
        generate_client_stubs.main()


def test_what_cannot_be_fetched_is_missing_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network and nothing in the caches: the last word of the toolchain's own client is told."""
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho first >&2\necho no network >&2\nexit 1\n", encoding="ascii")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(toolchains.Missing, match=r"^go mod download failed: no network$"):
        toolchains.go()


def test_a_node_that_is_too_old_is_missing_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest one that does is the one that package.json names."""
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v18.20.4\n", encoding="ascii")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(toolchains.Missing, match=r"^node is v18\.20\.4; the client needs 20 or newer$"):
        toolchains.node()
    engines = json.loads((toolchains.TYPESCRIPT / "package.json").read_text(encoding="utf-8"))["engines"]
    assert engines == {"node": f">={toolchains.OLDEST_NODE}"}


def test_the_locks_name_versions_and_hashes_and_no_address() -> None:
    lock = json.loads((toolchains.TYPESCRIPT / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert [name for name, each in packages.items() if "resolved" in each or "integrity" not in each] == []
    for path in (toolchains.GO / "go.sum", toolchains.GO_TOOLS / "go.sum", toolchains.TYPESCRIPT / ".npmrc"):
        assert "://" not in path.read_text(encoding="utf-8")
