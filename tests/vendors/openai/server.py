"""An OpenAI-style image editing API on loopback, strict and with a ledger.

After the vendor's pages 1 and 3 and VENDORS §3 and §4. Three personalities: OpenAI itself with the GPT image
models, a new-api relay, and the relay of page 3 with dall-e-2. Any call can be told to misbehave. Shares no
code with the adapter.
"""

import asyncio
import base64
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from PIL import Image

from tests.vendors.openai import rules
from tests.vendors.openai.behaviours import Behaviour, Honest, event_of
from tests.vendors.openai.pictures import encoded, make_results, partials_of, size_of
from tests.vendors.serving import Answer, BadForm, Request, Response, json_response, read_form, serve

PATH = "/v1/images/edits"
FORBIDDEN_WORD = "forbidden"
"""A prompt with this word is refused by moderation."""
MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


class Personality(StrEnum):
    """Whose API it is."""

    OPENAI = "openai"
    RELAY = "relay"
    """new-api: no trailing slash, its own validation leaves as HTTP 500, unused texts come as ""."""
    PAGE_3 = "dall-e-2"


MODELS: Mapping[Personality, Mapping[str, rules.Form]] = {
    Personality.OPENAI: {
        "gpt-image-1.5": rules.GPT_IMAGE_1_5,
        "gpt-image-2": rules.GPT_IMAGE,
        "gpt-image-2.5-flare": rules.GPT_IMAGE_2_5,
        "gpt-image-2.5-sunburst": rules.GPT_IMAGE_2_5,
        "gpt-image-2.6-flare": rules.GPT_IMAGE,
        "gpt-image-2.6-sunburst": rules.GPT_IMAGE,
    },
    Personality.RELAY: {"relay-image": rules.RELAY},
    Personality.PAGE_3: {"dall-e-2": rules.DALL_E_2},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge:
    """One row of the ledger: a request that was processed, whatever became of its reply."""

    request_id: str
    model: str
    pictures: int
    fields: Mapping[str, str]
    streamed: bool


@dataclass(kw_only=True, slots=True)
class _Switch:
    behaviour: Behaviour
    times: int | None


@dataclass(kw_only=True)
class OpenaiVendor:
    """Use as an async context manager; then ``url`` is set. ``work_seconds`` is how long an edit takes."""

    personality: Personality = Personality.OPENAI
    api_key: str = "sk-openai-test-key"
    work_seconds: float = 0.0
    port: int = 0

    url: str = ""
    ledger: list[Charge] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    asked: list[rules.Asked] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    leaks: list[Request] = field(default_factory=list)
    """Requests for files that carried a credential."""

    def __post_init__(self) -> None:
        self._edits: deque[_Switch] = deque()
        self._downloads: deque[_Switch] = deque()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.url = await self._stack.enter_async_context(serve(self._handle, self.port))
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    # What a test tells the vendor

    def misbehave(self, behaviour: Behaviour, times: int | None = 1) -> None:
        """Behave so at the next ``times`` edits; None: from now on."""
        self._edits.append(_Switch(behaviour=behaviour, times=times))

    def misbehave_at_files(self, behaviour: Behaviour, times: int | None = 1) -> None:
        """Behave so at the next ``times`` downloads of a result; None: from now on."""
        self._downloads.append(_Switch(behaviour=behaviour, times=times))

    def behave(self) -> None:
        """Be honest again, everywhere."""
        self._edits.clear()
        self._downloads.clear()

    # Routes

    async def _handle(self, request: Request) -> Answer:
        self.requests.append(request)
        if request.method == "GET" and request.path.startswith("/files/"):
            return self._file(request)
        if request.method == "GET" and request.path == "/v1/models":
            return self._models(request)
        if request.method != "POST" or request.path.rstrip("/") != PATH:
            return self._not_found(request)
        if request.path.endswith("/") and self.personality is not Personality.PAGE_3:
            return self._slash(request)
        behaviour = _next(self._edits)
        if behaviour is None:
            return _as_it_comes(await self._edit(request))
        return behaviour.answer(await self._edit(request) if behaviour.works else Honest())

    def _models(self, request: Request) -> Response:
        try:
            self._check_key(request)
        except _Refused as refused:
            return refused.response
        models = [{"id": name, "object": "model"} for name in MODELS[self.personality]]
        return json_response({"object": "list", "data": models})

    def _slash(self, request: Request) -> Response:
        """As gin answers for a path that it knows without the slash, before anything is looked at."""
        if self.personality is Personality.OPENAI:
            return self._not_found(request)
        return Response(status=307, media_type="", headers={"location": request.path.rstrip("/")})

    def _not_found(self, request: Request) -> Response:
        message = f"Invalid URL ({request.method} {request.path})"
        return self._error(404, message, kind="invalid_request_error", code="")

    # Edits

    async def _edit(self, request: Request) -> Honest:
        request_id = uuid.uuid4().hex
        try:
            asked = self._check(request)
        except _Refused as refused:
            return Honest.of(refused.response)
        self.asked.append(asked)
        await asyncio.sleep(self.work_seconds)
        self.ledger.append(
            Charge(
                request_id=request_id,
                model=asked.fields["model"],
                pictures=asked.n,
                fields=dict(asked.fields),
                streamed=asked.streams,
            )
        )
        results = await asyncio.to_thread(make_results, asked)
        headers = self._headers(request_id)
        if asked.streams:
            events = await asyncio.to_thread(_events, asked, results[0])
            whole = Response(body=b"".join(events), media_type="text/event-stream", headers=headers)
            return Honest.of(whole, events)
        body = await asyncio.to_thread(self._body, asked, results)
        return Honest.of(json_response(body, headers=headers))

    def _check_key(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            message = "Incorrect API key provided. You can find your API key in your account."
            raise _Refused(self._error(401, message, kind="invalid_request_error", code="invalid_api_key"))

    def _check(self, request: Request) -> rules.Asked:
        self._check_key(request)
        try:
            parts = read_form(request)
            model = next((part.content.decode() for part in parts if part.name == "model"), "")
            form = MODELS[self.personality].get(model)
            if form is None:
                raise _Refused(self._no_model(model))
            asked = rules.check(parts, form)
        except (BadForm, rules.Invalid) as error:
            raise _Refused(self._invalid(error)) from error
        if FORBIDDEN_WORD in asked.fields["prompt"]:
            raise _Refused(self._moderated())
        return asked

    def _body(self, asked: rules.Asked, results: Sequence[Image.Image]) -> dict[str, Any]:
        output_format = asked.fields.get("output_format", "png")
        entries = [self._entry(asked, encoded(result, output_format), output_format) for result in results]
        body: dict[str, Any] = {"created": int(time.time()), "data": entries}
        if self.personality is Personality.OPENAI:
            body |= {**_made(asked), "usage": _usage(asked)}
        return body

    def _entry(self, asked: rules.Asked, content: bytes, output_format: str) -> dict[str, str]:
        """Return one picture: in place, or kept at a URL of ours."""
        if self.personality is Personality.OPENAI or asked.fields.get("response_format") == "b64_json":
            entry = {"b64_json": base64.b64encode(content).decode()}
        else:
            path = f"/files/{uuid.uuid4().hex}.{output_format}"
            self.files[path] = content
            entry = {"url": f"{self.url}{path}?sig=signed-url-secret"}
        if self.personality is Personality.RELAY:
            return {"url": "", "b64_json": "", "revised_prompt": "", **entry}
        return entry

    def _file(self, request: Request) -> Answer:
        if "authorization" in request.headers:
            self.leaks.append(request)
        behaviour = _next(self._downloads)
        content = self.files.get(request.path)
        honest = Response(status=404, body=b"not found", media_type="text/plain")
        if content is not None:
            honest = Response(body=content, media_type=MEDIA_TYPES[request.path.rpartition(".")[2]])
        return honest if behaviour is None else behaviour.answer(Honest.of(honest))

    # Errors

    def _invalid(self, error: BadForm | rules.Invalid) -> Response:
        if self.personality is Personality.OPENAI:
            param, code = (error.param, error.code) if isinstance(error, rules.Invalid) else (None, None)
            return self._error(400, str(error), kind="invalid_request_error", code=code, param=param)
        return self._error(500, str(error), kind="new_api_error", code="invalid_request")

    def _no_model(self, model: str) -> Response:
        if self.personality is Personality.OPENAI:
            message = f"The model '{model}' does not exist or you do not have access to it."
            return self._error(404, message, kind="invalid_request_error", code="model_not_found")
        message = f"No available channel for model {model} under group default"
        return self._error(503, message, kind="new_api_error", code="model_not_found")

    def _moderated(self) -> Response:
        if self.personality is Personality.OPENAI:
            message = "Your request was rejected by the safety system. safety_violations=[violence]."
            return self._error(400, message, kind="image_generation_user_error", code="moderation_blocked")
        return self._error(500, "用户敏感词检测", kind="new_api_error", code="sensitive_words_detected")

    def _error(self, status: int, message: str, *, kind: str, code: Any, param: Any = None) -> Response:
        request_id = uuid.uuid4().hex
        if self.personality is not Personality.OPENAI:
            message, param = f"{message} (request id: {request_id})", ""
        body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
        return json_response(body, status, self._headers(request_id))

    def _headers(self, request_id: str) -> dict[str, str]:
        if self.personality is Personality.OPENAI:
            return {"x-request-id": f"req_{request_id}", "openai-processing-ms": "12345"}
        return {"X-Oneapi-Request-Id": request_id}


class _Refused(Exception):
    """The request is not processed."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def _next(switches: deque[_Switch]) -> Behaviour | None:
    if not switches:
        return None
    switch = switches[0]
    if switch.times is not None:
        switch.times -= 1
        if switch.times == 0:
            switches.popleft()
    return switch.behaviour


def _made(asked: rules.Asked) -> dict[str, str]:
    width, height = size_of(asked)
    quality = asked.fields.get("quality", "auto")
    return {
        "background": "transparent" if asked.fields.get("background") == "transparent" else "opaque",
        "output_format": asked.fields.get("output_format", "png"),
        "quality": "high" if quality == "auto" else quality,
        "size": f"{width}x{height}",
    }


def _usage(asked: rules.Asked) -> dict[str, Any]:
    text, images = len(asked.fields["prompt"]) // 4, 200 * len(asked.images)
    return {
        "total_tokens": text + images + 1000 * asked.n,
        "input_tokens": text + images,
        "output_tokens": 1000 * asked.n,
        "input_tokens_details": {"text_tokens": text, "image_tokens": images},
    }


def _events(asked: rules.Asked, result: Image.Image) -> list[bytes]:
    partials = partials_of(result, int(asked.fields.get("partial_images", "0")))
    events = [
        _event(asked, "image_edit.partial_image", partial, {"partial_image_index": index})
        for index, partial in enumerate(partials)
    ]
    return [*events, _event(asked, "image_edit.completed", result, {"usage": _usage(asked)})]


def _event(asked: rules.Asked, kind: str, image: Image.Image, more: dict[str, Any]) -> bytes:
    content = encoded(image, asked.fields.get("output_format", "png"))
    data = {"type": kind, "b64_json": base64.b64encode(content).decode(), "created_at": int(time.time())}
    return event_of({**data, **_made(asked), **more}, kind)


def _as_it_comes(honest: Honest) -> Response:
    return replace(honest, body=_slowly(honest.events)) if honest.events else honest


async def _slowly(events: Sequence[bytes]) -> AsyncIterator[bytes]:
    for event in events:
        yield event
        await asyncio.sleep(0)
