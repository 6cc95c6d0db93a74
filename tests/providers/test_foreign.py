"""Adapters of other distributions: found, served and proven without a change of this repository."""

import os
import re
import shutil
import sys
import tomllib
from collections.abc import AsyncIterator, Mapping
from configparser import ConfigParser
from pathlib import Path
from textwrap import dedent

import pytest

from imageedit_client import AsyncClient
from tests.providers.foreign.proof.studio import studio
from tests.providers.local.support import PHOTO
from tests.servers.processes import Servers
from tests.servers.programs import COMMAND, ROOT, Ran, run_to_end

HERE = Path(__file__).with_name("foreign")
PAGE = ROOT / "docs" / "adapters.md"
CONFIG = """
[server]
listen = "127.0.0.1:0"
http_listen = "127.0.0.1:0"
[providers.echo]
adapter = "{adapter}"
base_url = "{url}"
{more}
"""
KEY = "key-of-the-studio"


def installed(*sites: Path) -> dict[str, str]:
    """The environment of a program that finds the distributions of these folders."""
    return {"PYTHONPATH": os.pathsep.join(map(str, sites)), "IMAGEEDIT_PROVIDERS__ECHO__API_KEY": KEY}


def configured(
    folder: Path, *, adapter: str = "echo_studio", url: str = "https://echo.example", more: str = ""
) -> list[str]:
    config = folder / "imageedit.toml"
    config.write_text(CONFIG.format(adapter=adapter, url=url, more=more))
    return ["serve", "--config", str(config), "--data-dir", str(folder / "data")]


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    async with Servers(tmp_path, forked=True) as servers:
        yield servers


async def test_it_is_served_like_one_that_ships(servers: Servers, tmp_path: Path) -> None:
    with studio(KEY) as (url, paid):
        server = await (
            await servers.run(*configured(tmp_path, url=url), environment=installed(HERE / "site"))
        ).ready()
        async with AsyncClient(server.grpc) as client:
            assert "echo/echo" in {model.name for model in await client.list_models()}
            task = await client.edit_image("send it back", [PHOTO], model="echo/echo")
            done = await client.wait(task.task_id)
            content = await client.download(done.images[0].image_id)
    assert content == PHOTO.read_bytes()
    assert paid == ["send it back"]


async def proof(site: Path, folder: Path, *more: str) -> Ran:
    """Run the suite as the people of the adapter do."""
    return await run_to_end(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
        HERE / "proof",
        *more,
        variables=os.environ | installed(site, HERE / "proof"),
        cwd=folder,
        patience_seconds=None,
    )


async def test_it_proves_itself_with_the_suite_that_ships(tmp_path: Path) -> None:
    ran = await proof(HERE / "site", tmp_path)
    assert ran.code == 0, ran.out
    assert " passed" in ran.out


CARELESS = """
class CarelessAdapter(EchoAdapter):
    async def prepare(self, job: Job) -> Prepared:
        prepared = await super().prepare(job)
        await self.payer.pay(self.paid_call(prepared, None), None)
        return prepared


EchoAdapter = CarelessAdapter
"""


async def test_one_that_pays_too_early_does_not_pass_the_suite(tmp_path: Path) -> None:
    site = Path(shutil.copytree(HERE / "site", tmp_path / "site"))
    with (site / "echo_studio" / "__init__.py").open("a") as module:
        module.write(CARELESS)
    ran = await proof(site, tmp_path, "-k", "prepare")
    assert ran.code == 1, ran.out
    assert "test_echo_studio.py::test_prepare_is_repeatable_and_free[" in ran.out


def blocks_of_the_page() -> dict[str, str]:
    """The code of docs/adapters.md, by its language and first word."""
    blocks = re.findall(r"^ +```(\w+)\n(.*?)^ +```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return {f"{language} {text.split()[0]}": dedent(text) for language, text in blocks}


def test_the_page_says_what_it_does() -> None:
    """The page's steps are this distribution's, word for word."""
    blocks = blocks_of_the_page()
    registered = tomllib.loads(blocks['toml [project.entry-points."imageedit.adapters"]'])
    written = ConfigParser()
    written.read(HERE / "site" / "echo_studio-1.0.dist-info" / "entry_points.txt")
    assert registered["project"]["entry-points"] == {name: dict(written[name]) for name in written.sections()}
    proof = (HERE / "proof" / "test_echo_studio.py").read_text()
    assert blocks["python from"] in re.sub(r"  # noqa.*", "", proof)


async def test_the_page_serves_it(tmp_path: Path) -> None:
    config = tmp_path / "imageedit.toml"
    config.write_text(blocks_of_the_page()["toml [providers.studio]"])
    ran = await run_to_end(
        *(COMMAND, "check", "--config", config, "--data-dir", tmp_path / "data"),
        variables=os.environ | {"PYTHONPATH": str(HERE / "site"), "STUDIO_KEY": KEY},
        cwd=tmp_path,
        patience_seconds=None,
    )
    assert ran.code == 0, ran.err
    assert "provider studio: " in ran.out


async def refusal(servers: Servers, arguments: list[str], environment: Mapping[str, str]) -> str:
    ran = await servers.run(*arguments, environment=environment)
    assert await ran.ended() == 2
    said = ran.stderr()
    assert said.count("\n") == 1
    return said


async def test_its_settings_are_its_own(servers: Servers, tmp_path: Path) -> None:
    said = await refusal(servers, configured(tmp_path, more="style = 1"), installed(HERE / "site"))
    assert "providers.echo.style" in said


async def test_a_name_that_nobody_has_is_refused_with_all_there_are(servers: Servers, tmp_path: Path) -> None:
    said = await refusal(servers, configured(tmp_path, adapter="eco"), installed(HERE / "site"))
    assert "providers.echo.adapter: must be one of echo_studio, kie, local" in said


def distribution(folder: Path, name: str, point: str, module: str = "") -> Path:
    """Install a distribution into a folder of its own."""
    site = folder / name
    shutil.copytree(HERE / "site" / "echo_studio-1.0.dist-info", site / f"{name}-1.0.dist-info")
    (site / f"{name}-1.0.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    )
    (site / f"{name}-1.0.dist-info" / "entry_points.txt").write_text(f"[imageedit.adapters]\n{point}\n")
    (site / f"{name}.py").write_text(module)
    return site


NO_ADAPTER = "which is no subclass of imageedit_server.providers.base.Adapter"
NO_OPTIONS = "whose Options are no subclass of imageedit_server.providers.base.ProviderOptions"
ABSTRACT = "from imageedit_server.providers.base import Adapter"
LAX = "from echo_studio import EchoAdapter\nclass Adapter(EchoAdapter): Options = dict"


@pytest.mark.parametrize(
    ("value", "module", "words"),
    [
        ("other:Missing", "", "which cannot be imported: AttributeError"),
        (
            "other:Adapter",
            "raise RuntimeError('no licence')",
            "which cannot be imported: RuntimeError: no licence",
        ),
        (
            "other:Adapter",
            "raise SystemExit('no licence')",
            "which cannot be imported: SystemExit: no licence",
        ),
        ("other:Adapter", "Adapter = dict", NO_ADAPTER),
        ("other:Adapter", ABSTRACT, "which lacks __init__, paid_call, prepare, understand"),
        ("other:Adapter", LAX, NO_OPTIONS),
    ],
)
async def test_one_that_cannot_be_used_is_named(
    servers: Servers, tmp_path: Path, value: str, module: str, words: str
) -> None:
    sites = [HERE / "site", distribution(tmp_path, "other", f"more = {value}", module)]
    said = await refusal(servers, configured(tmp_path, adapter="more"), installed(*sites))
    assert f"providers.echo.adapter: other brings the adapter 'more' as {value}, {words}" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("openai", "other brings an adapter 'openai', and one of that name ships"),
        ("echo_studio", "echo-studio and other both bring an adapter 'echo_studio'; uninstall one of them"),
    ],
)
async def test_a_name_that_two_have_stops_every_start(
    servers: Servers, tmp_path: Path, name: str, words: str
) -> None:
    sites = [HERE / "site", distribution(tmp_path, "other", f"{name} = other:Adapter")]
    _, *options = configured(tmp_path, adapter="scripted")
    for command in ("serve", "check"):
        said = await refusal(servers, [command, *options], installed(*sites))
        assert f"imageedit-server: providers: {words}" in said


async def test_a_distribution_that_cannot_be_read_stops_every_start(servers: Servers, tmp_path: Path) -> None:
    """Short of descriptors, say: whether it brings an adapter nobody knows, so the error is told."""
    site = distribution(tmp_path, "other", "more = other:Adapter")
    [points] = site.rglob("entry_points.txt")
    points.unlink()
    points.symlink_to(points)
    _, *options = configured(tmp_path, adapter="scripted")
    for command in ("serve", "check"):
        said = await refusal(servers, [command, *options], installed(site))
        assert "providers: what is installed cannot be looked through for adapters: " in said
        assert str(points) in said


async def test_the_check_tells_of_one_that_cannot_be_used(servers: Servers, tmp_path: Path) -> None:
    sites = [HERE / "site", distribution(tmp_path, "other", "more = other:Adapter", LAX)]
    _, *options = configured(tmp_path, adapter="more")
    said = await refusal(servers, ["check", *options], installed(*sites))
    assert f"providers.echo.adapter: other brings the adapter 'more' as other:Adapter, {NO_OPTIONS}" in said


async def test_what_nobody_asks_for_is_not_even_imported(servers: Servers, tmp_path: Path) -> None:
    broken = distribution(tmp_path, "other", "more = other:Adapter", "raise RuntimeError")
    server = await servers.run(*configured(tmp_path), environment=installed(HERE / "site", broken))
    await server.ready()
