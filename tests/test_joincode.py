from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere import base32, codetext
from atmosphere.errors import CodeError
from atmosphere.joincode import CodeCandidate, JoinCode

HOST = base32.encode(bytes(range(32)))
NOW = 1_800_000_000.0
USUAL = JoinCode(
    mesh_id=bytes(range(100, 120)),
    host_id=HOST,
    secret=b"sixteen secrets!",
    mesh_name="Tom's machines",
    expires_at=int(NOW) + 3600,
    candidates=(
        CodeCandidate("host", "192.168.178.27", 7777),
        CodeCandidate("host", "10.11.12.13", 7777),
        CodeCandidate("host", "2001:db8:1234:5678:9abc:def0:1234:5678", 7777),
        CodeCandidate("srflx", "203.0.113.9", 41234),
        CodeCandidate("relay", "198.51.100.7", 50123),
    ),
    signaling=("wss://relay.example.org",),
)

addresses = (
    st.ip_addresses().filter(lambda address: not getattr(address, "scope_id", None)).map(str)
    | st.just("home.example.org")
)  # fmt: skip
candidates = st.builds(
    CodeCandidate,
    st.sampled_from(["host", "srflx", "prflx", "relay"]),
    addresses,
    st.integers(1, 65535),
    st.sampled_from(["udp", "tcp"]),
)
urls = st.sampled_from(
    [
        "ws://a",
        "wss://b/c",
        "http://d:1",
        "https://e",
        "mqtt://f",
        "mqtts://g",
        "wss+mqtt://h/mqtt",
        "ws+mqtt://i",
        "ftp://j",
    ]
)
codes = st.builds(
    JoinCode,
    mesh_id=st.binary(min_size=20, max_size=20),
    host_id=st.binary(min_size=32, max_size=32).map(base32.encode),
    secret=st.binary(min_size=16, max_size=16),
    mesh_name=st.sampled_from(["", "home", "日本の机"]),
    expires_at=st.just(0) | st.integers(int(NOW) + 1, (1 << 32) - 1),
    candidates=st.lists(candidates, max_size=8).map(tuple),
    signaling=st.lists(urls, max_size=4).map(tuple),
)


def reason(text: str, now: float = NOW) -> str:
    with pytest.raises(CodeError) as caught:
        JoinCode.parse(text, now)
    return caught.value.reason


def with_fields(fields: bytes, flags: int = 0) -> str:
    body = bytearray(codetext.unwrap("atm", str(JoinCode(bytes(20), HOST, bytes(16))), ""))
    body[0] = flags
    return codetext.wrap("atm", bytes(body) + fields)


@given(codes)
def test_what_is_written_is_read(code: JoinCode) -> None:
    assert JoinCode.parse(str(code), NOW) == code


def test_the_usual_code_fits() -> None:
    text = str(USUAL)
    assert text.startswith("atm1")
    assert len(text) <= 300
    assert JoinCode.parse(text, NOW) == USUAL


def test_derived_values() -> None:
    assert USUAL.dial_secret.secret == USUAL.secret
    assert USUAL.invite_id == USUAL.dial_secret.id


def test_repr_hides_the_secret() -> None:
    assert "secret" not in repr(USUAL)
    assert str(USUAL) not in repr(USUAL)


def test_expiry() -> None:
    text = str(USUAL)
    for later, words in ((3600, "0 seconds"), (3661, "61 seconds"), (3600 + 125, "2 minutes"), (3600 * 4, "3 hours")):
        with pytest.raises(CodeError, match=f"expired {words} ago") as caught:
            JoinCode.parse(text, NOW + later)
        assert caught.value.reason == "expired"
    assert reason(text, NOW + 86400 * 3) == "expired"


def test_reply_codes_are_told_apart() -> None:
    with pytest.raises(CodeError, match="reply code") as caught:
        JoinCode.parse("ATR1 abc", NOW)
    assert caught.value.hint


def test_errors_of_the_frame_come_through() -> None:
    text = str(USUAL)
    assert reason(text[:-1]) == "truncated"
    assert reason(text[:-1] + ("a" if text[-1] != "a" else "b")) == "mistyped"
    assert reason("atm2abc") == "newer"
    assert reason("hello") == "malformed"


def test_fields_of_newer_versions() -> None:
    plain = JoinCode.parse(with_fields(b""), NOW)
    unknown = [
        (99, b"whatever"),
        (2, b""),
        (2, b"\x3f\x01\x02\x03\x04\x00\x50"),  # a protocol of the future
        (2, b"\xc0\x01\x02\x03\x04\x00\x50"),  # a family of the future
        (2, b"\x00\x01\x02\x03\x00\x50"),  # an address of the wrong length
        (2, b"\x00\x01\x02\x03\x04\x00\x00"),  # no port
        (2, b"\x80\xff\xff\x00\x50"),  # a host name not in ASCII
        (3, b""),
        (3, b"\x63example.org"),
        (3, b"\x01white space"),
        (3, b"\x00ws://two-ways-to-say-it"),
    ]
    assert JoinCode.parse(with_fields(b"".join(codetext.field(*entry) for entry in unknown)), NOW) == plain
    assert JoinCode.parse(with_fields(b"", flags=0x0F), NOW) == plain
    assert reason(with_fields(b"", flags=0x10)) == "newer"


def test_bodies_that_make_no_sense() -> None:
    assert reason(codetext.wrap("atm", b"short")) == "malformed"
    assert reason(with_fields(b"\x01")) == "malformed"
    assert reason(with_fields(codetext.field(1, b"\xff"))) == "malformed"
    assert reason(with_fields(codetext.field(1, b"\x1b[31m"))) == "malformed"


def test_the_first_name_counts() -> None:
    text = with_fields(codetext.field(1, b"one") + codetext.field(1, b"two"))
    assert JoinCode.parse(text, NOW).mesh_name == "one"


def test_more_than_fits_is_left_out() -> None:
    many = tuple(CodeCandidate("host", "192.0.2.1", port) for port in range(1, 20))
    code = JoinCode(bytes(20), HOST, bytes(16), candidates=many, signaling=tuple(f"ws://{n}" for n in range(9)))
    assert code.candidates == many[:8]
    assert code.signaling == ("ws://0", "ws://1", "ws://2", "ws://3")


def test_values_no_code_can_hold() -> None:
    for wrong in (
        {"mesh_id": b""},
        {"secret": b""},
        {"host_id": "not an id"},
        {"host_id": "aa"},
        {"mesh_name": "\n"},
        {"expires_at": -1},
        {"expires_at": 1 << 32},
        {"signaling": ("",)},
        {"signaling": ("ws://" + "a" * 300,)},
        {"signaling": ("ws://é",)},
        {"signaling": ("mqtts://anna:sesame@broker.example",)},
    ):
        with pytest.raises(ValueError):
            JoinCode(**{"mesh_id": bytes(20), "host_id": HOST, "secret": bytes(16)} | wrong)


@pytest.mark.parametrize(
    ("kind", "address", "port", "protocol"),
    [
        ("nearby", "192.0.2.1", 1, "udp"),
        ("host", "192.0.2.1", 0, "udp"),
        ("host", "192.0.2.1", 65536, "udp"),
        ("host", "192.0.2.1", 1, "sctp"),
        ("host", "", 1, "udp"),
        ("host", "no host", 1, "udp"),
        ("host", "fe80::1%eth0", 1, "udp"),
    ],
)
def test_candidates_no_code_can_hold(kind: str, address: str, port: int, protocol: str) -> None:
    with pytest.raises(ValueError):
        CodeCandidate(kind, address, port, protocol)


def test_addresses_have_one_form() -> None:
    assert CodeCandidate("host", "2001:DB8:0:0::1", 1) == CodeCandidate("host", "2001:db8::1", 1)


@given(st.binary(max_size=200), st.integers(0, 255))
def test_any_fields_are_a_code_or_a_code_error(data: bytes, flags: int) -> None:
    try:
        code = JoinCode.parse(with_fields(data, flags), NOW)
    except CodeError as error:
        assert error.reason in ("malformed", "newer", "expired")
    else:
        assert JoinCode.parse(str(code), NOW) == code
