"""The hooks before a commit are the parts of `make check`, no more and no less."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.tools import run_checks

HOOKS = (Path(__file__).parents[2] / ".pre-commit-config.yaml").read_text()
RUNNER = [".venv/bin/python", "-m", "tests.tools.run_checks"]


def test_each_check_has_its_hook_and_each_hook_its_check() -> None:
    names = re.findall(r"^ +name: (.+)$", HOOKS, re.MULTILINE)
    entries = re.findall(r"^ +entry: (.+)$", HOOKS, re.MULTILINE)
    assert sorted(names) == sorted(run_checks.CHECKS)
    assert [shlex.split(entry) for entry in entries] == [[*RUNNER, name] for name in names]


def test_no_hook_is_fetched_from_elsewhere() -> None:
    """What runs before a commit is what the lock installed."""
    assert re.findall(r"repo: (\S+)", HOOKS) == ["local"]
    assert set(re.findall(r"language: (\S+)", HOOKS)) == {"system"}


def test_the_named_checks_run_and_no_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_checks, "CHECKS", {"first": "python -c pass", "second": "python -c exit(1)"})
    monkeypatch.setattr(sys, "argv", ["run_checks", "first"])
    run_checks.main()
    assert re.fullmatch(r"check: first +ok \(.*\)\n", capsys.readouterr().out)


def test_all_but_the_named_checks_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_checks, "CHECKS", {"first": "python -c pass", "second": "python -c exit(1)"})
    monkeypatch.setattr(sys, "argv", ["run_checks", "--but", "second"])
    run_checks.main()
    assert re.fullmatch(r"check: first +ok \(.*\)\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["--but", "first"], "check: 1 of 1 failed: second"),
        (["--but", "third"], "check: there is no third; there are first, second"),
        (["second"], "check: 1 of 1 failed: second"),
        ([], "check: 1 of 2 failed: second"),
        (["third"], "check: there is no third; there are first, second"),
    ],
)
def test_what_fails_or_is_no_check_ends_with_a_sentence(
    names: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_checks, "CHECKS", {"first": "python -c pass", "second": "python -c exit(1)"})
    monkeypatch.setattr(sys, "argv", ["run_checks", *names])
    with pytest.raises(SystemExit, match=said):
        run_checks.main()
