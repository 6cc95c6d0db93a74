"""Carries the conformance vectors out with the Python client."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Self

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_client import AsyncClient, Client, ImageEditError, Pace

Json = dict[str, Any]
IMPATIENT = Pace(call_seconds=0.5, patience_seconds=0.5)


def run(page: Any, client: Callable[..., Any] = Client, only: str = "") -> dict[str, str]:
    """Carry all of them out, or one; return ``ok``, or what is wrong, by their names."""
    vectors = json.loads(Path(page["vectors"]).read_text(encoding="utf-8"))
    chosen = [vector for vector in vectors if only in ("", vector["name"])]
    return {vector["name"]: _run(page, client, vector["steps"]) for vector in chosen}


def _run(page: Any, client: Callable[..., Any], steps: list[Json]) -> str:
    saved: Json = {}
    for step in steps:
        try:
            _carry_out(page, client, step, saved)
        except AssertionError as error:
            return f"{step['call']}: {error}"
    return "ok"


def _carry_out(page: Any, made: Callable[..., Any], step: Json, saved: Json) -> None:
    pictures = Path(page["pictures"])
    request = filled(step.get("request", {}), saved, lambda name: _base64(pictures / name))
    with _client(page, made, step) as client:
        try:
            said = CALLS[step["call"]](client, request, pictures / step.get("picture", ""))
        except ImageEditError as error:
            said = {"refused": _refusal(error)}
    saved[step.get("as", "")] = said
    expected = filled(step.get("expect", {}), saved, lambda name: image_id((pictures / name).read_bytes()))
    assert ("refused" in said) == ("refused" in expected), said
    agree(said, expected, step["call"])


def _client(page: Any, made: Callable[..., Any], step: Json) -> Any:
    through = step.get("through", "direct")
    key = page["keys"][step.get("key", "right")]
    pace = IMPATIENT if through == "nowhere" else None
    return made(page["addresses"][through], api_key=key or None, pace=pace)


def _refusal(error: ImageEditError) -> Json:
    fields = [violation.field for violation in error.field_violations]
    assert error.code is not None
    return {"code": error.code.name, "reason": error.reason, "fields": fields}


# What is called


def _upload(client: Client, _: Json, picture: Path) -> Json:
    return _json(client.upload(picture.read_bytes()))


def _edit(client: Client, request: Json, _: Path) -> Json:
    asked = ParseDict(request, pb.EditImageRequest())
    which = asked.WhichOneof("options")
    options = {"options": getattr(asked, which)} if which else {}
    settings = {**_settings(asked), **options, "n": asked.n}
    return _json(client.edit_image(asked.prompt, list(asked.images), **settings))


def _model_edit(client: Client, request: Json, _: Path) -> Json:
    asked = ParseDict(request, pb.CreateModelEditRequest())
    base, instructions = asked.base_model_task_id, asked.edit_instructions
    return _json(client.create_model_edit(base, instructions, **_settings(asked)))


def _default_model(client: Client, request: Json, _: Path) -> Json:
    asked: Any = ParseDict(request, pb.CreateDefaultModelRequest())
    return _json(client.create_default_model(asked.image, angle=asked.angle, **_settings(asked)))


def _settings(asked: Any) -> Json:
    names = ("request_id", "user_id", "model", "size", "validate_only")
    settings = {name: getattr(asked, name) for name in names if getattr(asked, name)}
    if asked.HasField("timeout"):
        settings["timeout"] = asked.timeout.ToTimedelta()
    return {**settings, "labels": dict(asked.labels)}


def _watch(client: Client, request: Json, _: Path) -> Json:
    after = int(request.get("afterSeq", 0))
    events = list(client.watch(request["taskId"], after_seq=after))
    seqs = [event.seq for event in events]
    return {
        "first": seqs[0] if seqs else 0,
        "last": seqs[-1] if seqs else 0,
        "gapless": seqs == list(range(after + 1, after + 1 + len(seqs))),
        "task": _json(events[-1].task) if events else {},
    }


def _download(client: Client, request: Json, pictures: Path) -> Json:
    saved = client.download_to(request["imageId"], pictures.parent)
    return {"imageId": image_id(saved.path.read_bytes()), "info": _json(saved.image)}


CALLS: Mapping[str, Callable[[Client, Json, Path], Json]] = {
    "upload": _upload,
    "edit": _edit,
    "modelEdit": _model_edit,
    "defaultModel": _default_model,
    "watch": _watch,
    "download": _download,
    "get": lambda client, request, _: _json(client.get(request["taskId"])),
    "cancel": lambda client, request, _: _json(client.cancel(request["taskId"])),
    "wait": lambda client, request, _: _json(client.wait(request["taskId"])),
    "models": lambda client, _request, _picture: {"models": [_json(each) for each in client.list_models()]},
}


def _json(message: Message) -> Json:
    return dict(MessageToDict(message))


def _base64(picture: Path) -> str:
    return base64.b64encode(picture.read_bytes()).decode("ascii")


def image_id(content: bytes) -> str:
    """The name of an image of these bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class InOneLoop:
    """The async client, called as if it were the sync one."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*arguments, **settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *arguments, **settings: self._runner.run(_ended(method(*arguments, **settings)))


async def _ended(call: Any) -> Any:
    return [each async for each in call] if isinstance(call, AsyncIterator) else await call


# What vectors say


def filled(value: Any, saved: Json, of_picture: Callable[[str], str]) -> Any:
    """Put in what ``$step.field`` and ``@picture`` stand for."""
    match value:
        case str() if value.startswith("@"):
            return of_picture(value[1:])
        case str() if value.startswith("$"):
            return _at(saved, value[1:].split("."))
        case list():
            return [filled(each, saved, of_picture) for each in value]
        case dict():
            return {name: filled(each, saved, of_picture) for name, each in value.items()}
        case _:
            return value


def _at(value: Any, path: list[str]) -> Any:
    for name in path:
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def agree(said: Any, expected: Any, path: str) -> None:
    """What is expected of an object must hold, what else it has does not matter; leaves are equal as text."""
    match expected:
        case list():
            assert len(said or []) == len(expected), f"{path}: {said}"
            for index, each in enumerate(expected):
                agree(said[index], each, f"{path}[{index}]")
        case dict():
            for name, each in expected.items():
                agree((said or {}).get(name), each, f"{path}.{name}")
        case _:
            assert _text(said) == _text(expected), f"{path}: {said!r} is not {expected!r}"


def _text(value: Any) -> str:
    return "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)
