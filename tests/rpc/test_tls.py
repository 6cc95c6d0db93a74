"""TLS at the gRPC door: which versions and clients it takes, and new certificates without a restart."""

import asyncio
import shutil
import ssl
from pathlib import Path

import grpc
import pytest

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_client import AsyncClient, Client, ImageEditError, Pace
from imageedit_server.access.reload import Unusable
from imageedit_server.bootstrap import access
from imageedit_server.rpc.acceptance import look
from tests.outbound.servers import CERTS
from tests.rpc.callers import ALICE, AUTH, KEYS, bearer, write_keys
from tests.rpc.calls import call
from tests.rpc.serving import SCRIPTED, Served, serving
from tests.rpc.waiting import eventually

TLS = f'{SCRIPTED}[tls]\ncert_file = "cert.pem"\nkey_file = "key.pem"\n'
MUTUAL = f'{TLS}client_ca_file = "ca.pem"\n'
HASTY = Pace(call_seconds=1, patience_seconds=1)
"""A server that refuses a handshake looks like one that is not there."""


def pem(name: str) -> Path:
    """A certificate of the tests."""
    return CERTS / f"test-only-{name}.pem"


def key(name: str) -> Path:
    """Its key."""
    return CERTS / f"test-only-{name}.key"


CA = pem("ca")


def install(folder: Path, name: str) -> None:
    """Put a certificate and its key where the server looks for them."""
    folder.mkdir(exist_ok=True)
    for source, target in ((pem(name), "cert.pem"), (key(name), "key.pem"), (CA, "ca.pem")):
        shutil.copy(source, folder / f"{target}.new")
        (folder / f"{target}.new").replace(folder / target)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good certificate."""
    install(tmp_path, "localhost")
    return tmp_path


async def test_both_clients_speak_tls(folder: Path) -> None:
    """The whole way with a key, in both faces; the files are found beside the config file."""
    write_keys(folder, KEYS)
    async with serving(folder, TLS, AUTH) as served:
        address = served.server.grpc_address
        async with AsyncClient(address, ca_file=CA, api_key=ALICE) as client:
            models = await client.list_models()

        def ask() -> object:
            with Client(address, ca_file=CA, api_key=ALICE) as client:
                return client.list_models()

        assert await asyncio.to_thread(ask) == models


async def test_plaintext_is_not_answered(folder: Path) -> None:
    """The channel of the tests speaks plaintext."""
    async with serving(folder, TLS) as served:
        outcome = await call(served.channel, "ListModels", pb.ListModelsRequest())
        assert outcome.code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_versions_of_tls_are_refused(folder: Path, version: ssl.TLSVersion) -> None:
    """P23: 1.2 or newer, even for a client that would speak the older one."""
    async with serving(folder, TLS) as served:
        assert await handshake(served, ssl.TLSVersion.TLSv1_2) == "localhost"
        with pytest.raises((ssl.SSLError, ConnectionError)) as refused:
            await handshake(served, version)
    assert "NO_PROTOCOLS" not in str(refused.value)  # it was offered, and the server refused


async def test_a_new_certificate_is_taken_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a restart; open connections go on."""
    monkeypatch.setattr(access, "RELOAD_SECONDS", 0.02)
    async with serving(folder, TLS) as served, AsyncClient(served.server.grpc_address, ca_file=CA) as client:
        await client.list_models()
        assert await handshake(served) == "localhost"
        install(folder, "renewed")
        await eventually(lambda: _is(served, "renewed"))
        install(folder, "localhost")
        await eventually(lambda: _is(served, "localhost"))
        await client.list_models()


async def _is(served: Served, name: str) -> bool:
    return await handshake(served) == name


async def test_a_broken_certificate_is_named_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the operator reads: the file, and that the former one still holds."""
    monkeypatch.setattr(access, "RELOAD_SECONDS", 0.02)
    async with serving(folder, TLS) as served:
        (folder / "cert.pem").write_text("broken")
        await eventually(lambda: "still holds" in caplog.text)
        assert caplog.text.count("tls.cert_file") == 1
        assert await handshake(served) == "localhost"
        install(folder, "renewed")
        await eventually(lambda: _is(served, "renewed"))


async def test_an_expired_certificate_is_named_at_the_start(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is served all the same, since a new one is taken up while the server runs."""
    shutil.copy(pem("expired"), folder / "cert.pem")
    shutil.copy(key("good.example"), folder / "key.pem")
    async with serving(folder, TLS):
        assert f"no client takes {folder / 'cert.pem'}: certificate has expired; renew it" in caplog.text


# Mutual TLS


async def test_a_client_must_show_a_certificate(folder: Path) -> None:
    """It counts as authentication: no key is asked for; the tenant is the default one."""
    async with serving(folder, MUTUAL) as served:
        address = served.server.grpc_address
        async with _client(address, "client") as client:
            image = await client.upload((CERTS.parents[1] / "photos" / "grace_hopper.jpg").read_bytes())
        assert served.reader.execute("SELECT tenant, image_id FROM image").fetchall() == [
            ("default", image.image_id)
        ]
        for stranger in (_client(address, "stranger", HASTY), AsyncClient(address, ca_file=CA, pace=HASTY)):
            async with stranger as client:
                with pytest.raises(ImageEditError) as refused:
                    await client.list_models()
            assert refused.value.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def _client(address: str, name: str, pace: Pace | None = None) -> AsyncClient:
    return AsyncClient(address, ca_file=CA, cert_file=pem(name), key_file=key(name), pace=pace)


async def test_a_certificate_does_not_replace_a_key(folder: Path) -> None:
    """With both asked for, both are needed: the tenant is the key's."""
    write_keys(folder, KEYS)
    files = [path.read_bytes() for path in (CA, key("client"), pem("client"))]
    async with serving(folder, MUTUAL, AUTH) as served:
        credentials = grpc.ssl_channel_credentials(*files)
        async with grpc.aio.secure_channel(served.server.grpc_address, credentials) as channel:
            request = pb.ListModelsRequest()
            assert (await call(channel, "ListModels", request)).reason == "CREDENTIALS_MISSING"
            answered = await call(channel, "ListModels", request, metadata=bearer(ALICE))
            assert answered.code is grpc.StatusCode.OK


# Files that cannot be used


@pytest.mark.parametrize(
    ("spoiled", "setting"),
    [("cert.pem", "tls.cert_file"), ("key.pem", "tls.cert_file"), ("ca.pem", "tls.client_ca_file")],
)
async def test_a_file_that_is_no_pem_stops_the_start(folder: Path, spoiled: str, setting: str) -> None:
    """One sentence that names the setting, before anything listens."""
    (folder / spoiled).write_text("broken")
    with pytest.raises(Unusable, match=rf"^{setting}: [^\n]+$"):
        async with serving(folder, MUTUAL):
            pass


@pytest.mark.parametrize(
    ("missing", "setting"),
    [("cert.pem", "tls.cert_file"), ("key.pem", "tls.key_file"), ("ca.pem", "tls.client_ca_file")],
)
async def test_a_file_that_is_missing_stops_the_start(folder: Path, missing: str, setting: str) -> None:
    """One sentence that names the setting and the file."""
    (folder / missing).unlink()
    with pytest.raises(Unusable, match=rf"^{setting}: cannot read [^\n]*{missing}: [^\n]+$"):
        async with serving(folder, MUTUAL):
            pass


async def test_a_key_of_another_certificate_stops_the_start(folder: Path) -> None:
    """gRPC itself would only say so when a client comes."""
    shutil.copy(key("renewed"), folder / "key.pem")
    with pytest.raises(Unusable, match=r"^tls.cert_file: [^\n]+key\.pem$"):
        async with serving(folder, TLS):
            pass


async def handshake(served: Served, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> str:
    """Shake hands in this version alone; return the name in the certificate that was shown."""
    context = ssl.create_default_context(cafile=CA)
    context.set_alpn_protocols(["h2"])
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # or OpenSSL would not even offer the old versions
    context.minimum_version = context.maximum_version = version
    host, _, port = served.server.grpc_address.rpartition(":")
    async with asyncio.timeout(20):
        _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    ((_, name),) = writer.get_extra_info("peercert")["subject"][0]
    writer.transport.abort()
    return str(name)


@pytest.mark.parametrize("config", [TLS, MUTUAL])
async def test_a_door_with_tls_is_seen_to_take_connections(folder: Path, config: str) -> None:
    """Also where it asks for a certificate: that nobody without one is let in says that it accepts."""
    async with serving(folder, config) as served:
        host, port = served.server.grpc_address.split(":")
        assert await look(host, int(port), tls=True) == ""
