"""A machine that has just been started: ``time.monotonic`` begins at 0, for a whole run of pytest.

    python -m pytest -p tests.young_clock tests/telemetry

It is loaded before all else, so that the product and every event loop read this clock and no other.
"""

import time

_machine_monotonic = time.monotonic
_began = _machine_monotonic()


def monotonic() -> float:
    """Return the seconds since this module was loaded."""
    return _machine_monotonic() - _began


time.monotonic = monotonic
