"""The service as a state machine: what callers, vendors, clocks and crashes may do, in any order (T4).

After every rule the book is audited; at the end faults stop, time runs on, and every task must end.
"""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import grpc
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import task_pb2
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.task import Stage, State
from tests.machine.book import Book
from tests.machine.door import Call
from tests.machine.requests import (
    LONGEST_TIMEOUT,
    TIMEOUTS,
    body_of,
    copy,
    default_model_request,
    edit_request,
    model_edit_request,
    upload_requests,
)
from tests.machine.vendor import (
    SHADES,
    SUBMIT_FAULTS,
    SYNCHRONOUS,
    Fault,
    Work,
    picture,
    picture_id,
)
from tests.machine.world import PROVIDERS, World

SLACK_SECONDS = 70.0
"""From a deadline to the moment at which its task must have ended: the window of doubt, and a sweep."""
KINDS = {"EditImage": "EDIT_IMAGE", "CreateModelEdit": "MODEL_EDIT", "CreateDefaultModel": "DEFAULT_MODEL"}
NEVER_SENT = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}
BEFORE_SECONDS = 0.5
"""Before the deadline, when the vendor is done just in time."""
TRIES_SECONDS = 35.0
"""Longer than between two tries to bring home what has come."""
SWEEPS_SECONDS = 35.0
"""Longer than between two sweeps."""
STRANGER = "stranger"
REUSED = ("FAILED_PRECONDITION", "REQUEST_ID_REUSED")

shades = st.integers(0, SHADES - 1)
providers = st.sampled_from(PROVIDERS)
faults = st.none() | st.sampled_from(SUBMIT_FAULTS)
places = st.integers(0, 40)
"""Which of several: counted from the newest, round and round."""


@dataclass(frozen=True)
class Known:
    """What a request_id stands for."""

    method: str
    request: Any
    task_id: str


@dataclass(frozen=True)
class Cursor:
    """Where a list goes on, and what must come."""

    token: str
    rest: tuple[str, ...]
    user_id: str


@dataclass(eq=False)
class Tally:
    """What a run of the machine did, over all its examples."""

    examples: int = 0
    steps: int = 0
    crashes: int = 0
    tasks: int = 0
    watches: int = 0
    watched_events: int = 0
    virtual_seconds: float = 0.0
    edges: Counter[tuple[State, State]] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)


class ServiceMachine(RuleBasedStateMachine):
    """One service, from an empty folder to the end of its last task."""

    root: ClassVar[Path]
    tally: ClassVar[Tally]

    tenants = Bundle("tenants")
    keys = Bundle("keys")
    tasks = Bundle("tasks")
    images = Bundle("images")
    cursors = Bundle("cursors")
    watches = Bundle("watches")

    def __init__(self) -> None:
        super().__init__()
        self.tally.examples += 1
        self.folder = self.root / f"world-{self.tally.examples}"
        self.world = World(self.folder)
        self.book = Book()
        self.known: dict[tuple[str, str, str], Known] = {}
        self.acknowledged: set[str] = set()
        self.followers: dict[str, Call] = {}
        self.wrong_minutes = {0}
        self.ends: dict[str, float] = {}
        self.must_succeed: dict[str, Work] = {}
        """What was answered before the last crash, in time, with nothing in its way since."""
        self.sound = True

    # Who calls, and under which names

    @initialize(target=tenants)
    def the_tenant(self) -> str:
        """Whose everything is; ``STRANGER`` has nothing."""
        return "default"

    @initialize(target=keys)
    def the_request_ids(self) -> Any:
        """Few, so that they meet."""
        return multiple("key-1", "key-2", "key-3")

    @initialize(target=images, shade=shades)
    def the_picture(self, shade: int) -> str:
        """Something to edit."""
        return self._upload("default", shade, 1)

    @initialize(
        target=tasks,
        tenant=tenants,
        first=st.lists(st.tuples(providers, faults), min_size=2, max_size=4),
    )
    def the_first_tasks(self, tenant: str, first: Sequence[tuple[str, Fault | None]]) -> Any:
        """Work for the vendors, and trouble with it, from the first step on."""
        return multiple(
            *(self._edit(tenant, fault, provider=provider, source=0) for provider, fault in first)
        )

    # Creating

    @rule(
        target=tasks,
        tenant=tenants,
        key=st.just("") | keys,
        provider=providers,
        source=st.one_of(shades, images, st.builds(lambda task: (task,), tasks)),
        timeout=st.sampled_from(TIMEOUTS),
        resubmit=st.booleans(),
        user_id=st.sampled_from(["u1", "u2"]),
        twins=st.sampled_from([1, 1, 2, 5, 64]),
        fault=faults,
    )
    def edit(self, tenant: str, twins: int, fault: Fault | None, **fields: Any) -> Any:
        """EditImage, with a request_id several times at once; what is paid for it may go wrong."""
        return self._edit(tenant, fault, twins, **fields)

    def _edit(self, tenant: str, fault: Fault | None, twins: int = 1, **fields: Any) -> Any:
        if fault:
            self.world.vendor.plan(fields["provider"], fault.step, fault, 1)
        return self._create(tenant, "EditImage", edit_request(**fields), twins)

    @rule(target=tasks, tenant=tenants, key=st.just("") | keys, base=tasks)
    def edit_default_model(self, tenant: str, key: str, base: str) -> Any:
        """CreateModelEdit: not before its base has ended well."""
        return self._create(tenant, "CreateModelEdit", model_edit_request(key, base))

    @rule(target=tasks, tenant=tenants, key=st.just("") | keys, shade=shades)
    def create_default_model(self, tenant: str, key: str, shade: int) -> Any:
        """CreateDefaultModel of the caller's own picture."""
        return self._create(tenant, "CreateDefaultModel", default_model_request(key, shade))

    @precondition(lambda self: self.known)
    @rule(
        target=tasks, tenant=tenants, place=places, changed=st.booleans(), twins=st.sampled_from([1, 2, 64])
    )
    def repeat(self, tenant: str, place: int, changed: bool, twins: int) -> Any:
        """The same call again, as from a client that got no answer; or another under the same request_id."""
        known = pick([*self.known.values()], place)
        request = copy(known.request)
        if changed:
            request.labels["changed"] = "yes"
        return self._create(tenant, known.method, request, twins)

    def _create(self, tenant: str, method: str, request: Any, twins: int = 1) -> Any:
        expected = self._expected(tenant, method, request)
        calls = self._twins(tenant, method, request, twins)
        self.world.loop.settle()
        answers = {
            call.response.task.task_id if call.code is grpc.StatusCode.OK else call.refusal for call in calls
        }
        assert len(answers) == 1, f"twins disagree: {answers}"
        answer = answers.pop()
        if expected is None:
            assert isinstance(answer, str), answer
            return self._created(tenant, method, request, answer)
        assert answer == expected
        return multiple()

    def _twins(self, tenant: str, method: str, request: Any, twins: int) -> list[Call]:
        """Begin one call, or several where their request_id makes them one."""
        return [
            self.world.begin(method, request, tenant=tenant)
            for _ in range(twins if request.request_id else 1)
        ]

    def _created(self, tenant: str, method: str, request: Any, task_id: str) -> str:
        assert task_id not in self.acknowledged
        self.acknowledged.add(task_id)
        self.ends[task_id] = self.world.loop.time() + request.timeout.seconds
        if request.request_id:
            self.known[tenant, KINDS[method], request.request_id] = Known(method, request, task_id)
        self.followers[task_id] = self._watch(tenant, task_id, 0)
        return task_id

    def _expected(self, tenant: str, method: str, request: Any) -> str | tuple[str, str] | None:
        """The task that a request_id stands for, or why the call is refused; None for a new task."""
        known = self.known.get((tenant, KINDS[method], request.request_id))
        if known is not None:
            return known.task_id if body_of(known.request) == body_of(request) else REUSED
        if method == "CreateModelEdit":
            ready = self.book.last(request.base_model_task_id).status.state is State.SUCCEEDED
            return None if ready else ("FAILED_PRECONDITION", "BASE_MODEL_NOT_READY")
        if method == "EditImage" and request.images[0].HasField("task_output"):
            return self._expected_of_output(request.images[0].task_output.task_id)
        return None

    def _expected_of_output(self, task_id: str) -> tuple[str, str] | None:
        status = self.book.last(task_id).status
        if not status.state.terminal:
            return "FAILED_PRECONDITION", "SOURCE_NOT_READY"
        return None if status.images else ("NOT_FOUND", "IMAGE_NOT_FOUND")

    # Reading and ending

    @rule(tenant=tenants, task=tasks)
    def get(self, tenant: str, task: str) -> None:
        """GetTask says what the log says."""
        shown = self.world.call("GetTask", pb.GetTaskRequest(task_id=task), tenant=tenant).response.task
        last = self.book.logs[task][-1]
        assert (shown.task_id, shown.seq) == (task, last.seq)
        assert state_of(shown) == last.task.status.state

    @rule(tenant=tenants, task=tasks)
    def cancel(self, tenant: str, task: str) -> None:
        """CancelTask in any state; a finished task is answered as it is."""
        before = self.book.last(task).status.state
        self.must_succeed.pop(task, None)
        shown = self.world.call("CancelTask", pb.CancelTaskRequest(task_id=task), tenant=tenant).response.task
        assert state_of(shown) == (before if before.terminal else State.CANCELLED)

    @rule(task=tasks, image=images)
    def ask_as_a_stranger(self, task: str, image: str) -> None:
        """What is another tenant's is not there (P22)."""
        for method, request in (
            ("GetTask", pb.GetTaskRequest(task_id=task)),
            ("CancelTask", pb.CancelTaskRequest(task_id=task)),
            ("WatchTask", pb.WatchTaskRequest(task_id=task)),
            ("EditImage", edit_request(provider=SYNCHRONOUS, source=(task,), key="key-1")),
        ):
            assert self.world.call(method, request, tenant=STRANGER).refusal == (
                "NOT_FOUND",
                "TASK_NOT_FOUND",
            )
        download = pb.DownloadImageRequest(image_id=image)
        assert self.world.call("DownloadImage", download, tenant=STRANGER).refusal == (
            "NOT_FOUND",
            "IMAGE_NOT_FOUND",
        )
        assert not self.world.call("ListTasks", pb.ListTasksRequest(), tenant=STRANGER).response.tasks

    @rule(
        target=cursors,
        tenant=tenants,
        page_size=st.integers(1, 4),
        user_id=st.sampled_from(["", "u1", "u2"]),
    )
    def list_first(self, tenant: str, page_size: int, user_id: str) -> Any:
        """The first page, newest first."""
        rest = tuple(
            task_id
            for task_id in self.world.heads()
            if not user_id or self.book.last(task_id).request.user_id == user_id
        )
        return self._page(tenant, Cursor("", rest, user_id), page_size)

    @rule(target=cursors, tenant=tenants, cursor=cursors, page_size=st.integers(1, 4))
    def list_next(self, tenant: str, cursor: Cursor, page_size: int) -> Any:
        """The next page: what came meanwhile is not in it, and nothing is left out or told twice."""
        return self._page(tenant, cursor, page_size)

    def _page(self, tenant: str, cursor: Cursor, page_size: int) -> Any:
        request = pb.ListTasksRequest(page_size=page_size, page_token=cursor.token, user_id=cursor.user_id)
        page = self.world.call("ListTasks", request, tenant=tenant).response
        expected, rest = cursor.rest[:page_size], cursor.rest[page_size:]
        assert tuple(task.task_id for task in page.tasks) == expected
        assert bool(page.next_page_token) == bool(rest)
        return Cursor(page.next_page_token, rest, cursor.user_id) if rest else multiple()

    # Pictures

    @rule(target=images, tenant=tenants, shade=shades, pieces=st.integers(1, 4))
    def upload(self, tenant: str, shade: int, pieces: int) -> str:
        """UploadImage in pieces."""
        return self._upload(tenant, shade, pieces)

    def _upload(self, tenant: str, shade: int, pieces: int) -> str:
        messages = upload_requests(picture(shade), picture(shade), pieces)
        image = self.world.call("UploadImage", *messages, tenant=tenant).response.image
        assert image.image_id == picture_id(shade)
        return str(image.image_id)

    @rule(
        tenant=tenants,
        image=images,
        offset=st.integers(-1, 200),
        shade=shades,
        key=st.just("") | keys,
    )
    def try_out(self, tenant: str, image: str, offset: int, shade: int, key: str) -> None:
        """What leaves no trace: a download, an upload of something else than announced, a validation."""
        self._download(tenant, image, offset)
        messages = upload_requests(picture(shade), b"something else", 2)
        refused = self.world.call("UploadImage", *messages, tenant=tenant)
        assert refused.refusal == ("INVALID_ARGUMENT", "INVALID_FIELD")
        request = edit_request(provider=SYNCHRONOUS, source=image, key=key)
        request.validate_only = True
        task = self.world.call("EditImage", request, tenant=tenant).response.task
        assert not task.task_id
        assert task.state == task_pb2.Task.STATE_UNSPECIFIED

    def _download(self, tenant: str, image: str, offset: int) -> None:
        """DownloadImage from any offset gives those very bytes."""
        data = next(picture(shade) for shade in range(SHADES) if picture_id(shade) == image)
        request = pb.DownloadImageRequest(image_id=image, offset=offset)
        call = self.world.call("DownloadImage", request, tenant=tenant)
        if not 0 <= offset <= len(data):
            assert call.refusal == ("OUT_OF_RANGE", "OFFSET_OUT_OF_RANGE")
            return
        assert call.code is grpc.StatusCode.OK
        info, *chunks = call.responses
        assert info.info.size_bytes == len(data)
        assert b"".join(each.chunk for each in chunks) == data[offset:]

    # Watching, beside the caller of each task, who follows it from the first event, over every crash

    @rule(target=watches, tenant=tenants, task=tasks, back=st.integers(-1, 6))
    def watch(self, tenant: str, task: str, back: int) -> Any:
        """WatchTask from ``back`` events before the last, also from beyond it and from below zero."""
        last = len(self.book.logs[task])
        call = self._watch(tenant, task, last - back)
        if 0 <= last - back <= last:
            return call
        assert call.refusal == ("OUT_OF_RANGE", "SEQ_OUT_OF_RANGE")
        return multiple()

    @rule(watch=watches)
    def leave_or_come_back(self, watch: Call) -> None:
        """A client goes away, or one whose watch has ended resumes it."""
        if watch.work.done():
            self._watch(watch.tenant, watch.requests[0].task_id, watch.position)
        else:
            watch.leave()

    @rule(task=tasks)
    def sleep_or_wake(self, task: str) -> None:
        """The caller stops reading, or reads on."""
        follower = self.followers[task]
        if follower.reading.is_set():
            follower.sleep()
        else:
            follower.reading.set()

    def _watch(self, tenant: str, task: str, after_seq: int) -> Call:
        request = pb.WatchTaskRequest(task_id=task, after_seq=after_seq)
        call = self.world.begin("WatchTask", request, tenant=tenant)
        self.world.loop.settle()
        if call.code is not grpc.StatusCode.OUT_OF_RANGE:
            self.book.watches.append(call)
        return call

    def _come_back(self) -> None:
        """Every caller resumes where the last process left it."""
        for task, before in self.followers.items():
            if before.code is not grpc.StatusCode.OK:
                self.followers[task] = self._watch(before.tenant, task, before.position)

    # The vendors

    @precondition(lambda self: self._open_works())
    @rule(
        place=places,
        how=st.sampled_from(["SUCCEEDED", "SUCCEEDED", "FAILED", "progress"]),
        percent=st.integers(0, 100),
        calls_back=st.booleans(),
        seconds=st.sampled_from([0, 3, 25]),
    )
    def vendor_works(self, place: int, how: str, percent: int, calls_back: bool, seconds: float) -> None:
        """A vendor gets on with some work, may say so, and some time passes."""
        work = pick(self._open_works(), place)
        if how == "progress":
            self._tell_progress(work, percent)
        else:
            work.end(how)
        if calls_back and work.calls_back:
            self._call_back(work)
        self._advance(seconds)

    def _tell_progress(self, work: Work, percent: int) -> None:
        """A vendor says how far it is, and thinks better of it."""
        work.percent = percent
        self._advance(25)
        work.percent = percent // 2

    @rule(provider=providers, fault=st.sampled_from(Fault), times=st.integers(1, 3))
    def vendor_fails(self, provider: str, fault: Fault, times: int) -> None:
        """The next paid calls, polls or downloads go wrong."""
        self.world.vendor.plan(provider, fault.step, fault, times)

    @precondition(lambda self: self._calling_works())
    @rule(place=places, times=st.integers(1, 2))
    def callback(self, place: int, times: int) -> None:
        """A vendor calls back, whatever it has to say: early, in time, late, twice."""
        work = pick(self._calling_works(), place)
        for _ in range(times):
            self._call_back(work)

    @precondition(lambda self: self._calling_works())
    @rule(place=places, how=st.sampled_from(["token", "provider", "nobody"]))
    def forged_callback(self, place: int, how: str) -> None:
        """Somebody else calls back, who knows the vendor's ids but no token."""
        work = pick(self._calling_works(), place)
        other = next(provider for provider in PROVIDERS if provider != work.provider)
        provider = {"token": work.provider, "provider": other, "nobody": "nobody"}[how]
        token = work.token if how != "token" else work.token[::-1]
        assert self.world.call_back(provider, token, f"forged-{work.number}") == 401

    def _call_back(self, work: Work) -> None:
        assert self.world.call_back(work.provider, work.token, work.vendor_task_id) == 200
        work.noted |= work.state == "SUCCEEDED"

    def _open_works(self) -> list[Work]:
        return [work for work in self.world.vendor.works if work.state == "RUNNING"]

    def _calling_works(self) -> list[Work]:
        return [work for work in self.world.vendor.works if work.calls_back]

    # Time

    @rule(seconds=st.sampled_from([0.5, 3, 10, 35, 70, 160]))
    def time_passes(self, seconds: float) -> None:
        """Polls, sweeps, heartbeats, timeouts."""
        self._advance(seconds)

    @rule(minutes=st.sampled_from([-60, -5, 0, 5, 60]))
    def clock_jumps(self, minutes: int) -> None:
        """An operator or NTP sets the wall clock wrong, or right; the monotonic one goes on (F33)."""
        self.ends.clear()
        self._set_clock(minutes)

    @rule(minutes=st.sampled_from([-60, 60, 600]))
    def clock_jumps_under_work(self, minutes: int) -> None:
        """A run goes by the clock that nobody sets: a step ends nothing that has time left (F33)."""
        before, now = self.world.house.clock.step, self.world.loop.time()
        safe = [task for task in self._under_way() if self.ends.get(task, 0) > now + SWEEPS_SECONDS]
        self.ends.clear()
        self._set_clock(minutes)
        self._advance(SWEEPS_SECONDS)
        self.everything_is_true()
        for task in safe:
            error = self.book.last(task).status.error
            assert not error or error.reason is not FailureReason.DEADLINE_EXCEEDED, "ended by the wall clock"
        self.world.house.clock.step = before

    def _under_way(self) -> list[str]:
        """The tasks that this process works on just now."""
        return [task for task in self.world.house.dispatcher.under_way if task in self.book.logs]

    def _set_clock(self, minutes: int) -> None:
        self.must_succeed.clear()
        self.world.house.clock.step = timedelta(minutes=minutes)
        self.wrong_minutes |= {minutes}

    # What is short

    @rule(times=st.integers(1, 12), seconds=st.sampled_from([0, 3, 70]))
    def descriptors_run_out(self, times: int, seconds: float) -> None:
        """No file can be opened to keep a result in, for some tries (F27)."""
        self.must_succeed.clear()
        self.world.house.refusals = times
        self._advance(seconds)

    @precondition(lambda self: self._works_in_short_calls())
    @rule(place=places, times=st.sampled_from([0, 3, 12]), after=st.sampled_from([1, 80]))
    def vendor_answers_at_the_deadline(self, place: int, times: int, after: float) -> None:
        """The vendor is done just in time, and we may be without descriptors until the grace is over, too."""
        work = pick(self._works_in_short_calls(), place)
        deadline = self.book.last(work.task_id).deadline
        left = (deadline - self.world.house.clock.now()).total_seconds()
        self._advance(max(left - BEFORE_SECONDS, 0))
        self.must_succeed.clear()
        self.world.house.refusals = times
        work.end("SUCCEEDED")
        self._advance(BEFORE_SECONDS + after)
        self.world.house.refusals = 0
        self._advance(TRIES_SECONDS)
        self.everything_is_true()
        if work.answered and not work.riddle:
            self.book.check_home(work, self.world)

    def _works_in_short_calls(self) -> list[Work]:
        """What is being paid for in a call that lasts as long as its task."""
        return [work for work in self._open_works() if work.provider == SYNCHRONOUS and self._is_short(work)]

    def _is_short(self, work: Work) -> bool:
        task = self.book.last(work.task_id)
        seconds = (task.deadline - self.world.house.clock.now()).total_seconds()
        return task.status.stage is Stage.SUBMITTING and BEFORE_SECONDS < seconds < max(TIMEOUTS[1:])

    def _advance(self, seconds: float) -> None:
        self.world.loop.advance(seconds)
        self.tally.virtual_seconds += seconds

    # Crashes

    @rule(
        timers=st.integers(0, 3),
        steps=st.integers(0, 40),
        down=st.sampled_from([0, 2, 50, 200]),
        asked=st.booleans(),
        foreign=st.booleans(),
    )
    def crash(self, timers: int, steps: int, down: float, asked: bool, foreign: bool) -> None:
        """The process dies between any two awaits of what it does next, or as it was asked to.

        With ``foreign`` the answers of another database's server lie in the folder afterwards.
        """
        if asked:
            self.world.drain()
        for _ in range(timers):
            self.world.loop.wait_for_timer(30)
            self.world.loop.step()
        self._crash_after(steps, down, foreign=foreign)

    @rule(
        target=tasks,
        tenant=tenants,
        key=keys,
        provider=providers,
        source=shades,
        resubmit=st.booleans(),
        twins=st.sampled_from([1, 2]),
        steps=st.integers(0, 100),
        down=st.sampled_from([0, 2]),
    )
    def crash_in_create(self, tenant: str, twins: int, steps: int, down: float, **fields: Any) -> Any:
        """It dies between any two awaits of a create and of what follows from it."""
        request = edit_request(**fields)
        expected = self._expected(tenant, "EditImage", request)
        calls = self._twins(tenant, "EditImage", request, twins)
        self._crash_after(steps, down)
        stored = self.world.keys().get((tenant, "EDIT_IMAGE", request.request_id))
        for call in calls:
            if call.code is grpc.StatusCode.OK:
                assert call.response.task.task_id == stored, "an acknowledged task is gone"
        if expected is not None or stored is None:
            return multiple()
        return self._created(tenant, "EditImage", request, stored)

    @rule(task=tasks, place=places, steps=st.integers(0, 40))
    def crash_in_answering(self, task: str, place: int, steps: int) -> None:
        """It dies between any two awaits of a cancel, of a callback, and of what follows from them."""
        cancel = self.world.begin("CancelTask", pb.CancelTaskRequest(task_id=task))
        work = pick(self._calling_works(), place) if self._calling_works() else None
        callback = work and self.world.begin_callback(work.provider, work.token, work.vendor_task_id)
        self._crash_after(steps, 0)
        if cancel.code is not None:
            assert State(self.world.heads()[task][1]).terminal, "an acknowledged cancel is gone"
        if work and callback and not callback.cancelled() and callback.result() == 200:
            work.noted |= work.state == "SUCCEEDED"

    def _crash_after(self, steps: int, down: float, *, foreign: bool = False) -> None:
        for _ in range(steps):
            self.world.loop.step()
        self.world.crash()
        self.ends.clear()
        self.must_succeed.clear()
        self.tally.crashes += 1
        if foreign:
            self.world.leave_foreign_answers()
        self._advance(down)
        self.world.start()
        self._note_what_must_succeed()
        self._come_back()

    def _note_what_must_succeed(self) -> None:
        """What came in time before the crash ends as if there had been none: the answer holds the picture."""
        if self.world.house.clock.step:
            return
        last = (
            self.world.house.clock.now() - self.world.house.result_grace + timedelta(seconds=SWEEPS_SECONDS)
        )
        for work in self.world.vendor.works:
            task = self.book.last(work.task_id) if work.task_id in self.book.logs else None
            if task and task.deadline > last and work.is_in_its_answer and not task.status.state.terminal:
                self.must_succeed[work.task_id] = work

    # Always

    @invariant()
    def everything_is_true(self) -> None:
        """The book, the number of tasks and the answers of calls."""
        self.tally.steps += 1
        self.sound = False
        self.world.loop.settle()
        self.book.audit(self.world)
        assert set(self.book.logs) == self.acknowledged, "a task that nobody asked for, or one lost"
        for call in self.world.take_ended():
            assert call.code not in NEVER_SENT, call
            self.tally.codes[call.code.name if call.code else "CUT"] += 1
        self.sound = True

    def teardown(self) -> None:
        """Faults stop, vendors finish every second piece of work, and time runs on: everything ends."""
        try:
            if self.sound:
                self._end_well()
        finally:
            self.world.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            self._count()

    def _end_well(self) -> None:
        self.world.vendor.heal()
        self.world.house.refusals = 0
        for work in self._open_works()[::2]:
            work.end("SUCCEEDED")
        for call in self.followers.values():
            call.reading.set()
        self._wait_for_the_end()
        self.everything_is_true()
        self.book.close(self.world)
        for task in self.must_succeed:
            assert self.book.last(task).status.state is State.SUCCEEDED, "answered in time, and not SUCCEEDED"

    def _wait_for_the_end(self) -> None:
        """Wait for the longest deadline, and for as much longer as the wall clock was ever wrong."""
        self._advance(LONGEST_TIMEOUT + SLACK_SECONDS)
        for _ in range(0, max(self.wrong_minutes) - min(self.wrong_minutes), 5):
            self.everything_is_true()
            if all(State(state).terminal for _, state in self.world.heads().values()):
                return
            self._advance(300)

    def _count(self) -> None:
        self.tally.edges += self.book.edges
        self.tally.tasks += len(self.book.logs)
        self.tally.faults += self.world.vendor.injected
        self.tally.watches += len(self.book.watches)
        self.tally.watched_events += sum(len(call.responses) for call in self.book.watches)


def pick(things: Sequence[Any], place: int) -> Any:
    """One of several, counted from the newest."""
    return things[-1 - place % len(things)]


def state_of(task: task_pb2.Task) -> State:
    """The state that an answer shows."""
    return State[task_pb2.Task.State.Name(task.state).removeprefix("STATE_")]
