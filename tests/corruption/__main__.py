"""The long form: ``python -m tests.corruption [pictures of each format] [seed]``; 1 for a wrong verdict."""

import sys

from tests.corruption.holding import FORMS, held

LONG = 5_000


def main() -> int:
    """Run everything; return the exit code."""
    number, seed = (int(given) for given in (*sys.argv[1:], *(str(LONG), "0")[len(sys.argv) - 1 :]))
    found = 0
    for name, form in FORMS.items():
        tally = held(form, number, seed=seed)
        print(tally.line(name), flush=True)
        for finding in tally.findings:
            print(finding, file=sys.stderr)
        found += len(tally.findings)
    return min(found, 1)


sys.exit(main())
