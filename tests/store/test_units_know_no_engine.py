"""What is common to all databases names none of them, not even where an import contract cannot see it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import imageedit_server.store

STORE = Path(imageedit_server.store.__file__).parent
OF_ENGINES = {path.parent for path in STORE.glob("*/dialect.py")}
COMMON = [path for path in STORE.rglob("*.py") if not OF_ENGINES & set(path.parents)]
ENGINES = ("sqlite3", "asyncpg", "psycopg", "sqlalchemy.dialects", "imageedit_server.store.sqlite")
TRICKS = {"exec_driver_sql", "lastrowid", "driver_connection"}


def engine_words(tree: ast.AST) -> Iterator[str]:
    """Yield what a module says that only one engine understands."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if f"{name}.".startswith(tuple(f"{each}." for each in ENGINES)))
        if isinstance(node, ast.Attribute) and node.attr in TRICKS:
            yield node.attr


def test_the_folders_of_engines_are_found() -> None:
    assert STORE / "sqlite" in OF_ENGINES
    assert STORE / "claims.py" in COMMON


@pytest.mark.parametrize("path", COMMON, ids=lambda path: str(path.relative_to(STORE)))
def test_units_know_no_engine(path: Path) -> None:
    assert list(engine_words(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import sqlite3",
        "from sqlite3 import IntegrityError",
        "from sqlalchemy.dialects.sqlite import insert",
        "from sqlalchemy import dialects",
        "from imageedit_server.store import sqlite",
        "from imageedit_server.store.sqlite.file import driver",
        "connection.exec_driver_sql(text)",
        "cursor.lastrowid",
    ],
)
def test_what_names_an_engine_is_found(text: str) -> None:
    assert list(engine_words(ast.parse(text)))
