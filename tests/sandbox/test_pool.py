"""The worker pool keeps what it promises of its processes (DESIGN §7, P18, F17).

The jobs are functions of the standard library, since a worker imports a job by its name.
"""

import asyncio
import errno
import fcntl
import operator
import os
import pickle
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.image import Transparency
from imageedit_server.images.inspection import InspectionFailed, inspect
from imageedit_server.pictures.ready import Taken, make_ready
from imageedit_server.runtime.workers import JobFailed, Overran, WorkerDied, Workers, WorkersBroken
from imageedit_server.sandbox import fork_server
from imageedit_server.sandbox import pool as pool_module
from imageedit_server.sandbox.jobs import FEW_BYTES, packed
from imageedit_server.sandbox.limits import GIB, MIB, Allowance
from imageedit_server.sandbox.pool import WorkerPool
from imageedit_server.sandbox.worker_process import HEADER
from tests.images.hostile import forge
from tests.images.pictures import PHOTO
from tests.sandbox.processes import DEADLINE_SECONDS, gone, hang, send_on, workers_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


linux_only = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
filtered_only = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"), reason="needs seccomp"
)


def allowance(
    *,
    cpu_seconds: int = 60,
    wall_seconds: float = 60,
    memory_bytes: int = 2 * GIB,
    content_bytes: int = 64 * MIB,
) -> Allowance:
    return Allowance(
        cpu_seconds=cpu_seconds,
        wall_seconds=wall_seconds,
        memory_bytes=memory_bytes,
        content_bytes=content_bytes,
    )


def exited(pidfd: int) -> bool:
    """Wait until the process is gone, with a deadline."""
    return bool(select.select([pidfd], [], [], DEADLINE_SECONDS)[0])


async def test_a_job_runs_in_another_process(pool: WorkerPool) -> None:
    pid = await pool.run(os.getpid)
    assert pid != os.getpid()
    assert await pool.run(os.getpid) == pid, "the process is used again"


@linux_only
async def test_two_jobs_run_at_once(pool: WorkerPool) -> None:
    """Both stand still: with one process the second would not have begun."""
    jobs = [await hang(pool), await hang(pool)]
    assert len({pid for _, pid in jobs}) == 2
    await asyncio.gather(*(send_on(pid, job) for job, pid in jobs))


async def test_an_error_of_the_job_is_told_with_its_traceback(pool: WorkerPool) -> None:
    with pytest.raises(JobFailed, match=r"(?s)Traceback .*ZeroDivisionError: division by zero"):
        await pool.run(operator.truediv, 1, 0)


async def test_a_refusal_comes_back_as_itself(pool: WorkerPool) -> None:
    with pytest.raises(InspectionFailed) as failed:
        await pool.run(inspect, b"text", max_pixels=1)
    assert failed.value.reason is Reason.IMAGE_UNDECODABLE
    assert failed.value.description == "is not a PNG, JPEG or WebP picture"


async def test_a_result_is_of_the_kind_that_the_job_says(pool: WorkerPool) -> None:
    found = await pool.run(inspect, PHOTO, max_pixels=10**6)
    assert found == inspect(PHOTO, max_pixels=10**6)
    assert isinstance(found.transparency, Transparency)
    taken = Taken(media_types=("image/png",), max_bytes=MIB)
    assert await pool.run(make_ready, PHOTO, taken) == make_ready(PHOTO, taken)


@pytest.mark.parametrize(
    ("job", "error"),
    [
        ((threading.Lock,), JobFailed),
        ((len, threading.Lock()), TypeError),
        ((exec, "class Odd(Exception): ...\nraise Odd"), JobFailed),
        ((next, iter(())), JobFailed),
        ((exec, "raise MemoryError"), MemoryError),
        ((exec, "raise ValueError('\\ud800' * 100_000)"), JobFailed),
    ],
    ids=["result", "argument", "error", "StopIteration", "MemoryError", "long text"],
)
async def test_what_cannot_cross_the_border_is_an_error_and_poisons_nothing(
    pool: WorkerPool, job: tuple[object, ...], error: type[Exception]
) -> None:
    before = await pool.run(os.getpid)
    with pytest.raises(error):
        await pool.run(*job)  # type: ignore[arg-type]
    assert await pool.run(os.getpid) == before


async def test_big_jobs_and_answers_pass(pool: WorkerPool) -> None:
    assert await pool.run(bytes.swapcase, b"a" * 20_000_000) == b"A" * 20_000_000


async def test_bytes_of_every_size_arrive_in_their_places(pool: WorkerPool) -> None:
    """What is not few goes beside the pickle, however deep it is in the arguments."""
    sizes = (0, FEW_BYTES, FEW_BYTES + 1, 2 * MIB, 7)
    parts = [bytes([ord("a") + number]) * size for number, size in enumerate(sizes)]
    twice = [*parts, *reversed(parts)]
    separator = b"-" * (FEW_BYTES + 1)
    assert await pool.run(bytes.join, separator, twice) == separator.join(twice)


async def test_a_picture_is_not_copied_to_be_sent() -> None:
    picture = bytes(FEW_BYTES + 1)
    words, *contents = packed((bytes.join, (b"few", [picture]), {})).pieces
    assert len(contents) == 1
    assert contents[0] is picture
    assert len(words) < FEW_BYTES


async def test_what_a_job_prints_is_no_answer(pool: WorkerPool) -> None:
    assert await pool.run(os.write, 1, b"noise on stdout\n") == 16
    await pool.run(print, "noise")
    assert await pool.run(abs, -1) == 1


@linux_only
async def test_a_killed_worker_fails_its_own_job_alone(pool: WorkerPool, tmp_path: Path) -> None:
    job, pid = await hang(pool)
    os.kill(pid, signal.SIGKILL)
    assert await pool.run(abs, -1) == 1
    with pytest.raises(WorkerDied, match="was killed"):
        await job
    assert await asyncio.gather(*(pool.run(abs, -n) for n in range(20))) == list(range(20))


@linux_only
async def test_a_job_that_does_not_reach_its_worker_goes_to_another(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No picture is at fault there. Control: where none can be reached, that is what is told."""
    send, failing = socket.send_fds, 1

    def spoilt(to: socket.socket, pieces: list[Any], descriptors: list[int]) -> int:
        nonlocal failing
        if failing and isinstance(pieces[0], memoryview):  # what else is sent so is an order for a worker
            failing -= 1
            raise OSError(errno.EIO, "not now")
        return send(to, pieces, descriptors)

    monkeypatch.setattr(socket, "send_fds", spoilt)
    assert await pool.run(operator.add, 1, 2) == 3
    failing = 2
    with pytest.raises(WorkersBroken):
        await pool.run(operator.add, 1, 2)


async def test_a_worker_killed_while_idle_fails_no_job(pool: WorkerPool) -> None:
    pid = await pool.run(os.getpid)
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert exited(pidfd)
    os.close(pidfd)
    assert await pool.run(os.getpid) != pid


@pytest.mark.parametrize(
    "job",
    [
        "import signal; signal.pause()",
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        "sum(range(10**18))",
    ],
    ids=["waiting", "stopped", "deaf to its other threads"],
)
async def test_a_job_is_killed_at_its_limit(pool: WorkerPool, job: str) -> None:
    with pytest.raises(Overran, match=r"took longer than 0\.1 s"):
        await pool.within(allowance(wall_seconds=0.1)).run(exec, job)
    assert await pool.run(abs, -1) == 1


BURNS = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"


async def test_a_job_is_killed_for_its_cpu_time(pool: WorkerPool) -> None:
    """By the kernel; what a busy machine does to the wall time is not the job's fault."""
    with pytest.raises(Overran, match="CPU"):
        await pool.within(allowance(cpu_seconds=1)).run(exec, "sum(range(10**18))")
    assert await pool.run(abs, -1) == 1


async def test_each_job_has_its_own_cpu_time() -> None:
    pool = WorkerPool(size=1, allowance=allowance(cpu_seconds=1))
    pids = [await pool.run(eval, f"(exec({BURNS!r}), __import__('os').getpid())[1]") for _ in range(5)]
    assert len(set(pids)) == 1
    await pool.aclose()


@linux_only
async def test_memory_beyond_the_allowance_is_refused_and_the_worker_lives() -> None:
    pool = WorkerPool(size=1)
    small = pool.within(allowance(memory_bytes=256 * MIB))
    pid = await small.run(os.getpid)
    for _ in range(2):
        with pytest.raises(MemoryError):
            await small.run(eval, f"len(bytes({512 * MIB}))")
        assert await pool.run(eval, f"len(bytes({512 * MIB}))") == 512 * MIB
    assert await small.run(os.getpid) == pid
    await pool.aclose()


async def test_a_worker_is_replaced_after_its_share_of_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "RECYCLED_AFTER", 3)
    pool = WorkerPool(size=1)
    pids = [await pool.run(os.getpid) for _ in range(7)]
    assert len(set(pids[:3])) == len(set(pids[3:6])) == 1
    assert len(set(pids)) == 3
    for pid in set(pids[:6]):
        await gone(pid)
    await pool.aclose()


@pytest.mark.parametrize(
    "job",
    [
        "import socket; socket.socket()",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import os; os.execv('/bin/true', ['true'])",
        "import subprocess; subprocess.run(['/bin/true'])",
    ],
    ids=["socket", "connection", "exec", "subprocess"],
)
@filtered_only
async def test_a_worker_reaches_no_network_and_starts_no_program(pool: WorkerPool, job: str) -> None:
    with pytest.raises(JobFailed, match="PermissionError"):
        await pool.run(exec, job)
    assert await pool.run(abs, -1) == 1


@filtered_only
async def test_a_worker_opens_few_files(pool: WorkerPool) -> None:
    with pytest.raises(JobFailed, match="Too many open files"):
        await pool.run(eval, "[__import__('os').dup(0) for _ in range(100)]")


@linux_only
async def test_long_jobs_leave_a_process_for_the_short_ones(tmp_path: Path) -> None:
    """However many edits hang: an inspection waits for none of them, and they take turns."""
    pool = WorkerPool()
    lanes = [pool.lane(), pool.lane()]
    first, pid = await hang(lanes[0])
    order: list[str] = []

    async def noted(lane: Workers, name: str) -> None:
        """Let what is loaded tell the turn: who hears of its end first is chance."""

        async def load() -> int:
            order.append(name)
            return -1

        await lane.run_on(load, abs)

    waiting = [asyncio.create_task(noted(lanes[0], name)) for name in ("second", "third")]
    waiting.append(asyncio.create_task(noted(lanes[1], "of the other lane")))
    await asyncio.sleep(0)  # all wait now
    assert len({await pool.run(os.getpid) for _ in range(20)} | {pid}) == 2
    assert order == []
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDied):
        await first
    await asyncio.gather(*waiting)
    assert order == ["of the other lane", "second", "third"]
    await pool.aclose()


async def test_closing_ends_what_waits_in_lanes_too(tmp_path: Path) -> None:
    pool = WorkerPool()
    lanes = [pool.lane(), pool.lane()]
    running, _ = await hang(lanes[0])
    waiting = [asyncio.create_task(lane.run(abs, -1)) for lane in (*lanes, *lanes)]
    await asyncio.sleep(0)  # all wait now
    await pool.aclose()
    for job in (running, *waiting):
        with pytest.raises(Refusal) as refused:
            await job
        assert refused.value.reason is Reason.DRAINING


async def test_a_worker_that_leaves_is_a_dead_worker(pool: WorkerPool) -> None:
    with pytest.raises(WorkerDied):
        await pool.run(os._exit, 0)
    with pytest.raises(WorkerDied):
        await pool.run(sys.exit, 0)


@linux_only
async def test_a_cancelled_caller_poisons_nothing() -> None:
    """The next callers of the same process get their own answers, not the late one."""
    pool = WorkerPool(size=1)
    running, _ = await hang(pool)
    waiting = asyncio.create_task(pool.run(exec, "raise SystemExit"))
    await asyncio.sleep(0)
    for task in (running, waiting):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await asyncio.gather(*(pool.run(abs, -n) for n in range(5))) == list(range(5))
    await pool.aclose()


@linux_only
async def test_a_call_that_is_given_up_ends_with_its_process(tmp_path: Path) -> None:
    pool = WorkerPool(size=1)
    job, pid = await hang(pool)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert await pool.run(os.getpid) != pid
    await gone(pid)
    await pool.aclose()


async def test_a_caller_that_left_while_its_worker_started_leaves_it_to_the_next() -> None:
    pool = WorkerPool(size=1)
    for _ in range(3):
        job = asyncio.create_task(pool.run(abs, -1))
        await asyncio.sleep(0)
        job.cancel()
    assert await pool.run(os.getpid) == await pool.run(os.getpid)
    assert pool.idle <= 2, "theirs, and the one that is ready"
    await pool.aclose()


async def test_a_server_that_left_meanwhile_is_no_trouble_worth_a_word() -> None:
    """It may end at any moment, also between its order for a worker and the answer."""
    ours, theirs = socket.socketpair()
    with ours:
        socket.send_fds(ours, [b'["fork", []]'], [theirs.fileno()])
    with theirs:
        ran = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-P", "-c", fork_server.BOOT],
            stdin=theirs.fileno(),
            capture_output=True,
            check=False,
        )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


@linux_only
async def test_after_a_death_the_next_workers_have_other_addresses(tmp_path: Path) -> None:
    """Forks of one process look alike: what crashed one must not find the next where it was."""
    pool = WorkerPool(size=1)
    where = "id(len), __import__('os').getppid()"
    before = await pool.run(eval, where)
    with pytest.raises(Overran):
        await pool.within(allowance(wall_seconds=0.1)).run(signal.pause)
    assert await pool.run(eval, where) == before, "what took long is no attack"
    with pytest.raises(WorkerDied):
        await pool.run(os.abort)
    after = await pool.run(eval, where)
    assert after[1] != before[1]
    await gone(before[1])
    await pool.aclose()


@linux_only
async def test_a_job_outlives_the_death_of_another(pool: WorkerPool) -> None:
    """After which workers are forked from a new process."""
    running, pid = await hang(pool)
    with pytest.raises(WorkerDied):
        await pool.run(os._exit, 1)
    assert await pool.run(abs, -1) == 1
    await send_on(pid, running)


@linux_only
async def test_workers_start_again_after_the_death_of_what_they_are_forked_from(pool: WorkerPool) -> None:
    parent = await pool.run(os.getppid)
    workers = [worker for worker in workers_of(os.getpid()) if worker.parent == parent]
    assert workers
    os.kill(parent, signal.SIGKILL)
    for worker in workers:
        await gone(worker.pid)
    assert await pool.run(os.getppid) != parent


async def test_a_worker_has_its_code_when_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports cost more than a picture, and every worker is replaced."""
    monkeypatch.setattr(pool_module, "RECYCLED_AFTER", 1)
    pool = WorkerPool(size=1)
    await pool.run(inspect, PHOTO, max_pixels=10**6)
    before = await pool.run(eval, "list(__import__('sys').modules)")
    monkeypatch.setattr(pool_module, "RECYCLED_AFTER", 100)
    assert set(await pool.run(eval, "list(__import__('sys').modules)")) == set(before)
    await pool.run(inspect, PHOTO, max_pixels=10**6)
    assert set(await pool.run(eval, "list(__import__('sys').modules)")) == set(before)
    await pool.aclose()


# A worker that a picture took over


class Code:
    """What is run by who unpickles it."""

    def __init__(self, proof: Path) -> None:
        self._proof = proof

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._proof),)


def framed(words: bytes, content: bytes = b"") -> bytes:
    return HEADER.pack(len(words), len(content)) + words + content


FOUND = b'{"media_type": "image/png", "width": 1, "height": 1, "transparency": "NONE", "upright": true}'
FORGERIES = {
    "no JSON": framed(b"["),
    "neither a result nor an error": framed(b'{"at": 1}'),
    "deep": framed(b"[" * 200_000),
    "a number of many digits": framed(b"[" + b"1" * 200_000 + b"]"),
    "words without end": HEADER.pack(2**32 - 1, 0),
    "content where there is none": HEADER.pack(2, 1) + b"[]",
    "another kind": framed(b'["a string"]'),
    "a field too few": framed(b"[" + FOUND.replace(b'"width": 1,', b"") + b"]"),
    "a word that is none": framed(b"[" + FOUND.replace(b"NONE", b"MAYBE") + b"]"),
    "an error that no job raises": framed(b'["builtins.SystemExit", []]'),
    "an error of other strings": framed(
        b'["imageedit_server.images.inspection.InspectionFailed", ["x", "y"]]'
    ),
    "more than was announced": framed(b"[" + FOUND + b"]") + b"more",
}


async def test_what_is_not_forged_is_read() -> None:
    """So that the forgeries fail for what is forged in them."""
    pool = WorkerPool(size=1, allowance=allowance(content_bytes=0))
    assert (await pool.run(forge, framed(b"[" + FOUND + b"]"))).media_type == "image/png"
    await pool.aclose()


@pytest.mark.parametrize("answer", FORGERIES.values(), ids=FORGERIES)
async def test_a_worker_that_answers_nonsense_is_a_dead_worker(pool: WorkerPool, answer: bytes) -> None:
    with pytest.raises(WorkerDied):
        await pool.within(allowance(content_bytes=0)).run(forge, answer)
    assert await pool.run(abs, -1) == 1


async def test_an_answer_runs_no_code(pool: WorkerPool, tmp_path: Path) -> None:
    pickled = pickle.dumps((Code(tmp_path / "proof"), None))
    for answer in (framed(pickled), framed(b"[]", pickled), len(pickled).to_bytes(8) + pickled):
        with pytest.raises(WorkerDied):
            await pool.run(forge, answer)
    assert not (tmp_path / "proof").exists()


async def test_closing_kills_all_and_blames_no_picture(tmp_path: Path) -> None:
    pool = WorkerPool()
    job, pid = await hang(pool)
    await pool.aclose()
    with pytest.raises(Refusal) as refused:
        await job
    assert refused.value.reason is Reason.DRAINING
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(Refusal):
        await pool.run(abs, -1)
    await pool.aclose()


async def test_a_worker_that_cannot_start_is_our_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not WorkerDied, which would call every picture undecodable."""
    pool = WorkerPool()
    with monkeypatch.context() as patched:
        patched.setattr(fork_server, "BOOT", "raise SystemExit(1)")
        for _ in range(2):
            with pytest.raises(WorkersBroken):
                await pool.run(abs, -1)
    assert await pool.run(abs, -1) == 1
    await pool.aclose()


async def test_a_worker_knows_no_secret_and_little_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    pool = WorkerPool()
    assert "secret" not in await pool.run(eval, "str(__import__('os').environ)")
    modules = await pool.run(eval, "list(__import__('sys').modules)")
    assert not set(modules) & {
        "asyncio",
        "grpc",
        "google.protobuf",
        "sqlalchemy",
        "multiprocessing",
        "pytest",
    }
    core_files = await pool.run(eval, f"__import__('resource').getrlimit({resource.RLIMIT_CORE})")
    assert core_files == [0, 0]
    await pool.aclose()


async def test_signals_to_the_group_leave_the_workers_working(pool: WorkerPool) -> None:
    """Ctrl-C and a service manager's SIGTERM reach workers too; the server drains with them."""
    pid = await pool.run(os.getpid)
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert await pool.run(os.getpid) == pid


async def test_a_worker_does_not_inherit_the_lock_of_the_data_dir(tmp_path: Path) -> None:
    pool = WorkerPool()
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        await pool.run(abs, -1)
    with (tmp_path / "lock").open("w") as again:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    await pool.aclose()


MAIN = """
import asyncio, sys
from imageedit_server.sandbox.pool import WorkerPool
print("main imported")
async def main():
    pool = WorkerPool()
    print(await pool.run(abs, -7))
    await pool.aclose()
asyncio.run(main())
"""


@pytest.mark.parametrize("started_as", ["script without a guard", "-c", "-m"])
async def test_a_worker_never_runs_the_parents_main(tmp_path: Path, started_as: str) -> None:
    (tmp_path / "unguarded.py").write_text(MAIN)
    arguments = {"script without a guard": ["unguarded.py"], "-c": ["-c", MAIN], "-m": ["-m", "unguarded"]}
    command = [sys.executable, *arguments[started_as]]
    ran = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("main imported\n7\n", "", 0)


PARENT = """
import asyncio
from imageedit_server.sandbox.pool import WorkerPool
async def main():
    pool = WorkerPool()
    waits, works = "import signal; signal.pause()", "sum(range(10**18))"
    await asyncio.gather(pool.run(exec, waits), pool.run(exec, works))
asyncio.run(main())
"""


@linux_only
async def test_workers_die_with_a_killed_parent() -> None:
    """One that waits in the kernel, one that never lets another thread run, one that is idle."""
    with subprocess.Popen([sys.executable, "-c", PARENT]) as parent:  # noqa: ASYNC220  it is at once there
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(workers := workers_of(parent.pid)) < 3:  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.01)
        parent.kill()
    for worker in workers:
        await gone(worker.pid)


async def test_what_a_job_is_given_is_loaded_when_it_is_its_turn(tmp_path: Path) -> None:
    """A picture whose edit waits for another one takes no memory."""
    pool = WorkerPool()
    lane, loaded = pool.lane(), asyncio.Event()

    async def load() -> bytes:
        loaded.set()
        return b"picture"

    running, pid = await hang(lane)
    waiting = asyncio.create_task(lane.run_on(load, len))
    await pool.run(abs, -1)  # which would have been late enough
    assert not loaded.is_set()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDied):
        await running
    assert await waiting == len(b"picture")
    await pool.aclose()


async def test_what_cannot_be_loaded_is_told_and_costs_no_worker() -> None:
    pool = WorkerPool(size=1)

    async def load() -> bytes:
        raise LookupError("gone")

    before = await pool.run(os.getpid)
    for _ in range(3):  # more than there are places
        with pytest.raises(LookupError, match="gone"):
            await pool.run_on(load, len)
    assert await pool.run(os.getpid) == before
    await pool.aclose()
