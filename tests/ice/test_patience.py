"""atmosphere.ice.patience."""

from __future__ import annotations

from atmosphere.ice.checklist import CheckList
from atmosphere.ice.patience import PATIENCE, Patience
from atmosphere.ice.reasons import hopeless_after
from tests.ice.vnet import make_candidate

NOW = 1000.0


def test_news_renew_it_up_to_twice() -> None:
    patience = Patience(CheckList("any"), NOW)
    assert patience.ends_at() == NOW + PATIENCE
    patience.renew(NOW + 10)
    assert patience.ends_at() == NOW + 10 + PATIENCE
    patience.renew(NOW + 2)
    assert patience.ends_at() == NOW + 10 + PATIENCE, "news never shorten it"
    patience.renew(NOW + 50)
    assert patience.ends_at() == NOW + 2 * PATIENCE


def test_where_there_is_no_hope_it_ends_some_seconds_after_the_last_news() -> None:
    pairs = CheckList("any")
    pairs.add_local(make_candidate("host", ("203.0.113.1", 7777)), 1, NOW)
    pairs.add_remote(make_candidate("host", ("2001:db8::2", 7777)), NOW)
    patience = Patience(pairs, NOW)
    patience.renew(NOW + 5)
    assert patience.ends_at() == NOW + 5 + hopeless_after(pairs) < NOW + PATIENCE
