"""Asks advisory sources about everything in requirements.lock.

``python -m tests.tools.audit PIP_AUDIT [SOURCE …]`` exits with 0 where each package is known to a source and
nothing bad of any, with 1 where something bad is known, and with 3 where no source answered, or none knew a
package: pip-audit itself says 0 then. It asks a network, so no test runs it.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.tools.check_lock import ROOT

SOURCES = ("pypi", "osv")
FOUND, UNANSWERED = 1, 3
ARGUMENTS = ("--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json", "--timeout", "15")


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What a source said: advisories by package, and which packages it knew."""

    advisories: frozenset[tuple[str, str]] = frozenset()
    known: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()


def main() -> None:
    """Ask each source in turn, say what was heard, and exit with what it comes to."""
    program, *sources = sys.argv[1:]
    heard = [ask(program, source) for source in sources or SOURCES]
    code, words = verdict(heard)
    print("\n".join(words))
    sys.exit(code)


def ask(program: str, source: str) -> Heard:
    """Return what a source says of the lock; nothing where it cannot be reached."""
    command = [program, "-r", "requirements.lock", "-s", source, *ARGUMENTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        return heard_in(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        print(f"audit: {source} did not answer: {last[:200]}", file=sys.stderr)
        return Heard()


def heard_in(report: Mapping[str, Any]) -> Heard:
    """Read a report of pip-audit's: a package with ``skip_reason`` is one that the source did not know."""
    packages = report["dependencies"]
    return Heard(
        advisories=frozenset(
            (each["name"], vuln["id"]) for each in packages for vuln in each.get("vulns", ())
        ),
        known=frozenset(each["name"] for each in packages if "skip_reason" not in each),
        unknown=frozenset(each["name"] for each in packages if "skip_reason" in each),
    )


def verdict(heard: Iterable[Heard]) -> tuple[int, list[str]]:
    """Return the exit code and what is printed, of all that the sources said together."""
    answers = list(heard)
    advisories = sorted({each for answer in answers for each in answer.advisories})
    known = {name for answer in answers for name in answer.known}
    unknown = sorted({name for answer in answers for name in answer.unknown} - known)
    if advisories:
        return FOUND, [f"audit: {name}: {advisory}" for name, advisory in advisories]
    if not known:
        return UNANSWERED, ["audit: no advisory source answered; nothing is known of any package"]
    if unknown:
        return UNANSWERED, [f"audit: nothing is known of {', '.join(unknown)}"]
    return 0, [f"audit: nothing bad is known of {len(known)} packages"]


if __name__ == "__main__":
    main()
