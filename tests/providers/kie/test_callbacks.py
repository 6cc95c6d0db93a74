"""Callbacks: what is taken from them and what is not (VENDORS §2.4, §6; P16, F60, F61)."""

import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.providers.base import CallbackRefused
from imageedit_server.providers.kie import KieAdapter
from imageedit_server.providers.kie.callbacks import read_callback
from tests.providers.adapters import NOW
from tests.providers.kie.conftest import MakeAdapter
from tests.vendors.kie.server import KieVendor

# The test vector of VENDORS §6.
KEY = "secret"
TIME = 1_760_000_000
SIGNATURE = "Br81GVXZMiBwxewzmxMXtJtGONcGt5ocZjcQVqF/aKs="
HEADERS = {"x-webhook-timestamp": str(TIME), "x-webhook-signature": SIGNATURE}
BODY = b'{"code":200,"msg":"ok","data":{"taskId":"task_123","state":"success"}}'


def read(headers: dict[str, str] = HEADERS, body: bytes = BODY, *, now: float = TIME, key: str = KEY) -> str:
    return read_callback(headers, body, keys=key.split(), now=datetime.fromtimestamp(now, UTC)).vendor_task_id


def refusal(headers: dict[str, str] = HEADERS, body: bytes = BODY, *, now: float = TIME) -> str:
    with pytest.raises(CallbackRefused) as raised:
        read(headers, body, now=now)
    return "forged" if raised.value.forged else "malformed"


def test_the_vector() -> None:
    assert read() == "task_123"


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"taskId": "task_123", "task_id": "x"}, "taskId": "y", "task_id": "z"},
        {"data": {"task_id": "task_123"}, "taskId": "y", "task_id": "z"},
        {"data": {"state": "success"}, "taskId": "task_123", "task_id": "z"},
        {"data": None, "taskId": "task_123"},
        {"data": {"taskId": None}, "task_id": "task_123"},
        {"task_id": "task_123"},
        {"data": {"recordId": "task_123"}},
        {"recordId": "task_123"},
    ],
)
def test_the_id_is_looked_up_in_order(body: object) -> None:
    assert read(body=json.dumps(body).encode()) == "task_123"


def test_nothing_but_the_id_is_believed() -> None:
    """F60: the signature does not cover the body, so a tampered one is only a hint to poll."""
    tampered = b'{"data":{"taskId":"task_123","state":"fail","resultJson":"{\\"resultUrls\\":[\\"https://evil\\"]}"}}'
    assert read(body=tampered) == "task_123"


def test_without_a_key_no_signature_is_asked_for() -> None:
    assert read({}, key="") == "task_123"


@pytest.mark.parametrize("skew", [-300, -1, 0, 300])
def test_a_callback_may_be_five_minutes_off(skew: int) -> None:
    assert read(now=TIME + skew) == "task_123"


@pytest.mark.parametrize("skew", [-600, -301, 301, 600, 10**9])
def test_not_longer(skew: int) -> None:
    """F61: a replay after ten minutes."""
    assert refusal(now=TIME + skew) == "forged"


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "nan",
        "inf",
        "1e400",
        "1.76e9",
        "-1760000000",
        "+1760000000",
        " 1760000000",
        "1760000000 ",
        "1760000000\n",
        "1_760_000_000",
        "0x68e77800",
        "١٧٦٠٠٠٠٠٠٠",
        "1760000000000",
        "9" * 5000,
        "1760000000.0",
    ],
    ids=lambda text: f"{len(text)} {text!r:.20}",
)
def test_a_timestamp_is_an_integer_of_seconds(timestamp: str) -> None:
    assert refusal(HEADERS | {"x-webhook-timestamp": timestamp}) == "forged"


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "=",
        SIGNATURE[:-1],
        SIGNATURE + "=",
        SIGNATURE.lower(),
        "A" * 43 + "=",
        "ü" * 44,
        "\udcff" * 44,
        "签" * 44,
        "\x00" * 44,
        ",".join([SIGNATURE] * 10_000),
        "x" * 1_000_000,
    ],
    ids=lambda text: f"{len(text)} {text!r:.20}",
)
def test_a_wrong_signature_is_forged(signature: str) -> None:
    assert refusal(HEADERS | {"x-webhook-signature": signature}) == "forged"


@pytest.mark.parametrize("missing", HEADERS)
def test_a_missing_header_is_forged(missing: str) -> None:
    assert refusal({name: value for name, value in HEADERS.items() if name != missing}) == "forged"


def test_a_signature_of_another_task_is_forged() -> None:
    assert refusal(body=b'{"data":{"taskId":"task_124"}}') == "forged"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"task_123"',
        b"{}",
        b"{",
        b"\xff\xfe",
        b'{"data":{"taskId":NaN}}',
        b'{"data":{"taskId":1e400}}',
        b'{"data":{"taskId":' + b"9" * 5000 + b"}}",
        b'{"data":{"taskId":""}}',
        b'{"data":{"taskId":true}}',
        b'{"data":{"taskId":["task_123"]}}',
        b'{"data":{"taskId":"a\\u0000b"}}',
        b'{"data":{"taskId":"\\ud800"}}',
        b'{"data":{"taskId":"' + b"x" * 257 + b'"}}',
        b"[" * 60_000,
        BODY[:-1] + b" " * 65_536 + b"}",
    ],
    ids=lambda body: f"{len(body)} {body!r:.40}",
)
def test_a_body_that_names_no_task_is_malformed_where_it_must_be_signed(body: bytes) -> None:
    """The signature covers the id. Without keys it is a hint, since the address says whose it is."""
    assert refusal(body=body) == "malformed"
    if len(body) <= 65_536:
        assert read(body=body, key="") == ""


@given(st.dictionaries(st.sampled_from([*HEADERS, "x"]), st.text()), st.binary(max_size=200))
def test_whatever_comes_only_a_refusal_is_raised(headers: dict[str, str], body: bytes) -> None:
    """P16: every malformed request is 400 or 401, never 5xx."""
    with pytest.raises(CallbackRefused):
        read(headers, body)


@given(st.text(), st.text())
def test_whatever_the_headers_say(timestamp: str, signature: str) -> None:
    assert refusal({"x-webhook-timestamp": timestamp, "x-webhook-signature": signature}) == "forged"


def test_a_refusal_is_quick() -> None:
    """F61: less than a millisecond of CPU in the median, here for the largest of everything."""
    headers = {"x-webhook-timestamp": "9" * 1_000_000, "x-webhook-signature": "x" * 1_000_000}
    body = b'{"data":{"taskId":"task_123"},"x":"' + b"x" * 60_000 + b'"}'
    times = []
    for _ in range(21):
        start = time.process_time()
        assert refusal(headers, body) == "forged"
        times.append(time.process_time() - start)
    assert sorted(times)[10] < 0.001


# The adapter and the vendor agree


async def test_the_vendors_own_callback_is_read(adapter: KieAdapter, vendor: KieVendor) -> None:
    headers = {name.lower(): value for name, value in vendor.signature("abc", int(NOW.timestamp())).items()}
    assert adapter.read_callback(headers, b'{"data":{"taskId":"abc"}}').vendor_task_id == "abc"


async def test_while_the_key_is_changed_both_are_good(make_adapter: MakeAdapter, vendor: KieVendor) -> None:
    headers = {name.lower(): value for name, value in vendor.signature("abc", int(NOW.timestamp())).items()}
    for both in (f"{vendor.webhook_key} new", f"old\n{vendor.webhook_key}"):
        adapter = make_adapter(callback_hmac_key=both)
        assert adapter.read_callback(headers, b'{"data":{"taskId":"abc"}}').vendor_task_id == "abc"


async def test_a_blank_key_is_no_key_at_all(make_adapter: MakeAdapter) -> None:
    with pytest.raises(ValueError, match="callback_hmac_key is blank"):
        make_adapter(callback_hmac_key=" ")


async def test_another_accounts_callback_is_not(make_adapter: MakeAdapter, vendor: KieVendor) -> None:
    headers = {name.lower(): value for name, value in vendor.signature("abc", int(NOW.timestamp())).items()}
    with pytest.raises(CallbackRefused):
        make_adapter(callback_hmac_key="another").read_callback(headers, b'{"data":{"taskId":"abc"}}')
