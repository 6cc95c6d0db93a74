"""Strangers' bytes find no way out of the words that each door and rule has (T7 c, F45, F52, F61, F84).

The short form; ``python -m tests.fuzz`` is the long one. A harness that cannot find a bug proves nothing, so
it is set on bugs planted into the same code first.
"""

import base64
import hmac
import struct
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imageedit_server.images import library, structure
from imageedit_server.outbound import addresses, strict_json
from imageedit_server.providers.kie import records as kie_records
from imageedit_server.providers.openai import finding
from imageedit_server.rpc import border
from imageedit_server.settings import SettingsError, loading
from imageedit_server.web import callbacks as web_callbacks
from tests.fuzz import careless, strangers
from tests.fuzz.bugs import BUGS
from tests.fuzz.doors import DOORS
from tests.fuzz.fuzzing import Target, fuzz
from tests.fuzz.pictures import PICTURES
from tests.fuzz.rules import RULES
from tests.fuzz.strangers import STRANGERS

TARGETS = {target.name: target for target in (*RULES, *PICTURES, *DOORS, *STRANGERS)}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
async def test_nothing_escapes(target: Target, request: pytest.FixtureRequest) -> None:
    report = await fuzz(target, target.executions)
    request.node.user_properties.append(("figure: line", ["fuzzing", report.line()]))
    assert report.executions == target.executions
    assert report.findings == 0, "\n".join(report.first)


# Planted bugs: each the way somebody might well have written it

Planting = Callable[[pytest.MonkeyPatch], None]


def _numbers_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "_refuse", float)


def _half_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "_without_surrogates", lambda value: value)


def _percent_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kie_records, "_percent", int)


def _signatures_compared_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compare(a.decode(), b.decode()))


def _base64_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "decode_base64", partial(base64.b64decode, validate=True))


def _chunks_read_beyond_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def parts(data: bytes) -> Iterator[structure.Part]:
        start, letters = 8, b""
        while letters != b"IEND":
            length, letters = struct.unpack_from(">I4s", data, start)
            yield structure.Part(letters, start, start + 12 + length)
            start += 12 + length

    monkeypatch.setattr(structure, "png_parts", parts)


def _users_in_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_refuse_form", lambda _url: None)


def _numbers_beyond_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError("not TOML") from error

    monkeypatch.setattr(loading, "_read_file", read)


def _a_length_that_is_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    read = web_callbacks._read

    async def early(request: Any) -> bytes:
        if int(request.headers["content-length"]) > web_callbacks.MAX_BODY_BYTES:
            raise web_callbacks._TooLarge
        return await read(request)

    monkeypatch.setattr(web_callbacks, "_read", early)


def _messages_that_always_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(border, "_tolerant", lambda deserialize: deserialize)


def _reader(read: Callable[..., Any]) -> Planting:
    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(library, "make_good", read)

    plant.__name__ = read.__name__
    return plant


def _server(bug: str) -> Planting:
    assert bug in BUGS

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(strangers, "BUG", bug)

    plant.__name__ = bug
    return plant


PLANTED: Mapping[str, Sequence[Planting]] = {
    "JSON": (_numbers_that_are_none, _half_characters),
    "kie": (_percent_as_it_comes, _signatures_compared_as_text),
    "openai": (_base64_as_it_comes,),
    "pictures": (_chunks_read_beyond_the_end,),
    "URLs": (_users_in_urls,),
    "settings": (_numbers_beyond_python,),
    "HTTP door": (_a_length_that_is_always_there,),
    "gRPC door": (_messages_that_always_parse,),
    "picture structure": (
        _reader(careless.at_any_cost),
        _reader(careless.with_all_that_follows),
        _reader(careless.by_what_the_header_says),
    ),
    "result structure": (_reader(careless.until_it_dies),),
    "header blocks": (_server("metadata_that_nobody_counts"), _server("refused_keys_in_the_log")),
    "frame order": (_server("messages_that_always_parse"), _server("strangers_let_in")),
}


@pytest.mark.parametrize(
    ("name", "plant"),
    [(name, plant) for name, plants in PLANTED.items() for plant in plants],
    ids=lambda each: getattr(each, "__name__", each),
)
async def test_a_planted_bug_is_found(
    name: str, plant: Planting, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """In no more executions than the short form has."""
    target = TARGETS[name]
    plant(monkeypatch)
    report = await fuzz(target, target.executions, most=1)
    found = f"planted in {name}, {plant.__name__.strip('_')}: {report.findings}/1 in {report.executions}"
    request.node.user_properties.append(("figure: line", ["fuzzing", found]))
    assert report.findings == 1
