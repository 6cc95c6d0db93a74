"""Lists the licence of everything in requirements.lock in docs/licences.md, from what is installed.

``python -m tests.tools.list_licences`` writes it; with ``--check`` it says when that is out of date. What is
locked for other systems alone is not installed here, so its line is left as it is.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tools.check_lock import PINNED, ROOT

PAGE = ROOT / "docs" / "licences.md"
HEAD = """\
# Licences

What imageedit stands on, as `requirements.lock` pins it, with the licence that each names in its metadata.
`make licences` writes this page; `make check` says when it is out of date. imageedit itself is Apache-2.0.

*serving*: comes with the extra `server` or with the client. *developing*: for tests, checks and builds alone.

| package | version | licence | for |
|---|---|---|---|
"""
LINE = re.compile(r"^\| (\S+) \| (\S+) \|.*$", re.MULTILINE)
OURS = "imageedit"
EXTRAS = ("server", "cli")
CLASSIFIER = "License :: OSI Approved :: "
MAX_CHARS = 60


def main() -> None:
    """Write the page, or with ``--check`` exit 1 where it is not what would be written."""
    page = page_of(PAGE.read_text(encoding="utf-8") if PAGE.exists() else "")
    if "--check" not in sys.argv:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        sys.exit(f"{PAGE.relative_to(ROOT)} is out of date; `make licences` writes it anew.")


def page_of(before: str) -> str:
    """Return the page; lines of what is pinned and not installed here are those of ``before``."""
    kept = {(found[1], found[2]): found[0] for found in LINE.finditer(before)}
    serving = set(needed(OURS, EXTRAS))
    pins = sorted({(canonicalize_name(name), version) for name, version in pinned()})
    lines = (line_of(name, version, name in serving, kept) for name, version in pins)
    return HEAD + "".join(f"{line}\n" for line in lines if line)


def pinned() -> list[tuple[str, str]]:
    """Return name and version of everything in the lock."""
    return PINNED.findall((ROOT / "requirements.lock").read_text(encoding="utf-8"))


def line_of(name: str, version: str, serves: bool, kept: Mapping[tuple[str, str], str]) -> str:
    """Return a package's line; empty where it is not installed and nobody knew it."""
    found = installed(name)
    if found is None or found.version != version:
        return kept.get((name, version), "")
    return f"| {name} | {version} | {licence_of(found)} | {'serving' if serves else 'developing'} |"


def licence_of(found: Distribution) -> str:
    """Return what a package says of its licence: the expression, the classifiers, or else the first line."""
    metadata = found.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classified = [each for each in metadata.get_all("Classifier") or () if each.startswith(CLASSIFIER)]
    if classified:
        return ", ".join(each.removeprefix(CLASSIFIER) for each in classified)
    text = metadata["License"].strip().partition("\n")[0] if "License" in metadata else ""
    return text if 0 < len(text) <= MAX_CHARS else "UNKNOWN"


def installed(name: str) -> Distribution | None:
    """Return what is installed under a name."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def needed(name: str, extras: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield everything that a package needs to run here, with these extras, and it."""
    seen: set[tuple[str, str]] = set()
    waiting = [(name, extra) for extra in ("", *extras)]
    while waiting:
        each = waiting.pop()
        if each in seen or (found := installed(each[0])) is None:
            continue
        seen.add(each)
        yield canonicalize_name(each[0])
        for requirement in map(Requirement, found.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": each[1]}):
                waiting += [(requirement.name, extra) for extra in ("", *requirement.extras)]


if __name__ == "__main__":
    main()
