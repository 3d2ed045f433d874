from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping.xml import MAX_DEPTH, MAX_ELEMENTS, MAX_SIZE, parse

LAUGHS = b'<!DOCTYPE a [<!ENTITY l "lol"><!ENTITY m "&l;&l;&l;&l;">]><a>&m;</a>'


@given(st.binary(max_size=400))
def test_arbitrary_bytes(data: bytes) -> None:
    for whole in (data, b"<a>" + data + b"</a>", b'<?xml version="1.0" encoding="' + data[:20] + b'"?><a/>'):
        try:
            assert parse(whole).children
        except DecodeError:
            continue


@given(st.text(alphabet="<>/ab!?[]&;#\"' =DOCTYPEENTITY", max_size=200))
def test_arbitrary_tags(text: str) -> None:
    try:
        parse(text.encode())
    except DecodeError:
        return


def test_a_tree() -> None:
    root = parse(b"<a xmlns:u='urn:x'><u:b>1<c/>2</u:b><d><b> 3 </b></d></a>\0\0")
    assert [element.text for element in root.every("b")] == ["12", " 3 "]
    assert root.value("b") == "12"
    assert next(root.every("d")).value("b") == "3"
    assert root.value("e") is None


@pytest.mark.parametrize(
    "data",
    [
        LAUGHS,
        b'<!DOCTYPE a SYSTEM "http://192.0.2.1/x.dtd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b"<!DOCTYPE a><a/>",
        b"<a>&undefined;</a>",
        b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1),
        b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>",
        b"<a>" + b" " * MAX_SIZE + b"</a>",
        b"<a><b></a></b>",
        b'<?xml version="1.0" encoding="klingon"?><a/>',
        b"",
    ],
    ids=["laughs", "dtd", "file", "doctype", "entity", "deep", "many", "long", "crossed", "encoding", "empty"],
)
def test_what_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        parse(data)
