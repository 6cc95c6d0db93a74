"""A kie.ai on loopback: uploads, jobs, credits, results and callbacks, strict and with a ledger (VENDORS §2).

Three hosts, as the vendor has: one for jobs, one for uploads, one for files. Errors come as HTTP 200 with
the code in the body. A task moves one state further with each recordInfo, or ends when it is told to. Any
endpoint can be told to misbehave. Shares no code with the adapter.
"""

import asyncio
import base64
import hashlib
import hmac
import http.client
import io
import json
import re
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from PIL import Image

from tests.vendors.kie import rules
from tests.vendors.kie.behaviours import Behaviour
from tests.vendors.kie.pictures import make_results
from tests.vendors.serving import (
    Answer,
    BadForm,
    FormPart,
    Request,
    Response,
    json_response,
    read_form,
    serve,
)

WINDOW_SECONDS = 10
LIBRARY_AGENTS = ("python-", "aiohttp", "curl", "go-http")
PRICES = {"TURBO": 12.0, "BALANCED": 18.0, "QUALITY": 24.0}
SEEDREAM_PRICE = 6.5
EXTENSIONS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}


class Endpoint(StrEnum):
    """What can be told to misbehave."""

    UPLOAD = "upload"
    CREATE = "createTask"
    RECORD = "recordInfo"
    CREDIT = "credit"
    RESULT = "result"


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge:
    """One row of the ledger: a created task. ``at`` is seconds on the vendor's clock."""

    task_id: str
    model: str
    body: dict[str, Any]
    credits: float
    at: float


@dataclass(kw_only=True, slots=True)
class Task:
    """A task at the vendor. ``states`` are those still to come, the present one first."""

    task_id: str
    body: dict[str, Any]
    states: list[str]
    results: list[bytes]
    create_time: int
    fail_code: str | None = None
    fail_msg: str | None = None

    @property
    def state(self) -> str:
        return self.states[0]

    def advance(self) -> None:
        """Go to the next state, if there is one."""
        del self.states[: len(self.states) > 1]


@dataclass(kw_only=True, slots=True)
class _Switch:
    behaviour: Behaviour
    times: int | None


@dataclass(kw_only=True)
class KieVendor:
    """Use as an async context manager; afterwards ``api_url``, ``upload_url`` and ``result_url`` are set.

    ``webhook_key`` makes callbacks signed. ``creates_per_window`` is the account's limit in 10 seconds.
    ``picture_side`` stands for the 2K of basic quality, small so that tests are quick. With ``work_seconds``
    tasks end by themselves after that time and call back, as for a demo.
    """

    api_key: str = "kie-test-key"
    webhook_key: str = ""
    mask_edit_color: str = "black"
    states: Sequence[str] = ("waiting", "queuing", "generating", "success")
    balance: float = 1_000_000.0
    creates_per_window: int = 20
    picture_side: int = 96
    work_seconds: float | None = None
    clock: Callable[[], float] = time.time
    ports: tuple[int, int, int] = (0, 0, 0)

    ledger: list[Charge] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[Endpoint, Request]] = field(default_factory=list)
    leaks: list[Request] = field(default_factory=list)
    """Requests for files that carried a credential."""

    api_url: str = ""
    upload_url: str = ""
    result_url: str = ""

    def __post_init__(self) -> None:
        self._switches: dict[Endpoint, deque[_Switch]] = {endpoint: deque() for endpoint in Endpoint}
        self._failures: deque[tuple[str, str]] = deque()
        self._creates: deque[float] = deque()
        self._at_work: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        api, upload, result = self.ports
        self.api_url = await self._stack.enter_async_context(serve(self._api, api))
        self.upload_url = await self._stack.enter_async_context(serve(self._uploads, upload))
        self.result_url = await self._stack.enter_async_context(serve(self._results, result))
        return self

    async def __aexit__(self, *_error: object) -> None:
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)
        await self._stack.aclose()

    # What a test tells the vendor

    def misbehave(self, endpoint: str, behaviour: Behaviour, times: int | None = 1) -> None:
        """Behave so at the next ``times`` requests to ``endpoint``; None: from now on."""
        self._switches[Endpoint(endpoint)].append(_Switch(behaviour=behaviour, times=times))

    def behave(self) -> None:
        """Be honest again, everywhere."""
        for switches in self._switches.values():
            switches.clear()

    def fail_next(self, code: str, msg: str) -> None:
        """Accept the next task and let it fail."""
        self._failures.append((code, msg))

    def finish(self, task_id: str) -> None:
        """Bring a task to its end now."""
        task = self.tasks[task_id]
        task.states = task.states[-1:]

    def adopt(
        self,
        task_id: str,
        results: Sequence[bytes],
        *,
        callback_url: str = "",
        model: str = "seedream/4.5-edit",
        states: Sequence[str] = ("success",),
    ) -> None:
        """Know a task that a vendor server before this one took, and charged for."""
        callback = {"callBackUrl": callback_url} if callback_url else {}
        self.tasks[task_id] = Task(
            task_id=task_id,
            body={"model": model, **callback, "input": {}},
            states=list(states),
            results=list(results),
            create_time=round(self.clock() * 1000),
        )

    async def call_back(self, task_id: str, *, timestamp: int | None = None, state: str | None = None) -> int:
        """Deliver the callback of a task, as it stands; return the HTTP status of the answer.

        With ``state`` it lies about the state (F60).
        """
        task = self.tasks[task_id]
        failed = (state or task.state) == "fail"
        body = {
            "code": 501 if failed else 200,
            "msg": "Playground task failed." if failed else "Playground task completed successfully.",
            "data": self.record(task) | ({"state": state} if state else {}),
        }
        headers = {"Content-Type": "application/json"}
        if self.webhook_key:
            headers |= self.signature(task_id, int(self.clock()) if timestamp is None else timestamp)
        return await asyncio.to_thread(_post, task.body["callBackUrl"], json.dumps(body).encode(), headers)

    def signature(self, task_id: str, timestamp: int) -> dict[str, str]:
        """Sign as the vendor does: the id and the time, never the body (VENDORS §2.4)."""
        digest = hmac.digest(self.webhook_key.encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256)
        return {
            "X-Webhook-Timestamp": str(timestamp),
            "X-Webhook-Signature": base64.b64encode(digest).decode(),
        }

    def calls(self, endpoint: str) -> list[Request]:
        """Return every request that an endpoint got, in order."""
        return [request for name, request in self.requests if name == endpoint]

    # The hosts

    async def _api(self, request: Request) -> Answer:
        routes: dict[tuple[str, str], tuple[Endpoint, Callable[[Request], Response]]] = {
            ("POST", "/api/v1/jobs/createTask"): (Endpoint.CREATE, self._create),
            ("GET", "/api/v1/jobs/recordInfo"): (Endpoint.RECORD, self._record_info),
            ("GET", "/api/v1/chat/credit"): (Endpoint.CREDIT, self._credit),
        }
        route = routes.get((request.method, request.path))
        if route is None:
            return _says(404, "Not Found", status=404)
        endpoint, honest = route
        return self._answer(endpoint, request, self._guarded(honest))

    async def _uploads(self, request: Request) -> Answer:
        if (request.method, request.path) != ("POST", "/api/file-stream-upload"):
            return json_response({"success": False, "code": 405, "msg": "Method Not Allowed"}, 405)
        return self._answer(Endpoint.UPLOAD, request, self._upload)

    async def _results(self, request: Request) -> Answer:
        return self._answer(Endpoint.RESULT, request, self._file)

    def _answer(self, endpoint: Endpoint, request: Request, honest: Callable[[Request], Response]) -> Answer:
        self.requests.append((endpoint, request))
        behaviour = self._next_behaviour(endpoint)
        if behaviour is None:
            return honest(request)
        return behaviour.answer(honest(request) if behaviour.works else Response())

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

    # Jobs

    def _guarded(self, honest: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """Ask for the credential, and for an agent that the edge lets through."""

        def guarded(request: Request) -> Response:
            agent = request.headers.get("user-agent", "").lower()
            if not agent or agent.startswith(LIBRARY_AGENTS):
                return Response(status=403, body=b"error code: 1010", media_type="text/plain")
            if not self._authorized(request):
                return _says(401, "Unauthorized – Authentication failed. Please check your API key.")
            return honest(request)

        return guarded

    def _authorized(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self.api_key}"

    def _create(self, request: Request) -> Response:
        if request.headers.get("content-type") != "application/json":
            return _says(401, "You do not have access permissions")
        if self._too_fast():
            return _says(429, "The call frequency is too high. Please try again later.", status=429)
        try:
            body = json.loads(request.body)
            rules.check_create(body, self.files)
        except ValueError:
            return _says(400, "The body is not JSON.")
        except rules.Invalid as invalid:
            return _says(invalid.code, invalid.msg)
        price = _price(body)
        if price > self.balance:
            return _says(402, "Credits insufficient : The current balance isn't enough. Please top up.")
        task = self._charge(body, price)
        return json_response(
            {"code": 200, "msg": "success", "data": {"taskId": task.task_id, "recordId": task.task_id}}
        )

    def _too_fast(self) -> bool:
        now = self.clock()
        while self._creates and self._creates[0] <= now - WINDOW_SECONDS:
            self._creates.popleft()
        if len(self._creates) >= self.creates_per_window:
            return True
        self._creates.append(now)
        return False

    def _charge(self, body: dict[str, Any], price: float) -> Task:
        task = self._new_task(body)
        self.balance -= price
        self.tasks[task.task_id] = task
        self.ledger.append(
            Charge(task_id=task.task_id, model=body["model"], body=body, credits=price, at=self.clock())
        )
        if self.work_seconds is not None:
            self._spawn(self._work(task, self.work_seconds))
        return task

    def _new_task(self, body: dict[str, Any]) -> Task:
        task = Task(
            task_id=uuid.uuid4().hex,
            body=body,
            states=list(self.states),
            results=make_results(
                body["model"],
                body["input"],
                self.files,
                edit_color=self.mask_edit_color,
                side=self.picture_side,
            ),
            create_time=round(self.clock() * 1000),
        )
        if self._failures:
            task.fail_code, task.fail_msg = self._failures.popleft()
            task.states[-1] = "fail"
        return task

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _work(self, task: Task, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.finish(task.task_id)
        if "callBackUrl" in task.body:
            await self.call_back(task.task_id)

    def _record_info(self, request: Request) -> Response:
        task = self.tasks.get(request.query.get("taskId", ""))
        if task is None:
            return _says(422, "recordInfo is null")
        record = self.record(task)
        if self.work_seconds is None or len(task.states) > 2:
            task.advance()
        return json_response({"code": 200, "msg": "success", "data": record})

    def record(self, task: Task) -> dict[str, Any]:
        """Return a task as recordInfo and callbacks show it, members and types as on the wire."""
        success, fail = task.state == "success", task.state == "fail"
        param = task.body | {"input": json.dumps(task.body["input"])}
        return {
            "taskId": task.task_id,
            "model": task.body["model"],
            "state": task.state,
            "param": json.dumps(param),
            "resultJson": json.dumps({"resultUrls": self.result_urls(task)}) if success else "",
            "failCode": task.fail_code if fail else None,
            "failMsg": task.fail_msg if fail else None,
            "costTime": 12 if success else None,
            "completeTime": task.create_time + 12_000 if success or fail else None,
            "createTime": task.create_time,
        }

    def result_urls(self, task: Task) -> list[str]:
        """Return where the results of a task are."""
        return [
            f"{self.result_url}/results/{task.task_id}/{number}.{_extension(content)}"
            for number, content in enumerate(task.results)
        ]

    def _credit(self, _request: Request) -> Response:
        return json_response({"code": 200, "msg": "success", "data": self.balance})

    # Files

    def _upload(self, request: Request) -> Response:
        if not self._authorized(request):
            return _upload_error(401, "You do not have access permissions")
        try:
            path, name, file = _check_upload(read_form(request))
        except (BadForm, rules.Invalid) as error:
            return _upload_error(400, str(error))
        url = f"{self.result_url}/kieai/12345/{path}/{name}"
        if url in self.files:
            return _upload_error(400, "this name was used before: caches may be stale")
        self.files[url] = file.content
        data = {
            "success": True,
            "fileName": name,
            "filePath": f"kieai/12345/{path}/{name}",
            "downloadUrl": url,
            "fileSize": len(file.content),
            "mimeType": file.media_type,
            "uploadedAt": "2026-11-21T09:00:00.000Z",
        }
        return json_response(
            {"success": True, "code": 200, "msg": "File uploaded successfully", "data": data}
        )

    def _file(self, request: Request) -> Response:
        if "authorization" in request.headers:
            self.leaks.append(request)
        content = self.files.get(f"{self.result_url}{request.path}") or self._result(request.path)
        if content is None:
            return Response(status=404, body=b"not found", media_type="text/plain")
        return Response(body=content, media_type=rules.MEDIA_TYPES[_format(content)])

    def _result(self, path: str) -> bytes | None:
        match = re.fullmatch(r"/results/([0-9a-f]{32})/([0-9])\.\w+", unquote(path))
        task = self.tasks.get(match[1]) if match else None
        if match is None or task is None or int(match[2]) >= len(task.results):
            return None
        return task.results[int(match[2])]


def _says(code: int, msg: str, status: int = 200) -> Response:
    return json_response({"code": code, "msg": msg, "data": None}, status)


def _upload_error(code: int, msg: str) -> Response:
    return json_response({"success": False, "code": code, "msg": msg}, code)


def _check_upload(parts: list[FormPart]) -> tuple[str, str, FormPart]:
    """Return the path, the name and the file of an upload (VENDORS §2.7). Raises ``Invalid``."""
    by_name = {part.name: part for part in parts}
    if sorted(part.name for part in parts) != ["file", "fileName", "uploadPath"]:
        raise rules.Invalid(f"the fields are {[part.name for part in parts]}")
    path, name = (by_name[field].content.decode() for field in ("uploadPath", "fileName"))
    if not re.fullmatch(r"[\w-]+(/[\w-]+)*", path):
        raise rules.Invalid(f"uploadPath is {path!r}")
    file = by_name["file"]
    extension = EXTENSIONS[_format(file.content)]
    if not re.fullmatch(rf"[\w-]{{32,}}\.{extension}", name):
        raise rules.Invalid(f"fileName is {name!r}: not unique, or not with the extension {extension}")
    if file.file_name != name or file.media_type != rules.MEDIA_TYPES[_format(file.content)]:
        raise rules.Invalid(f"the file is called {file.file_name!r}, {file.media_type!r}")
    return path, name, file


def _format(content: bytes) -> str:
    try:
        with Image.open(io.BytesIO(content), formats=tuple(EXTENSIONS)) as image:
            return str(image.format)
    except OSError:
        raise rules.Invalid("the file is not a picture that is taken") from None


def _extension(content: bytes) -> str:
    return EXTENSIONS[_format(content)]


def _price(body: dict[str, Any]) -> float:
    if body["model"] == "seedream/4.5-edit":
        return SEEDREAM_PRICE
    given = body["input"]
    return PRICES[given.get("rendering_speed", "BALANCED")] * int(given.get("num_images", "1"))


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=10)
    try:
        connection.request("POST", target.path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
