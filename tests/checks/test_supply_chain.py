"""What imageedit stands on is listed with its licence, and an audit that asked nobody says so."""

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.tools import audit, list_licences

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
SERVER = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["server"]

# Licences


def test_the_page_is_what_would_be_written() -> None:
    assert list_licences.page_of(PAGE) == PAGE
    assert PAGE.count("| serving |") > 20
    assert "UNKNOWN" not in PAGE, "look it up, and ask whether we may"


def test_what_is_pinned_anew_or_no_more_makes_it_out_of_date() -> None:
    line = re.search(r"^\| grpcio \|.*\n", PAGE, re.MULTILINE)
    assert line is not None
    for other in (
        PAGE.replace(line[0], ""),
        PAGE.replace("| grpcio | 1", "| grpcio | 0"),
        f"{PAGE}| x | 1 |\n",
    ):
        assert list_licences.page_of(other) == PAGE != other


def test_what_is_for_other_systems_keeps_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pins = [*list_licences.pinned(), ("other-system", "1.0")]
    monkeypatch.setattr(list_licences, "pinned", lambda: pins)
    line = "| other-system | 1.0 | MIT | serving |\n"
    assert line in list_licences.page_of(f"{PAGE}{line}")


# The audit


def report(**packages: object) -> dict[str, Any]:
    """What pip-audit writes: advisories, or why a package was skipped."""
    told = (
        {"name": name, "version": "1", "vulns": [{"id": each} for each in said]}
        if isinstance(said, list)
        else {"name": name, "skip_reason": said}
        for name, said in packages.items()
    )
    return {"dependencies": list(told), "fixes": []}


@pytest.mark.parametrize(
    ("reports", "code", "words"),
    [
        ([report(a=[], b=[])], 0, "nothing bad is known of 2 packages"),
        ([report(a=[], b=["CVE-1"])], 1, "b: CVE-1"),
        ([report(a="not found", b="not found")], 3, "no advisory source answered"),
        ([report(a=[], b="not found")], 3, "nothing is known of b"),
        ([report(a=[], b="not found"), report(a="not found", b=[])], 0, "2 packages"),
        ([report(a="not found"), report(a=["CVE-2"])], 1, "a: CVE-2"),
        ([], 3, "no advisory source answered"),
    ],
    ids=["clean", "found", "skipped", "partly", "together", "second", "none"],
)
def test_an_audit_is_clean_only_where_somebody_knew_each_package(
    reports: list[dict[str, Any]], code: int, words: str
) -> None:
    found, said = audit.verdict(map(audit.heard_in, reports))
    assert (found, words in "\n".join(said)) == (code, True)


@pytest.mark.parametrize(
    ("written", "exit_code", "code"),
    [
        (json.dumps(report(a=[])), 0, 0),
        (json.dumps(report(a=["CVE-1"])), 1, 1),
        (json.dumps(report(a="not found")), 0, 3),
        ("", 1, 3),
        ("[]", 0, 3),
    ],
)
def test_the_command_ends_with_what_was_heard(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    written: str,
    exit_code: int,
    code: int,
) -> None:
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\nprintf '%s' '{written}'\nexit {exit_code}\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "argv", ["audit", str(program), "one"])
    with pytest.raises(SystemExit) as ended:
        audit.main()
    assert ended.value.code == code
    assert capsys.readouterr().out.startswith("audit: ")


# Private parts


def libraries_with_private_parts_used(folder: Path) -> Iterator[str]:
    """Yield the library of each import of something private that is not ours."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                parts = [*node.module.split("."), *(alias.name for alias in node.names)]
                if any(part.startswith("_") and not part.endswith("__") for part in parts):
                    yield parts[0]


def test_a_library_whose_private_parts_are_used_has_an_upper_bound() -> None:
    """And so has each that is patched or derived from: the versions that it was proven with."""
    known = {"grpc": "grpcio"}
    used = set(libraries_with_private_parts_used(ROOT / "server" / "imageedit_server")) - {
        "imageedit_server",
        "__future__",
    }
    proven = {
        found
        for path in (ROOT / "server" / "imageedit_server").rglob("*.py")
        for found in re.findall(r"ProvenVersions\(library=\"([^\"]+)\"", path.read_text(encoding="utf-8"))
    }
    bounded = {each.name for each in map(Requirement, SERVER) if "<" in str(each.specifier)}
    assert {known.get(each, each) for each in used} <= proven
    assert proven >= {"grpcio", "uvicorn"}
    assert proven <= bounded
