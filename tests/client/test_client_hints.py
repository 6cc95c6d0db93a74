"""A connection that cannot be made says what most likely mends it, whichever face asks."""

import asyncio
import shutil
import socket
import ssl
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from imageedit_client import (
    AsyncClient,
    Client,
    ImageEditError,
    ImageSource,
    InvalidArgument,
    Pace,
    ResourceExhausted,
    Unavailable,
    UnencryptedKeyWarning,
)
from imageedit_client.cli.exits import sentence
from imageedit_client.cli.options import Shared
from imageedit_client.cli.session import Session
from tests.outbound.servers import CERTS
from tests.rpc.serving import SCRIPTED, serving

CA = CERTS / "test-only-ca.pem"
TLS = f'{SCRIPTED}[tls]\ncert_file = "cert.pem"\nkey_file = "key.pem"\n'
MUTUAL = f'{TLS}client_ca_file = "ca.pem"\n'


@dataclass(frozen=True, kw_only=True)
class Case:
    """A server, a client that does not fit it, and words of the hint."""

    toml: str = SCRIPTED
    certificate: str = "localhost"
    door: str = "grpc_address"
    how: dict[str, Any]
    words: str
    options: str


CASES = {
    "plaintext to TLS": Case(
        toml=TLS,
        how={},
        words="speaks TLS; give ca_file, or tls=True",
        options="give --ca-file, or --tls",
    ),
    "TLS to plaintext": Case(
        how={"ca_file": CA},
        words="does not speak TLS; leave out tls=True",
        options="leave out --tls, --ca-file",
    ),
    "no certificate of its own": Case(
        toml=MUTUAL,
        how={"ca_file": CA},
        words="asks for a client certificate",
        options="--cert-file and --key-file",
    ),
    "a stranger's certificate": Case(
        toml=MUTUAL,
        how={
            "ca_file": CA,
            "cert_file": CERTS / "test-only-stranger.pem",
            "key_file": CERTS / "test-only-stranger.key",
        },
        words="asks for a client certificate",
        options="--cert-file and --key-file",
    ),
    "a stranger's authority": Case(
        toml=TLS, how={"tls": True}, words="not trusted here; give ca_file", options="give --ca-file"
    ),
    "another name": Case(
        toml=TLS,
        certificate="other.example",
        how={"ca_file": CA},
        words="for other names",
        options="other names",
    ),
    "expired": Case(
        toml=TLS, certificate="expired", how={"ca_file": CA}, words="has expired", options="has expired"
    ),
    "the HTTP door": Case(
        door="http_address", how={}, words="that is an HTTP port", options="prints after grpc="
    ),
    "a pair that is none": Case(
        toml=TLS,
        how={
            "ca_file": CA,
            "cert_file": CERTS / "test-only-good.example.pem",
            "key_file": CERTS / "test-only-localhost.key",
        },
        words="that belong together",
        options="--cert-file and --key-file",
    ),
    "no PEM": Case(how={"ca_file": Path(__file__)}, words="give PEM files", options="--ca-file"),
}


def give_up(error: ImageEditError, delay: float) -> None:
    """Do not try again: the first answer is what is looked at."""
    raise error


IMPATIENT = Pace(on_retry=give_up)


def install(folder: Path, name: str) -> None:
    """Put a certificate where the server looks for it."""
    shutil.copy(CERTS / f"test-only-{name}.pem", folder / "cert.pem")
    key = "good.example" if name == "expired" else name
    shutil.copy(CERTS / f"test-only-{key}.key", folder / "key.pem")
    shutil.copy(CA, folder / "ca.pem")


async def refused(address: str, **how: Any) -> list[ImageEditError]:
    """Ask with both faces; return what they raise."""

    def ask() -> None:
        with Client(address, pace=IMPATIENT, **how) as client:
            client.list_models()

    async with AsyncClient(address, pace=IMPATIENT, **how) as client:
        with pytest.raises(Unavailable) as asynchronous:
            await client.list_models()
    with pytest.raises(Unavailable) as synchronous:
        await asyncio.to_thread(ask)
    return [asynchronous.value, synchronous.value]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_does_not_fit_is_named(tmp_path: Path, case: Case) -> None:
    """In the words of the library in the error, and in options on the command line."""
    install(tmp_path, case.certificate)
    async with serving(tmp_path, case.toml) as served:
        for error in await refused(getattr(served.server, case.door), **case.how):
            assert case.words in error.hint
            assert error.lasting
            assert str(error) == f"{error.message} ({error.hint})"
            assert case.options in sentence(error, "somewhere:1")


async def test_a_verdict_of_the_handshake_ends_the_call_at_once(tmp_path: Path, fake_time: Any) -> None:
    """The first try is the last one, also of a watch."""
    install(tmp_path, "localhost")
    async with serving(tmp_path, TLS) as served:
        address = served.server.grpc_address
        async with AsyncClient(address, tls=True, sleep=fake_time.sleep_async) as client:
            for asking in (client.list_models(), client.wait("task_1"), client.upload(b"x")):
                with pytest.raises(Unavailable, match="not trusted here"):
                    await asking
    assert fake_time.slept == []


def in_tls(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Take one caller after the other into a handshake, which is all there is."""
    with suppress(OSError):
        while True:
            caller, _ = listener.accept()
            with suppress(OSError), context.wrap_socket(caller, server_side=True) as inside:
                inside.recv(1)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({}, "speaks TLS and no HTTP/2"),
        ({"verify_mode": ssl.CERT_REQUIRED, "maximum_version": ssl.TLSVersion.TLSv1_2}, "client certificate"),
    ],
    ids=["no HTTP/2", "an alert"],
)
async def test_what_strange_servers_say_in_the_handshake_is_understood(
    setting: dict[str, Any], words: str
) -> None:
    """Web servers and proxies; ours says none of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTS / "test-only-localhost.pem", CERTS / "test-only-localhost.key")
    for name, value in setting.items():
        setattr(context, name, value)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=in_tls, args=(listener, context), daemon=True).start()
        for error in await refused(f"127.0.0.1:{listener.getsockname()[1]}", ca_file=CA):
            assert words in error.hint
            assert error.lasting
        listener.shutdown(socket.SHUT_RDWR)


def hang_up(caller: socket.socket) -> None:
    """A doorway of TCP whose server is not there."""


def listen_and_hang_up(caller: socket.socket) -> None:
    """One that waits for the first words."""
    caller.recv(64)


def hang_up_after_tls(caller: socket.socket) -> None:
    """One that speaks TLS for its server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTS / "test-only-localhost.pem", CERTS / "test-only-localhost.key")
    context.set_alpn_protocols(["h2"])
    context.wrap_socket(caller, server_side=True).close()


@pytest.mark.parametrize(
    ("doorway", "how"),
    [
        (hang_up, {}),
        (listen_and_hang_up, {}),
        (hang_up, {"ca_file": CA}),
        (listen_and_hang_up, {"ca_file": CA}),
        (hang_up_after_tls, {"ca_file": CA}),
    ],
)
async def test_a_doorway_whose_server_is_being_started_is_tried_on(
    doorway: Callable[[socket.socket], None], how: dict[str, Any]
) -> None:
    """It hangs up as well, and a restart behind it is to be bridged: it proves nothing about TLS."""

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                caller, _ = listener.accept()
                with suppress(OSError), caller:
                    doorway(caller)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        for error in await refused(f"127.0.0.1:{listener.getsockname()[1]}", **how):
            assert not error.lasting
        listener.shutdown(socket.SHUT_RDWR)


async def test_of_localhost_the_cause_is_named_that_explains_most(tmp_path: Path) -> None:
    """It is two addresses. The server is at one, and the other refuses; gRPC tells of one of them."""
    install(tmp_path, "localhost")

    def ask(address: str) -> str:
        with Client(address, pace=Pace(call_seconds=5.0)) as client, pytest.raises(Unavailable) as caught:
            client.list_models()
        return caught.value.hint

    async with serving(tmp_path, TLS) as served:
        address = served.server.grpc_address.replace("127.0.0.1", "localhost")
        hints = await asyncio.gather(*(asyncio.to_thread(ask, address) for _ in range(6)))
    assert all("speaks TLS" in hint for hint in hints), hints


async def test_a_message_that_is_too_large_is_told_of_uploads(tmp_path: Path) -> None:
    """In the library's words and on the command line."""
    async with serving(tmp_path, SCRIPTED) as served, AsyncClient(served.server.grpc_address) as client:
        with pytest.raises(ResourceExhausted, match="use UploadImage") as caught:
            await client.edit_image("x", [ImageSource(content=bytes(4 * 1024 * 1024))])
    assert caught.value.lasting
    assert "use UploadImage" in sentence(caught.value, "somewhere:1")


async def test_nobody_there_is_told_how_to_start_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    for error in await refused(address):
        assert sentence(error, address) == (
            f"could not reach {address}: connection refused; start a server with imageedit-server serve,"
            " or give another address"
        )


def test_an_answer_of_the_service_has_no_hint(server, say) -> None:
    """It came, so that nothing is wrong with the connection; what it says may read like it."""
    server.on("GetTask", say.Refusal(reason="DRAINING", message="failed to connect: Socket closed"))
    with Client(server.address, pace=IMPATIENT) as client, pytest.raises(Unavailable) as caught:
        client.get("task_1")
    assert caught.value.hint == ""


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "http://127.0.0.1:50051", "https://edits.example.com", "localhost:grpc", ":1", ""],
)
@pytest.mark.parametrize("face", [Client, AsyncClient])
async def test_an_address_that_cannot_be_one_is_refused_at_once(
    face: Callable[..., Any], address: str
) -> None:
    """Instead of a minute of tries."""
    with pytest.raises(ValueError, match="the address must be HOST:PORT, such as 127"):
        face(address)


@pytest.mark.parametrize("face", [Client, AsyncClient])
async def test_a_key_that_everyone_can_read_is_warned_of(face: Callable[..., Any]) -> None:
    """Once, where the client is made; without the key."""
    with pytest.warns(
        UnencryptedKeyWarning, match=r"unencrypted to edits\.example\.com:50051; give ca_file"
    ) as seen:
        client = face("edits.example.com:50051", api_key="s3cret")
    await _close(client)
    assert [warning.filename for warning in seen] == [__file__]
    assert "s3cret" not in str(seen[0].message)


@pytest.mark.parametrize("face", [Client, AsyncClient])
@pytest.mark.parametrize(
    "how",
    [
        {"address": "edits.example.com:50051", "api_key": "k", "tls": True},
        {"address": "edits.example.com:50051", "api_key": "k", "ca_file": CA},
        {"address": "edits.example.com:50051"},
        *({"address": loopback, "api_key": "k"} for loopback in ("127.0.0.1:1", "[::1]:1", "localhost:1")),
    ],
    ids=str,
)
async def test_a_key_that_nobody_can_read_is_not(face: Callable[..., Any], how: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await _close(face(**how))


def test_the_command_says_it_in_a_note_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr, in options, and no warning of Python's beside it."""
    monkeypatch.setenv("IMAGEEDIT_API_KEY", "s3cret")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        Session(Shared(address="example.com:50051")).client.close()
    assert capsys.readouterr().err == (
        "imageedit: the API key travels unencrypted to example.com:50051; use --tls or --ca-file\n"
    )
    assert warned == []


async def test_a_channel_of_the_caller_is_the_callers_to_judge() -> None:
    """It may be a proxy's; its errors have no hint either, since we do not know what it speaks."""
    with warnings.catch_warnings(), grpc.insecure_channel("edits.example.com:1") as channel:
        warnings.simplefilter("error")
        Client("edits.example.com:1", api_key="k", channel=channel).close()


async def _close(client: Client | AsyncClient) -> None:
    if isinstance(client, AsyncClient):
        await client.close()
    else:
        client.close()


async def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    """By its name, and not by the field that its bytes travelled in."""
    path = tmp_path / "notes.txt"
    path.write_text("no picture")
    async with serving(tmp_path, SCRIPTED) as served:

        def ask() -> None:
            with Client(served.server.grpc_address) as client:
                client.edit_image("x", [path])

        async with AsyncClient(served.server.grpc_address) as client:
            with pytest.raises(InvalidArgument) as asynchronous:
                await client.edit_image("x", [path])
        with pytest.raises(InvalidArgument) as synchronous:
            await asyncio.to_thread(ask)
    for error in (asynchronous.value, synchronous.value):
        assert str(error) == f"{path}: is text, not a PNG, JPEG or WebP picture"
