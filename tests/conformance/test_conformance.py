"""Every client carries out the same vectors, ``clients/conformance/vectors.json``, against a real server.

Go and TypeScript do it by their own test runners. Where a toolchain is missing, or what it needs cannot be
fetched, that is a visible skip; with CI set it is a failure.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from imageedit_client import Client, ImageEditError
from tests.conformance import python_client
from tests.conformance.place import Place, conforming, names
from tests.servers.programs import Ran, environment, run_to_end
from tests.tools import toolchains

PATIENCE_SECONDS = 840
"""A toolchain whose caches are empty fetches and compiles gRPC first."""
FIRST_TIME = pytest.mark.timeout(PATIENCE_SECONDS + 60)
ENDS = ("pass", "fail", "skip")


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with conforming(tmp_path) as place:
        yield place


@pytest.mark.parametrize("client", [Client, python_client.InOneLoop])
async def test_the_python_client_conforms(place: Place, client: type) -> None:
    outcomes = await asyncio.to_thread(python_client.run, place.contents(), client)
    assert outcomes == dict.fromkeys(names(), "ok")
    was_cut(place)


@FIRST_TIME
async def test_the_go_client_conforms(place: Place) -> None:
    """And passes the tests of its own that stand beside them."""
    ran = await run_on(place, toolchains.GO, found(toolchains.go), "test", "-count=1", "-json", ".")
    said = [json.loads(line) for line in ran.out.splitlines() if line.startswith("{")]
    output = "".join(each.get("Output", "") for each in said) + ran.err
    ended = {each["Test"]: each["Action"] for each in said if each["Action"] in ENDS and "Test" in each}
    vectors = {f"TestConformance/{name.replace(' ', '_')}" for name in names()}
    assert {name for name in ended if name.startswith("TestConformance/")} == vectors, output
    assert (set(ended.values()), ran.code) == ({"pass"}, 0), output
    was_cut(place)


@FIRST_TIME
async def test_the_typescript_client_conforms(place: Place) -> None:
    """And passes the tests of its own that stand beside them."""
    node, folder = found(toolchains.node), toolchains.TYPESCRIPT
    tsc = await run_on(place, folder, node, toolchains.MODULES / ".bin/tsc")
    assert tsc.code == 0, tsc.out + tsc.err
    tests = [f"dist/test/{path.stem}.js" for path in sorted(folder.glob("test/*.test.ts"))]
    ran = await run_on(place, folder, node, "--test", "--test-reporter=tap", *tests)
    ended = [line.strip() for line in ran.out.splitlines() if re.match(r" *(not )?ok ", line)]
    passed = {line.partition(" - ")[2] for line in ended if line.startswith("ok ")}
    assert set(names()) <= passed, ran.out + ran.err
    assert not [line for line in ended if "# SKIP" in line], ran.out
    assert ran.code == 0, ran.out + ran.err
    was_cut(place)


async def run_on(place: Place, folder: Path, *command: str | Path) -> Ran:
    """Run a program in a client's folder; it is told of the place."""
    variables = environment(more={"IMAGEEDIT_CONFORMANCE": str(place.page)})
    return await run_to_end(*command, cwd=folder, variables=variables, patience_seconds=PATIENCE_SECONDS)


def found(toolchain):
    """The command, or a skip that says what is missing."""
    try:
        return toolchain()
    except toolchains.Missing as error:
        if toolchains.must_be_here():
            pytest.fail(str(error))
        pytest.skip(str(error))


def was_cut(place: Place) -> None:
    """The streams did break: one connection would not have been enough."""
    assert place.cut.passed > 2
    assert place.cut_later.passed > 2


class Repeats(Client):
    """Begins a watch anew when it is told where to go on."""

    def watch(self, task_id, *, after_seq=0):
        return super().watch(task_id)


class Creates(Client):
    """Forgets the request_id."""

    def edit_image(self, prompt, images, **settings):
        return super().edit_image(prompt, images, **{**settings, "request_id": ""})


class Shortens(Client):
    """Loses the end of a picture."""

    def upload(self, picture):
        return super().upload(picture[:-1])


class Mutters(Client):
    """Keeps the reason of a refusal to itself."""

    def get(self, task_id):
        try:
            return super().get(task_id)
        except ImageEditError as error:
            raise ImageEditError(error.message, code=error.code) from None


BUGS = {
    Repeats: "a watch goes on from any event",
    Creates: "one request_id is one task",
    Shortens: "an upload of many chunks arrives whole",
    Mutters: "what does not exist is not found",
}


async def test_the_vectors_find_what_a_client_does_wrong(place: Place) -> None:
    page = place.contents()
    for bug, name in BUGS.items():
        outcomes = await asyncio.to_thread(python_client.run, page, bug, name)
        assert list(outcomes) == [name]
        assert outcomes[name] != "ok"
