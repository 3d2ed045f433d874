from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.proxies import TrustedProxies

PROXIES = TrustedProxies(("127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"))


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("127.0.0.1", True),
        ("::ffff:127.0.0.1", True),
        ("10.9.9.9", True),
        ("2001:db8:1::7", True),
        ("2001:db8:1::7%eth0", True),
        ("127.0.0.2", False),
        ("2001:db8:2::7", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_networks(address: str, trusted: bool) -> None:
    assert (address in PROXIES) is trusted
    assert address not in TrustedProxies(())


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        (["192.0.2.7"], "192.0.2.7"),
        (["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
        (["198.51.100.1", "192.0.2.7, 10.0.0.1"], "192.0.2.7"),
        (["192.0.2.7:4711"], "192.0.2.7"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["[::ffff:192.0.2.7]:4711, ::ffff:10.0.0.1"], "192.0.2.7"),
        (["10.0.0.2, 10.0.0.1"], "10.0.0.2"),
        (["198.51.100.1, unknown, 10.0.0.1"], "10.0.0.1"),
        (["unknown"], None),
        ([], None),
    ],
)
def test_the_client_is_the_last_that_no_proxy_of_ours_has(headers: list[str], client: str | None) -> None:
    assert PROXIES.client(headers) == client


def test_what_is_no_network() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        TrustedProxies(("nonsense",))


@given(st.lists(st.text(alphabet="0123456789.:[], fa%", max_size=60)))
def test_no_header_is_a_failure(headers: list[str]) -> None:
    client = PROXIES.client(headers)
    assert client is None or client
