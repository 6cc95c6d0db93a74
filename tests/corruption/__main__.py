"""The long form: ``python -m tests.corruption [pictures of each format] [seed]``; 1 for a wrong verdict."""

import sys

from tests.corruption.holding import FORMS, held

LONG = 5_000


def main() -> int:
    """Run everything; return the exit code."""
    number, seed = (int(given) for given in (*sys.argv[1:], *(str(LONG), "0")[len(sys.argv) - 1 :]))
    found = 0
    for form in FORMS.values():
        tally = held(form, number, seed=seed)
        print(tally.line(form.name), flush=True)
        print(*tally.findings, sep="\n", end="", file=sys.stderr)
        found += len(tally.findings)
    return min(found, 1)


sys.exit(main())
