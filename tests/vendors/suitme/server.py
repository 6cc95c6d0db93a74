"""A Suitme on loopback: default models, edits, standings and pictures; strict and with a ledger (VENDORS §1).

Errors come under ``detail`` as FastAPI sends them, or flat as the page says. A job moves one status further
with each poll, or ends when it is told to. Any endpoint can be told to misbehave. Shares no code with the
adapter.
"""

import asyncio
import base64
import json
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self
from urllib.parse import unquote

from tests.vendors.serving import Answer, Request, Response, json_response, serve
from tests.vendors.suitme import rules
from tests.vendors.suitme.behaviours import Behaviour
from tests.vendors.suitme.pictures import default_model, edited

DEFAULT_SIZE = "4:3"
PROGRESS = {"submitted": 0, "completed": 100, "failed": 40}
WORKING = ("submitted", "processing", "processing", "completed")
FOR_EVER = ("submitted", "processing")


class Endpoint(StrEnum):
    """What can be told to misbehave."""

    DEFAULT_MODEL = "models/default"
    EDIT = "models/edit"
    TASK = "tasks"
    RESULT = "results"


Route = tuple[str, Endpoint, Callable[[Request], Awaitable[Response]]]
"""The method that is taken, what it is, and who answers honestly."""


class ImageAs(StrEnum):
    """How a completed job shows its picture: as the vendor does now, as it did, or not at all."""

    URL = "url"
    BASE64 = "base64"
    LOST = "lost"
    """The vendor's own copy failed: completed, with nulls (VENDORS §1.5)."""
    NULL = "null"
    """The same in an older build, whose ``image`` itself is null."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge:
    """One row of the ledger: a created job."""

    task_id: str
    path: str
    body: Mapping[str, Any]


@dataclass(kw_only=True, slots=True)
class Job:
    """A job at the vendor. ``statuses`` are those still to come, the present one first."""

    task_id: str | int
    kind: str
    statuses: list[str]
    picture: bytes
    error_message: str | None = None

    @property
    def status(self) -> str:
        return self.statuses[0]

    def advance(self) -> None:
        """Go to the next status, if there is one."""
        del self.statuses[: len(self.statuses) > 1]


@dataclass(kw_only=True, slots=True)
class _Switch:
    behaviour: Behaviour
    times: int | None


@dataclass(kw_only=True)
class SuitmeVendor:
    """Use as an async context manager; afterwards ``url`` is set.

    ``api_key`` empty switches its authentication off, as the vendor can. ``int_ids`` makes ids as the page
    says they are. ``flat_errors`` makes errors as the page says they are.
    """

    api_key: str = "suitme-test-key"
    statuses: Sequence[str] = WORKING
    image_as: ImageAs = ImageAs.URL
    int_ids: bool = False
    flat_errors: bool = False
    picture_side: int = 96
    port: int = 0

    ledger: list[Charge] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    requests: list[tuple[Endpoint, Request]] = field(default_factory=list)
    leaks: list[Request] = field(default_factory=list)
    """Requests for pictures that carried a credential."""

    url: str = ""

    def __post_init__(self) -> None:
        self._switches: dict[Endpoint, deque[_Switch]] = {endpoint: deque() for endpoint in Endpoint}
        self._failures: deque[str | None] = deque()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.url = await self._stack.enter_async_context(serve(self._serve, self.port))
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    # What a test tells the vendor

    def misbehave(self, endpoint: str, behaviour: Behaviour, times: int | None = 1) -> None:
        """Behave so at the next ``times`` requests to ``endpoint``; None: from now on."""
        self._switches[Endpoint(endpoint)].append(_Switch(behaviour=behaviour, times=times))

    def behave(self) -> None:
        """Be honest again, everywhere."""
        for switches in self._switches.values():
            switches.clear()

    def fail_next(self, error_message: str | None) -> None:
        """Accept the next job and let it fail."""
        self._failures.append(error_message)

    def finish(self, task_id: str) -> None:
        """Bring a job to its end now."""
        job = self.jobs[task_id]
        job.statuses = job.statuses[-1:]

    def adopt(
        self, task_id: str, picture: bytes, *, kind: str = "edit", statuses: Sequence[str] = ("completed",)
    ) -> None:
        """Know a job that a vendor server before this one took, and charged for."""
        self.jobs[task_id] = Job(task_id=task_id, kind=kind, statuses=list(statuses), picture=picture)

    def calls(self, endpoint: str) -> list[Request]:
        """Return every request that an endpoint got, in order."""
        return [request for name, request in self.requests if name == endpoint]

    def result_url(self, task_id: str) -> str:
        """Return where the picture of a job is."""
        return f"{self.url}/results/{task_id}.png"

    # The host

    async def _serve(self, request: Request) -> Answer:
        if request.path == "/health":
            return json_response({"status": "healthy"})
        route = self._route(request.path)
        if route is None:
            return json_response({"detail": "Not Found"}, 404)
        method, endpoint, honest = route
        if request.method != method:
            return json_response({"detail": "Method Not Allowed"}, 405)
        self.requests.append((endpoint, request))
        behaviour = self._next_behaviour(endpoint)
        if behaviour is None:
            return await honest(request)
        return behaviour.answer(await honest(request) if behaviour.works else Response())

    def _route(self, path: str) -> Route | None:
        if path in rules.BODIES:
            return "POST", Endpoint(path.removeprefix("/")), self._create
        folder, _, name = path.removeprefix("/").partition("/")
        if not name or "/" in name:
            return None
        return {
            "tasks": ("GET", Endpoint.TASK, self._task),
            "results": ("GET", Endpoint.RESULT, self._result),
        }.get(folder)

    def _next_behaviour(self, endpoint: Endpoint) -> Behaviour | None:
        switches = self._switches[endpoint]
        if not switches:
            return None
        switch = switches[0]
        if switch.times is not None:
            switch.times -= 1
            if switch.times == 0:
                switches.popleft()
        return switch.behaviour

    def _unauthorized(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not self.api_key:
            return None
        if scheme.lower() != "bearer" or not token:
            return self._says(401, 1005, "缺少认证 Token")
        return None if token == self.api_key else self._says(401, 1005, "无效的认证 Token")

    def _says(self, status: int, code: int, msg: str) -> Response:
        body = {"code": code, "msg": msg, "data": None}
        return json_response(body if self.flat_errors else {"detail": body}, status)

    # Jobs

    async def _create(self, request: Request) -> Response:
        if refusal := self._unauthorized(request):
            return refusal
        try:
            is_json = request.headers.get("content-type") == "application/json"
            body: Any = json.loads(request.body) if is_json else request.body.decode("latin-1")
        except ValueError:
            problem = {"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error", "input": {}}
            return json_response({"detail": [problem]}, 422)
        if problems := await asyncio.to_thread(rules.problems_of, request.path, body):
            return json_response({"detail": problems}, 422)
        return self._accept(request.path, body)

    def _accept(self, path: str, body: dict[str, Any]) -> Response:
        if path == "/models/default":
            job = self._new_job("model", self._picture(body))
        else:
            base = self.jobs.get(body["base_model_task_id"])
            if base is None or base.kind != "model":  # an edit is no base
                return self._no_base(body["base_model_task_id"])
            if base.status != "completed":
                return self._no_base(f"{body['base_model_task_id']} (no image)")
            if self.image_as in (ImageAs.LOST, ImageAs.NULL):
                return self._no_base(f"{body['base_model_task_id']} (no image data)")
            job = self._new_job("edit", self._edit(base, body))
        self.ledger.append(Charge(task_id=str(job.task_id), path=path, body=body))
        accepted = {"task_id": job.task_id, "status": "submitted", "angle": None}
        return json_response({"code": 0, "msg": "accepted", "data": accepted}, 202)

    def _no_base(self, what: str) -> Response:
        return self._says(404, 1003, f"基础模特任务不存在: {what}")

    def _picture(self, body: dict[str, Any]) -> bytes:
        return default_model(body["picture_url"], body.get("size", DEFAULT_SIZE), self.picture_side)

    def _edit(self, base: Job, body: dict[str, Any]) -> bytes:
        size = body.get("size", DEFAULT_SIZE)
        return edited(base.picture, body["edit_instructions"], size, self.picture_side)

    def _new_job(self, kind: str, picture: bytes) -> Job:
        task_id = len(self.jobs) + 1001 if self.int_ids else f"task_{secrets.token_hex(8)}"
        job = Job(task_id=task_id, kind=kind, statuses=list(self.statuses), picture=picture)
        if self._failures:
            job.error_message = self._failures.popleft()
            job.statuses[-1] = "failed"
        self.jobs[str(task_id)] = job
        return job

    async def _task(self, request: Request) -> Response:
        if refusal := self._unauthorized(request):
            return refusal
        task_id = unquote(request.path.rpartition("/")[2])
        job = self.jobs.get(task_id)
        if job is None:
            return self._says(404, 1003, f"任务不存在: {task_id}")
        answer = json_response({"code": 0, "msg": "success", "data": self.standing(job)})
        job.advance()
        return answer

    def standing(self, job: Job) -> dict[str, Any]:
        """Return a job as /tasks shows it, members and types as on the wire."""
        return {
            "task_id": job.task_id,
            "status": job.status,
            "progress": PROGRESS.get(job.status, 45),
            "type": job.kind,
            "angle": None,
            "image": self._image(job),
            "error_message": job.error_message if job.status == "failed" else None,
        }

    def _image(self, job: Job) -> dict[str, Any] | None:
        image: dict[str, Any] = {"image_base64": None, "image_url": None}
        if self.image_as is ImageAs.NULL:
            return None
        if job.status == "completed" and self.image_as is ImageAs.URL:
            image["image_url"] = self.result_url(str(job.task_id))
        if job.status == "completed" and self.image_as is ImageAs.BASE64:
            image["image_base64"] = f"data:image/png;base64,{base64.b64encode(job.picture).decode()}"
        return image

    async def _result(self, request: Request) -> Response:
        if "authorization" in request.headers:
            self.leaks.append(request)
        job = self.jobs.get(request.path.rpartition("/")[2].removesuffix(".png"))
        if job is None:
            return Response(status=404, body=b"<Error>NoSuchKey</Error>", media_type="application/xml")
        return Response(body=job.picture, media_type="image/png")
