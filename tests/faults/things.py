"""What calls are about, without what differs from one to the next: names of pictures, ports of callers."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults.control import Call

Trace = Sequence[tuple[Call, str]]
"""Every call of an operation, in order, and what it was about."""

_THINGS = (
    (re.compile(r".*/site-packages/.*|.*/python3[^/]*/.*|.*/python3\d+\.zip"), "what is installed"),
    (re.compile(r"/(dev|proc|sys)/.*"), "the machine"),
    (re.compile(r"pipe:.*"), "a pipe"),
    (re.compile(r"/[0-9a-f]{2}(/[0-9a-f]{20,})$"), "/a picture"),
    (re.compile(r"/[0-9a-f]{2}$"), "/a folder of pictures"),
    (re.compile(r"/[0-9a-f]{20,}$"), "/a file"),
    (re.compile(r"etilqs_\w+"), "a file of SQLite's"),
)
_PORTS = re.compile(r"port (\d+) to (\d+)")


def things(trace: Trace) -> Iterator[str]:
    """Yield for each call what it is about."""
    doors = {_ports(about)[0] for call, about in trace if call is Call.ACCEPT}
    above = {str(folder) for _, about in trace if about.endswith("/images") for folder in _above(about)}
    for _, about in trace:
        if ports := _ports(about):
            ours, theirs = ports
            yield f"at port {ours}" if ours in doors else f"to port {theirs}"
        else:
            yield "above the data dir" if about in above else _thing(about)


def _ports(about: str) -> tuple[str, ...]:
    found = _PORTS.fullmatch(about)
    return found.groups() if found else ()


def _above(images: str) -> Sequence[Path]:
    return Path(images).parent.parents


def _thing(about: str) -> str:
    for pattern, thing in _THINGS:
        about = pattern.sub(thing, about)
    return about
