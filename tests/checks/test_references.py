"""Every reference in code, tests, protos and documents leads somewhere in this repository."""

import re
from pathlib import Path

import pytest

from tests.tools.references import PACKAGE, PAPERS, References, read_page

ROOT = Path(__file__).parents[2]
MADE_UP_HERE = "tests/checks/test_references.py:"
PAGE = """# Papers

## 1. Promises

### P1 An answer is durable

### 1.2 `Code` & words

```
## 7. No heading
```

| # | fault |
|---|---|
| F1 | killed |
| page 0 | the vendor's |
"""


@pytest.fixture(scope="module")
def references() -> References:
    return References(ROOT)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository with one paper, and a file for each kind of text."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "Makefile").write_text("")
    for name in PAPERS.values():
        (tmp_path / "docs" / name).write_text("# Nothing\n")
    (tmp_path / "docs" / "design.md").write_text(PAGE)
    (tmp_path / "server" / "imageedit_server" / "core").mkdir(parents=True)
    (tmp_path / "server" / "imageedit_server" / "core" / "task.py").write_text("")
    return tmp_path


def problems(root: Path, name: str, text: str) -> list[str]:
    (root / name).write_text(text)
    return [problem.removeprefix(f"{name}:") for problem in References(root).problems()]


def test_every_reference_leads_somewhere(references: References) -> None:
    assert [found for found in references.problems() if not found.startswith(MADE_UP_HERE)] == []


def test_the_texts_are_looked_through(references: References) -> None:
    """A walk that finds no files finds no problems."""
    seen = {str(path.relative_to(ROOT)) for path in references.files()}
    assert {"README.md", "Makefile", "pyproject.toml", "docs/promises.md", "tests/conftest.py"} <= seen
    assert {"server/imageedit_server/cli/app.py", "protos/imageedit/v1/task.proto"} <= seen
    assert "clients/python/imageedit_client/client.py" in seen


def test_what_the_glossary_places_in_a_file_is_in_it() -> None:
    """Whoever looks for the moment a paid call becomes durable finds the function where it is said to be."""
    placed = re.findall(r"`(\w+)` in `([\w/]+\.py)`", (ROOT / "docs" / "glossary.md").read_text())
    assert {"begin_attempt", "after_seq"} <= {name for name, _ in placed}
    for name, path in placed:
        assert re.search(rf"\b{name}\b", (ROOT / PACKAGE / path).read_text()), f"{name} is not in {path}"


def test_a_mark_leads_to_one_page_only() -> None:
    pages = {path.name: read_page(path.read_text()) for path in (ROOT / "docs").glob("*.md")}
    marks = [mark for page in pages.values() for mark in page.marks]
    assert len(marks) == len(set(marks))
    assert {"P1", "F1", "T2"} <= pages["promises.md"].marks
    assert "page 0" in pages["vendors.md"].marks


def test_what_can_be_referred_to_on_a_page() -> None:
    page = read_page(PAGE)
    assert page.numbers == {"1", "1.2"}
    assert page.marks == {"P1", "F1", "page 0"}
    assert page.anchors == {"papers", "1-promises", "p1-an-answer-is-durable", "12-code--words"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# P999, P1", "P999"),
        ("# F1 to F999.", "F999"),
        ("# (T99)", "T99"),
        ("# DESIGN §99", "DESIGN §99"),
        ("# DESIGN §1, §1.2 and §99", "DESIGN §99"),
        ("# DESIGN P1, §99.", "DESIGN §99"),
        ("# DESIGN section 99", "DESIGN §99"),
        ("# PROMISES §1", "PROMISES §1"),
        ("# UNKNOWN §1", "UNKNOWN §1"),
        ("# §1", "§1"),
        ("# vendor pages 0 and 9", "vendor page 9"),
        ("# docs/gone.md", "docs/gone.md"),
        ("# docs/design.md#gone", "docs/design.md#gone"),
    ],
)
def test_a_reference_that_leads_nowhere_is_found_in_code(small: Path, text: str, told: str) -> None:
    assert problems(small, "planted.py", f'"""A line."""\n{text}\n') == [f"2: {told} leads nowhere"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a link](docs/gone.md)", "docs/gone.md"),
        ("[an anchor](docs/design.md#gone)", "docs/design.md#gone"),
        ("[an anchor](#gone)", "#gone"),
        ("![a picture](gone.jpg)", "gone.jpg"),
        ("`core/gone.py`", "core/gone.py"),
        ("`gone/`", "gone/"),
        ("`server/gone`", "server/gone"),
    ],
)
def test_a_link_or_path_that_leads_nowhere_is_found_in_a_document(small: Path, text: str, told: str) -> None:
    assert problems(small, "PLANTED.md", f"# Planted\n\n{text}\n") == [f"3: {told} leads nowhere"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "planted.py",
            "# P1, F1; DESIGN §1 and §1.2, DESIGN section 1; vendor page 0  # noqa: F401",
        ),
        ("planted.py", "# docs/design.md#1-promises, docs/vendors.md; 1.F2, %F0"),
        ("PLANTED.md", "[it](docs/design.md#p1-an-answer-is-durable), `core/task.py`, `core/`, `a/b`, `/c/`"),
        ("PLANTED.md", "[elsewhere](https://example.com/) and\n```\n[no link](gone.md)\n```\n"),
        ("docs/planted.md", "## 2. Here\n\nas §2 says; [up](../PLANTED.md), [design](design.md)"),
    ],
)
def test_what_leads_somewhere_or_is_no_reference_is_left_alone(small: Path, name: str, text: str) -> None:
    (small / "PLANTED.md").write_text("")
    assert problems(small, name, text) == []
