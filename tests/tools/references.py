"""Finds what the repository's texts refer to, and says which references lead nowhere.

References are the marks P8, F19 and T5, sections (DESIGN §4, "PROMISES §2, §3"), vendor pages, pages that are
named by their path (docs/settings.md, with or without an anchor), and in Markdown links, and paths between
backticks. They lead to headings and first cells of tables in docs/, and to files.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PAPERS = {"DESIGN": "design.md", "PROMISES": "promises.md", "VENDORS": "vendors.md"}
FOLDERS = ("clients", "docs", "protos", "server", "tests")
SUFFIXES = (".md", ".proto", ".py", ".toml", ".yaml")
PACKAGE = "server/imageedit_server"

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_NUMBER = re.compile(r"(\d+(?:\.\d+)*)\.? ")
_MARK_HEADING = re.compile(r"([PFT]\d+) ")
_MARK_ROW = re.compile(r"^\| ([PFT]\d+|page \d) \|", re.MULTILINE)

_MARK = re.compile(r"\b[PFT]\d{1,3}\b")
_NO_MARK_AFTER = ("noqa: ", ".", "%")  # a lint rule, a part of a number, an escaped byte
_SECTION = r"(?:§|section )\d+(?:\.\d+)*"
_JOINT = r"(?:,? and |, | to |; | )"
_CITED = re.compile(rf"\b([A-Z][A-Z-]{{3,}})((?:{_JOINT}(?:{_SECTION}|[PF]\d+))*{_JOINT}{_SECTION})")
_LONE_SECTION = re.compile(r"§(\d+(?:\.\d+)*)")
_VENDOR_PAGE = re.compile(r"endor(?:'s)? pages? (\d)(?: and (\d))?")
_DOC_PATH = re.compile(r"docs/(?<![\w/(]docs/)([\w-]+\.(?:md|json|jpg))(?:#([\w-]+))?")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE_PATH = re.compile(
    r"`((?:clients|docs|generated|protos|server|tests)/[\w./-]+|(?:[\w-]+/)+(?:[\w-]+\.(?:py|md|json|proto))?|\w+\.py)`"
)


@dataclass(frozen=True)
class Page:
    """Where references may lead on one page: anchors as GitHub makes them, section numbers, marks."""

    anchors: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)


def read_page(text: str) -> Page:
    """Read the headings of a page, and the first cells of its tables that are marks."""
    page, slugs = Page(), Counter[str]()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        page.anchors.add(f"{slug}-{slugs[slug]}" if slugs[slug] else slug)
        slugs[slug] += 1
        if number := _NUMBER.match(heading):
            page.numbers.add(number[1])
        if mark := _MARK_HEADING.match(heading):
            page.marks.add(mark[1])
    page.marks.update(_MARK_ROW.findall(text))
    return page


class References:
    """The references of one repository, held against what is there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pages = {path.name: read_page(path.read_text()) for path in (root / "docs").glob("*.md")}
        self._marks = set().union(*(page.marks for page in self._pages.values()))

    def problems(self) -> list[str]:
        """Return a line for each reference that leads nowhere."""
        return [problem for path in self.files() for problem in self.problems_in(path, path.read_text())]

    def files(self) -> Iterator[Path]:
        """Yield every text that may refer to something."""
        yield self._root / "Makefile"
        yield from (path for path in sorted(self._root.iterdir()) if path.suffix in SUFFIXES)
        for folder in FOLDERS:
            yield from (path for path in sorted((self._root / folder).rglob("*")) if _is_ours(path))

    def problems_in(self, path: Path, text: str) -> Iterator[str]:
        """Yield the problems of one text at ``path``."""
        found = [*self._marks_in(text), *self._sections_in(path, text), *self._pages_in(text)]
        if path.suffix == ".md":
            found += self._links_in(path, text)
        if path.suffix == ".md" and path.parent in (self._root, self._root / "docs"):
            found += self._paths_in(text)
        for position, reference in found:
            line = text.count("\n", 0, position) + 1
            yield f"{path.relative_to(self._root)}:{line}: {reference} leads nowhere"

    def _marks_in(self, text: str) -> Iterator[tuple[int, str]]:
        for found in _MARK.finditer(text):
            if found[0] not in self._marks and not text[: found.start()].endswith(_NO_MARK_AFTER):
                yield found.start(), found[0]
        for found in _VENDOR_PAGE.finditer(text):
            for number in filter(None, found.groups()):
                if f"page {number}" not in self._marks:
                    yield found.start(), f"vendor page {number}"

    def _sections_in(self, path: Path, text: str) -> Iterator[tuple[int, str]]:
        """Sections of a named paper; one that names none is of its own page, so in code it leads nowhere."""
        if "§" not in text and " section " not in text:
            return
        own = self._pages.get(path.name, Page()) if path.parent.name == "docs" else Page()
        for found in _CITED.finditer(text):
            page = self._pages.get(PAPERS.get(found[1], ""), Page())
            for number in re.findall(r"(?:§|section )([\d.]*\d)", found[2]):
                if number not in page.numbers:
                    yield found.start(), f"{found[1]} §{number}"
        for found in _LONE_SECTION.finditer(_CITED.sub(lambda cited: " " * len(cited[0]), text)):
            if found[1] not in own.numbers:
                yield found.start(), found[0]

    def _pages_in(self, text: str) -> Iterator[tuple[int, str]]:
        for found in _DOC_PATH.finditer(text):
            if not (self._root / "docs" / found[1]).exists() or not self._has_anchor(found[1], found[2]):
                yield found.start(), found[0]

    def _links_in(self, path: Path, text: str) -> Iterator[tuple[int, str]]:
        plain = _FENCE.sub(lambda fenced: " " * len(fenced[0]), text)
        for found in _LINK.finditer(plain):
            target, _, anchor = found[1].partition("#")
            aim = (path.parent / target).resolve() if target else path
            if not re.match(r"\w+:", found[1]) and not (aim.exists() and self._has_anchor(aim.name, anchor)):
                yield found.start(), found[1]

    def _paths_in(self, text: str) -> Iterator[tuple[int, str]]:
        for found in _CODE_PATH.finditer(text):
            if not any((self._root / base / found[1]).exists() for base in ("", PACKAGE)):
                yield found.start(), found[1]

    def _has_anchor(self, name: str, anchor: str | None) -> bool:
        return not anchor or anchor in self._pages.get(name, Page()).anchors


def _is_ours(path: Path) -> bool:
    return path.suffix in SUFFIXES and "node_modules" not in path.parts
