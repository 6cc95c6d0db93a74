"""A library on whose private parts the server stands: another version is named, a missing part refused."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest
import uvicorn
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it comes without types
from packaging.requirements import Requirement
from uvicorn.protocols.http.h11_impl import H11Protocol

from imageedit_server.rpc import grpcio_patch
from imageedit_server.runtime import versions
from imageedit_server.runtime.versions import ProvenVersions, Unsupported
from imageedit_server.web import server as web_server
from imageedit_server.web import strict_http
from tests.rpc.serving import SCRIPTED, serving

PYPROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
STOOD_ON = [grpcio_patch.PROVEN, web_server.PROVEN, strict_http.PROVEN]
LIBRARY = ProvenVersions(library="library", first="1.85.1", below="1.86")


@pytest.mark.parametrize("bounds", STOOD_ON, ids=lambda each: each.library)
def test_the_bounds_are_those_of_the_package(bounds: ProvenVersions) -> None:
    """What pip may install for the server is what was tested, and no more."""
    asked = map(Requirement, PYPROJECT["project"]["optional-dependencies"]["server"])
    (found,) = [each for each in asked if each.name == bounds.library]
    assert found.specifier == Requirement(bounds.bounds).specifier


@pytest.mark.parametrize(
    ("found", "is_named"),
    [
        ("1.85.1", False),
        ("1.85.1.post1", False),
        ("1.85.10", False),
        ("1.85.0", True),
        ("1.9.9", True),
        ("1.86", True),
        ("1.86.0", True),
        ("1.86.0rc1", True),
        ("1.100.0", True),
        ("2.0", True),
        ("unknown", True),
    ],
)
def test_a_version_outside_the_tested_range_is_named(
    found: str, is_named: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With what it is and what would be right, in one line."""
    monkeypatch.setattr(versions, "version", lambda _: found)
    LIBRARY.name_untested()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == is_named
    assert all(f"library {found} was not tested" in line for line in said)
    assert all(line.endswith("library>=1.85.1,<1.86") for line in said)


def test_what_objects_are_given_when_they_are_made_counts() -> None:
    """Most of what is read belongs to objects that are only there when somebody connects."""
    ProvenVersions(library="uvicorn", first="0", below="1").require(H11Protocol, "cycle", "connection_made")
    with pytest.raises(Unsupported, match=r"has no H11Protocol\.orbit, which"):
        ProvenVersions(library="uvicorn", first="0", below="1").require(H11Protocol, "cycle", "orbit")


@pytest.mark.parametrize("library", [each.library for each in STOOD_ON])
async def test_the_start_names_an_untested_version(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It serves all the same."""
    monkeypatch.setattr(versions, "version", lambda name: "99.1" if name == library else version(name))
    async with serving(tmp_path, SCRIPTED):
        pass
    assert [line for line in caplog.messages if "was not tested" in line] == [
        f"{library} 99.1 was not tested with this server, which is built on private parts of it; tested is "
        + next(each.bounds for each in STOOD_ON if each.library == library)
    ]


async def test_the_tested_versions_are_not_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those of the lock."""
    async with serving(tmp_path, SCRIPTED):
        pass
    assert "was not tested" not in caplog.text


MISSING: dict[str, tuple[Any, str]] = {
    "cygrpc.AioServer": (cygrpc, "AioServer"),
    "cygrpc._handle_rpc": (cygrpc, "_handle_rpc"),
    "cygrpc._schedule_rpc_coro": (cygrpc, "_schedule_rpc_coro"),
    "Server.capture_signals": (uvicorn.Server, "capture_signals"),
    "H11Protocol.on_response_complete": (H11Protocol, "on_response_complete"),
    "H11Protocol.send_400_response": (H11Protocol, "send_400_response"),
}


@pytest.mark.parametrize(("holder", "part"), MISSING.values(), ids=list(MISSING))
async def test_a_part_that_is_missing_stops_the_start(
    holder: ModuleType | type, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence with the library, its version, the part and the remedy."""
    monkeypatch.delattr(holder, part)
    sentence = rf"^(grpcio|uvicorn) [0-9.]+ has no \S*{part}, which this server is built on; install [^\n]+$"
    with pytest.raises(Unsupported, match=sentence):
        async with serving(tmp_path, SCRIPTED):
            pass


async def test_a_grpcio_whose_server_was_built_anew_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without these parts, a stranger's request could end the server for all."""
    monkeypatch.setattr(grpcio_patch, "PlainServer", object)
    with pytest.raises(
        Unsupported, match=re.escape("object._make_request_call_future, object._request_call")
    ):
        await grpcio_patch.server(interceptors=[])
    assert cygrpc.AioServer is not object
    assert isinstance(grpc.aio.Server, type)
