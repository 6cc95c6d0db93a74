"""Every client carries out the same vectors, ``clients/conformance/vectors.json``, against a real server.

Go and TypeScript do it by their own test runners. Where a toolchain is missing, or what it needs cannot be
fetched, that is a visible skip; with CI set it is a failure.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from imageedit_client import Client, ImageEditError
from tests.conformance import python_client
from tests.conformance.place import Place, conforming, names
from tests.servers.programs import Ran, environment, run_to_end
from tests.tools import toolchains

PATIENCE_SECONDS = 280
ENDS = ("pass", "fail", "skip")


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with conforming(tmp_path) as place:
        yield place


async def test_the_python_client_conforms(place: Place) -> None:
    outcomes = await asyncio.to_thread(python_client.run, place.contents())
    assert outcomes == dict.fromkeys(names(), "ok")
    was_cut(place)


async def test_the_go_client_conforms(place: Place) -> None:
    go = found(toolchains.go)
    ran = await run_on(
        place, toolchains.GO, go, "test", "-count=1", "-json", "-run", "^TestConformance$", "."
    )
    said = [json.loads(line) for line in ran.out.splitlines() if line.startswith("{")]
    output = "".join(each.get("Output", "") for each in said) + ran.err
    ended = {each["Test"]: each["Action"] for each in said if each["Action"] in ENDS and "Test" in each}
    wanted = {f"TestConformance/{name.replace(' ', '_')}": "pass" for name in names()}
    assert ended == {"TestConformance": "pass", **wanted}, output
    assert ran.code == 0, output
    was_cut(place)


async def test_the_typescript_client_conforms(place: Place) -> None:
    node = found(toolchains.node)
    tsc = await run_on(place, toolchains.TYPESCRIPT, node, toolchains.MODULES / ".bin/tsc")
    assert tsc.code == 0, tsc.out + tsc.err
    ran = await run_on(
        place, toolchains.TYPESCRIPT, node, "--test", "--test-reporter=tap", "dist/test/conformance.test.js"
    )
    lines = [line.strip() for line in ran.out.splitlines()]
    passed = {line.partition(" - ")[2] for line in lines if line.startswith("ok ") and "# SKIP" not in line}
    assert passed == set(names()), ran.out + ran.err
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
