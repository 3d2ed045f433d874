from __future__ import annotations

from atmosphere.sctp.acknowledge import DELAY, QUICK, Acknowledgement


def test_the_first_packet_is_acknowledged_at_once_and_a_single_one_later() -> None:
    acknowledgement = Acknowledgement()
    assert not acknowledgement.is_due(0.0)
    acknowledgement.arrived(1, 0.0)
    assert acknowledgement.is_due(0.0)
    acknowledgement.sent(0.0)
    assert acknowledgement.deadline() is None
    acknowledgement.arrived(1, 1.0)
    assert not acknowledgement.is_due(1.0)
    assert acknowledgement.deadline() == 1.0 + DELAY
    assert acknowledgement.is_due(1.0 + DELAY)
    acknowledgement.arrived(1, 1.001)
    assert acknowledgement.is_due(1.001)


def test_news_of_a_loss_cannot_wait() -> None:
    acknowledgement = Acknowledgement()
    acknowledgement.arrived(1, 0.0)
    acknowledgement.sent(0.0)
    acknowledgement.hurry()
    assert acknowledgement.is_due(0.0)


def test_a_sack_rides_along_where_others_do_not_come_fast() -> None:
    acknowledgement = Acknowledgement()
    acknowledgement.sent(1.0)
    assert not acknowledgement.may_ride(2.0)
    acknowledgement.arrived(1, 1.001)
    assert not acknowledgement.may_ride(1.001)
    assert acknowledgement.may_ride(1.0 + QUICK)
    acknowledgement.arrived(1, 1.002)
    assert acknowledgement.may_ride(1.002)
