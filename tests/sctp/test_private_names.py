"""Exactly the names of aiortc that we rely on, private ones among them: this fails first when an upgrade moves them."""

from __future__ import annotations

import inspect
from importlib.metadata import version

import pytest
from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import InboundStream, RTCSctpTransport

from atmosphere.sctp import library

OVERRIDDEN = {
    "_data_channel_close": ["channel"],
    "_data_channel_closed": ["stream_id"],
    "_data_channel_flush": [],
    "_mark_received": ["tsn"],
    "_receive": ["stream_id", "pp_id", "data"],
    "_receive_chunk": ["chunk"],
    "_receive_data_chunk": ["chunk"],
    "_receive_forward_tsn_chunk": ["chunk"],
    "_receive_sack_chunk": ["chunk"],
    "_reconfig_timer_expired": [],
    "_send_sack": [],
    "_set_state": ["state"],
    "_t1_expired": [],
    "_t1_start": ["chunk"],
    "_t3_expired": [],
    "_t3_restart": [],
    "_t3_start": [],
    "_transmit": [],
    "_update_rto": ["R"],
}
CALLED = {
    "_data_channel_reset": ["stream_id"],
    "_flight_size_decrease": ["chunk"],
    "_init": [],
    "_maybe_abandon": ["chunk"],
    "_reconfig_timer_cancel": [],
    "_reset_deferred_streams": [],
    "_send": ["stream_id", "pp_id", "user_data", "expiry", "max_retransmits", "ordered"],
    "_send_chunk": ["chunk"],
    "_send_reconfig_param": ["param"],
    "_t1_cancel": [],
    "_t2_cancel": [],
    "_t3_cancel": [],
    "_transmit_reconfig": [],
    "_update_advanced_peer_ack_point": [],
}
ATTRIBUTES = """
    _advertised_rwnd _association_state _cwnd _data_channel_inbound_reset _data_channel_outbound_reset _data_channels
    _fast_recovery_exit _forward_tsn_chunk _inbound_streams _inbound_streams_count _last_received_tsn _last_sacked_tsn
    _local_tsn _local_verification_tag _loop _outbound_queue _outbound_streams_count _partial_bytes_acked
    _reconfig_failures _reconfig_handle _reconfig_queue _reconfig_request _reconfig_response_seq _remote_port
    _remote_verification_tag _rto _rttvar _sack_duplicates _sack_misordered _sack_needed _sent_queue _srtt
    _t1_chunk _t1_failures _t1_handle _t3_handle
""".split()
CONSTANTS = {"USERDATA_MAX_LENGTH": 1160, "LOCAL_MAX_MESSAGE_SIZE": 262144, "SCTP_MAX_PACKET_LENGTH": 1189}


def test_the_version_is_the_one_that_was_read() -> None:
    assert version("aiortc").startswith("1.16.")


@pytest.mark.parametrize(("name", "parameters"), sorted({**OVERRIDDEN, **CALLED}.items()))
def test_methods(name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(RTCSctpTransport, name)).parameters)[1:] == parameters


@pytest.mark.parametrize("name", sorted({**OVERRIDDEN, **CALLED}))
def test_coroutines_are_those_that_are_run(name: str) -> None:
    plain = {
        *("_data_channel_close", "_data_channel_closed", "_data_channel_reset", "_flight_size_decrease"),
        *("_mark_received", "_maybe_abandon", "_set_state", "_update_advanced_peer_ack_point", "_update_rto"),
    }
    timer = name.startswith(("_t1_", "_t2_", "_t3_", "_reconfig_timer"))
    assert inspect.iscoroutinefunction(getattr(RTCSctpTransport, name)) == (not timer and name not in plain)


async def test_attributes() -> None:
    class Dtls:
        state = "connected"
        _role = "client"

    transport = RTCSctpTransport(Dtls())  # type: ignore[arg-type]
    assert [name for name in ATTRIBUTES if not hasattr(transport, name)] == []
    assert InboundStream().reassembly == []


def test_chunks_and_constants() -> None:
    assert {name: getattr(rtcsctptransport, name) for name in CONSTANTS} == CONSTANTS
    assert all(getattr(rtcsctptransport, name) is getattr(library, name) for name in library.__all__)
    for name in ("_acked", "_retransmit"):
        assert name in rtcsctptransport.DataChunk.__annotations__
    assert [state.name for state in RTCSctpTransport.State][:4] == [
        *("CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED")
    ]
