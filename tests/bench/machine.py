"""What the figures were measured on, for the head of each table."""

import os
import platform
import sysconfig

OPTIMISED = ("--enable-optimizations", "-fprofile-use")
BUILD = ("CONFIG_ARGS", "PY_CFLAGS", "PY_CFLAGS_NODIST")


def machine() -> str:
    """Name the cores and the Python; how that was built makes a tenth."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} cores, {python}, {_build()}"


def _build() -> str:
    """Say whether its own profile was used to build it (PGO), as far as it tells."""
    told = " ".join(str(sysconfig.get_config_var(name) or "") for name in BUILD)
    if any(sign in told for sign in OPTIMISED):
        return "an optimised build (PGO)"
    return "not an optimised build (without --enable-optimizations; PGO gains 7 to 20 %)"
