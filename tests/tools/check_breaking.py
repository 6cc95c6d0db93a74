"""Proves that the protos break no client of the newest release, which is the newest `v*` tag.

The release's protos come out of git as an archive: that works in shallow and detached clones too.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUF = Path(sys.executable).parent / "buf"


def main() -> None:
    """Compare with the newest release; say so where there is none."""
    tag = newest_tag(ROOT)
    if tag is None:
        print("skipped: no v* tag here to compare with")
    else:
        sys.exit(compare(ROOT, tag))


def newest_tag(root: Path) -> str | None:
    """The highest version among the `v*` tags (v1.0.0-rc1 below v1.0.0), None without one or without git."""
    command = ["git", "-c", "versionsort.suffix=-", "tag", "--list", "v*", "--sort=-version:refname"]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return next(iter(listed.split()), None)


def compare(root: Path, tag: str) -> int:
    """Exit code of `buf breaking` against the protos of `tag`; what breaks goes to stdout."""
    with tempfile.TemporaryDirectory() as folder:
        release = f"{folder}/release.tar"
        subprocess.run(
            ["git", "archive", f"--output={release}", tag, "protos", "buf.yaml"], cwd=root, check=True
        )
        return subprocess.run([BUF, "breaking", "--against", release], cwd=root, check=False).returncode


if __name__ == "__main__":
    main()
