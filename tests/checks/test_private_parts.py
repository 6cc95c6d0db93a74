"""No test reaches into private parts of what it tests: the product has seams, properties and signals."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"

PLANTS = "puts defects into the product's own code, to prove that they are found"
ALLOWED: Mapping[str, str] = {
    "tests/bench/sampled_server.py": "asyncio and logging tell in no other way whose work they do",
    "tests/checks/test_parallel.py": "pytest-xdist asks for a method of this name",
    "tests/corruption/test_corruption.py": PLANTS,
    "tests/fuzz/bugs.py": PLANTS,
    "tests/fuzz/test_fuzz.py": PLANTS,
    "tests/machine/mutants.py": PLANTS,
    "tests/powerloss/server.py": PLANTS,
    "tests/rpc/test_request_loops.py": "grpcio asks for calls, and fails to, by methods of these names",
    "tests/storm/bugs.py": PLANTS,
    "tests/telemetry/test_documents.py": "prometheus_client tells a metric's labels in no other way",
}
"""Files that may, each for its reason."""

OWN = ("self", "cls", "super()")
PUBLIC = ("os._exit",)
SETTING = ("setattr", "delattr", "getattr")


def reaches(source: str) -> Iterator[str]:
    """Yield ``LINE: CODE`` for every private part of something else that is named."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            if ast.unparse(node.value) not in OWN and ast.unparse(node) not in PUBLIC:
                yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("imageedit"):
            for alias in filter(lambda alias: _is_private(alias.name), node.names):
                yield f"{node.lineno}: {node.module}.{alias.name}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(SETTING):
            yield from _named_in_texts(node)


def _named_in_texts(call: ast.Call) -> Iterator[str]:
    for argument in call.args[:2]:
        text = argument.value if isinstance(argument, ast.Constant) else ""
        if isinstance(text, str) and any(map(_is_private, text.split("."))):
            yield f"{call.lineno}: {ast.unparse(call)}"


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_no_test_reaches_into_private_parts() -> None:
    found = [
        f"{name}:{reach}"
        for path in sorted(TESTS.rglob("*.py"))
        if (name := str(path.relative_to(ROOT))) not in ALLOWED
        for reach in reaches(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_is_needed(name: str) -> None:
    assert list(reaches((ROOT / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "planted",
    [
        "house.dispatcher._running.clear()",
        "served.server.use_cases.tasks._database.read()",
        "monkeypatch.setattr(database._commits, 'cursor', None)",
        "monkeypatch.setattr(database, '_cursor', None)",
        "monkeypatch.setattr('imageedit_server.store.sqlite.file._check', None)",
        "setattr(database, '_cursor', None)",
        "from imageedit_server.cli import _main",
    ],
)
def test_a_reach_is_found(planted: str) -> None:
    assert len(list(reaches(planted))) == 1


@pytest.mark.parametrize("fair", ["self._x = cls._y", "super()._x()", "os._exit(1)", "x.__dict__"])
def test_what_is_no_reach(fair: str) -> None:
    assert list(reaches(fair)) == []
