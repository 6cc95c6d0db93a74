"""The address rule as pure functions."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.outbound.addresses import (
    DENIED,
    check_base_url,
    is_denied,
    parse_allow,
    refuse_url,
)
from imageedit_server.outbound.urls import parse_url
from tests.outbound.corpus import DENIED_ADDRESSES, MORE_URLS, PUBLIC_ADDRESSES, URLS


@pytest.mark.parametrize("url", [*URLS, *MORE_URLS], ids=ascii)
def test_every_url_of_the_corpus_is_refused_before_any_look_up(url: str) -> None:
    reason = refuse_url(url)
    assert reason
    assert url not in reason or not url


@pytest.mark.parametrize(
    "url",
    [
        "https://good.example/",
        "https://good.example",
        "https://good.example:443/a.png",
        "HTTPS://Good.Example./a.png#fragment",
        "https://a_b.c-d.example/%E7%8C%AB.png?X-Amz-Signature=abc%0A&x=%00",
        "https://例子.测试/猫.png",
        "https://xn--fsqu00a.xn--0zwm56d/",
        "https://good.example:/",
        "https://123.example/",
        "https://0x7f.example/",
        "https://good.example//a//b",
        "https://good.example/@127.0.0.1",
        "https://good.example?@127.0.0.1",
    ],
)
def test_a_public_name_may_be_looked_up(url: str) -> None:
    assert refuse_url(url) is None


@given(st.text() | st.text(alphabet="https:/@[].#?%\\0127aé。 \t").map(lambda text: f"https://{text}"))
def test_no_text_makes_the_rule_raise(text: str) -> None:
    refuse_url(text)
    refuse_url(text, parse_allow(["127.0.0.1:9001"]))


@given(
    st.from_regex(r"https://[a-z0-9.\-]{1,12}(:443)?/[ -~]{0,6}", fullmatch=True)
    | st.text(alphabet="https:/@[].#?%\\0127aé。 \t").map(lambda text: f"https://a.example{text}")
)
def test_what_the_rule_reads_is_what_is_fetched(text: str) -> None:
    """One parser, and its output alone: read again, it is judged the same."""
    url = parse_url(text)
    if url is not None:
        assert refuse_url(str(url)) == refuse_url(text)


ALLOW = parse_allow(["127.0.0.1:9001", "LocalHost:9002", "[::1]:9003", "minio:443", "files.internal:80"])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9001/a.png",
        "https://127.0.0.1:9001/a.png",
        "http://localhost:9002/",
        "http://LOCALHOST.:9002/",
        "http://[0:0:0:0:0:0:0:1]:9003/",
        "https://minio/",
        "http://files.internal/",
    ],
)
def test_what_the_operator_allows_may_be_http_and_anywhere(url: str) -> None:
    assert refuse_url(url, ALLOW) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9002/",
        "http://127.0.0.1/",
        "http://127.1:9001/",
        "http://[::ffff:127.0.0.1]:9001/",
        "http://localhost:9001/",
        "http://user@127.0.0.1:9001/",
        "http://minio/",
        "ftp://127.0.0.1:9001/",
        "http://127.0.0.1:9001/%0d%0a",
    ],
)
def test_only_that_very_place_is_allowed(url: str) -> None:
    assert refuse_url(url, ALLOW)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "host",
        "host:",
        ":80",
        "host:0",
        "host:65536",
        "http://host:80",
        "host:80/",
        "a@host:80",
        "host:8 0",
        "::1:80",
    ],
)
def test_an_entry_that_is_no_place_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        parse_allow([entry])


# Addresses


@pytest.mark.parametrize("address", DENIED_ADDRESSES, ids=ascii)
def test_no_hostile_address_passes(address: str) -> None:
    assert is_denied(address)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_every_public_address_passes(address: str) -> None:
    assert not is_denied(address)


@pytest.mark.parametrize("network", DENIED, ids=str)
def test_both_ends_of_every_network_are_denied(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> None:
    assert is_denied(str(network[0]))
    assert is_denied(str(network[-1]))


@given(st.ip_addresses())
def test_an_address_that_passes_is_global_by_every_account(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if not is_denied(str(address)):
        assert address.is_global
        assert not address.is_private
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_ipv4_inside_ipv6_is_judged_as_ipv4(address: ipaddress.IPv4Address) -> None:
    assert is_denied(f"::ffff:{address}") == is_denied(str(address))
    assert is_denied(f"::{address}")
    assert is_denied(f"64:ff9b::{address}")


# Base URLs


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("", ""),
        ("https://api.kie.ai", "https://api.kie.ai"),
        ("https://api.kie.ai/", "https://api.kie.ai"),
        ("https://relay.example.com:8443/v1/", "https://relay.example.com:8443/v1"),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://localhost:9000/", "http://localhost:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("http://minio:443/x", "http://minio:443/x"),
    ],
)
def test_base_urls_are_https_or_of_this_machine_or_allowed(url: str, checked: str) -> None:
    assert check_base_url(url, ALLOW) == checked


@pytest.mark.parametrize(
    "url",
    [
        "http://api.kie.ai",
        "http://10.0.0.1",
        "http://localhost.evil.example",
        "http://0.0.0.0:9000",
        "api.kie.ai",
        "ftp://api.kie.ai",
        "https://",
        "https://user:word@api.kie.ai",
        "https://api.kie.ai?key=1",
        "https://api.kie.ai/#x",
        "https://api.kie.ai:0",
        "https://api.kie.ai:99999",
        "https://[half",
        " https://api.kie.ai",
        "https://api.kie.ai\n",
    ],
)
def test_any_other_base_url_stops_the_start(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has) ") as refused:
        check_base_url(url, ALLOW)
    assert "word" not in str(refused.value).replace("password", "")
