from __future__ import annotations

import base64

from signaling import MAX_PAYLOAD_BYTES, new_message_id
from signaling.messages import MAX_PAYLOAD


def test_the_largest_payload_fits_exactly() -> None:
    assert len(base64.b64encode(bytes(MAX_PAYLOAD_BYTES))) == MAX_PAYLOAD


def test_message_ids_differ_and_fit() -> None:
    assert len({new_message_id() for _ in range(100)}) == 100
    assert len(new_message_id()) <= 64
