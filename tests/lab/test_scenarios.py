"""What Atmosphere promises, shown on real routers: two machines, one join code, whatever is between them."""

from __future__ import annotations

import hashlib
import os

import pytest

from tests.lab.coturn import start_coturn
from tests.lab.household import Member, Relay, all_connected, connected, joined, until
from tests.lab.ipv6 import give_ipv6, give_public_ipv6, take_ipv4
from tests.lab.topology import Lab

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab]


def pong(one: Member, other: Member) -> None:
    """A ping from `one` to `other`, by name."""
    answer = one.json("ping", other.name, "-c", "2", "--interval", "0.1")
    assert answer["received"] == 2, answer
    assert answer["peer"] in {other.name, one.peers()[other.name]["id"]}


def file_arrives(one: Member, other: Member) -> None:
    """A file of random bytes sent from `one` is in `other`'s inbox, byte for byte."""
    content = os.urandom(300_000)
    file = one.machine.folder / "photo.raw"
    file.write_bytes(content)
    done = one.atmosphere("send", str(file), other.name)
    assert done.returncode == 0, done.stderr
    arrived = [path for path in other.machine.folder.rglob("photo.raw") if path.is_file()]
    assert [hashlib.sha256(path.read_bytes()).digest() for path in arrived] == [hashlib.sha256(content).digest()]


def test_two_homes_connect_directly(lab: Lab) -> None:
    relay = Relay(lab.public("box"))
    anna_home, ben_home = lab.home("anna-home", "port-restricted"), lab.home("ben-home", "port-restricted")
    anna = Member(anna_home.machine("anna"), *relay.options)
    ben = Member(ben_home.machine("ben"), *relay.options)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    path = ben.peers()["anna"]["path"]
    assert (path["protocol"], path["family"]) == ("udp", 4)
    assert (path["remote"]["address"], path["remote"]["port"]) == (anna_home.outside, 7777)
    assert ben_home.outside == anna.peers()["ben"]["path"]["remote"]["address"]
    pong(anna, ben)
    pong(ben, anna)
    file_arrives(ben, anna)


@pytest.mark.needs("coturn")
def test_two_symmetric_homes_connect_through_coturn(lab: Lab) -> None:
    box = lab.public("box")
    relay = Relay(box)
    turn = start_coturn(box)
    options = (*relay.options, "--turn", turn)
    anna = Member(lab.machine("anna", "symmetric"), *options)
    ben = Member(lab.machine("ben", "symmetric"), *options)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "relay")
    pong(anna, ben)
    pong(ben, anna)
    file_arrives(anna, ben)


def test_ipv6_goes_where_ipv4_cannot(lab: Lab) -> None:
    """Two symmetric routers, no TURN server; but both households have IPv6, each behind its firewall."""
    relay = Relay(lab.public("box"))
    anna_home, ben_home = lab.home("anna-home", "symmetric"), lab.home("ben-home", "symmetric")
    anna = Member(anna_home.machine("anna"), *relay.options)
    ben = Member(ben_home.machine("ben"), *relay.options)
    (anna_address,) = give_ipv6(lab, anna_home, anna.machine)
    (ben_address,) = give_ipv6(lab, ben_home, ben.machine)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    for one, other in ((anna, ben_address), (ben, anna_address)):
        (peer,) = one.peers().values()
        assert (peer["path"]["family"], peer["path"]["remote"]["address"]) == (6, other)
    pong(anna, ben)


def test_a_host_with_nothing_but_ipv6(lab: Lab) -> None:
    """No address of IPv4, no translator: signaling, STUN and the other side are reached over IPv6."""
    box = lab.public("box")
    address = give_public_ipv6(lab, box)
    relay = Relay(box, "--public-host", address)
    anna_home, ben_home = lab.home("anna-home", "symmetric"), lab.home("ben-home", "symmetric")
    anna = Member(anna_home.machine("anna"), *relay.options)
    ben = Member(ben_home.machine("ben"), *relay.options)
    for home, member in ((anna_home, anna), (ben_home, ben)):
        give_ipv6(lab, home, member.machine)
    take_ipv4(ben.machine)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    assert ben.peers()["anna"]["path"]["family"] == 6
    pong(anna, ben)
    file_arrives(ben, anna)


@pytest.mark.needs("coturn")
def test_the_public_helper_lends_its_turn_server(lab: Lab) -> None:
    """No node has an option or a password for TURN: it comes with the signaling server's welcome."""
    box = lab.public("box")
    relay = Relay(box, "--turn", start_coturn(box, secret="between-servers"), "--secret", "between-servers")
    anna = Member(lab.machine("anna", "symmetric"), *relay.options)
    ben = Member(lab.machine("ben", "symmetric"), *relay.options)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "relay")
    pong(ben, anna)


@pytest.mark.needs("coturn")
def test_where_udp_is_blocked_the_relay_is_reached_over_tcp(lab: Lab) -> None:
    box = lab.public("box")
    relay = Relay(box)
    options = (*relay.options, "--turn", start_coturn(box) + "?transport=tcp")
    anna = Member(lab.machine("anna", "udp-blocked"), *options)
    ben = Member(lab.machine("ben", "port-restricted"), *options)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "relay")
    pong(ben, anna)


def test_one_lan_joins_by_code_alone(lab: Lab) -> None:
    """The public box is configured and switched off: nothing but the code and the LAN is left."""
    box = lab.public("box")
    relay = Relay(box)
    home = lab.home("home", "port-restricted")
    anna = Member(home.machine("anna"), *relay.options)
    ben = Member(home.machine("ben"), *relay.options)
    box.unplug()
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    assert ben.peers()["anna"]["path"]["remote"]["address"] == anna.machine.address
    pong(anna, ben)
    file_arrives(anna, ben)


def test_the_third_node_reaches_everybody_by_itself(lab: Lab) -> None:
    relay = Relay(lab.public("box"))
    anna, ben, carl = (Member(lab.machine(name, "port-restricted"), *relay.options) for name in ("anna", "ben", "carl"))
    anna.found()
    joined(ben, anna.code())
    joined(carl, anna.code())
    all_connected([anna, ben, carl], "direct")
    pong(carl, ben)
    pong(ben, carl)


def test_a_reachable_host_needs_no_server_at_all(lab: Lab) -> None:
    """Checks go straight to the host's candidates; the joiner is behind the worst router there is."""
    anna = Member(lab.public("anna"), "--stun", "none")
    ben = Member(lab.machine("ben", "symmetric"), "--stun", "none")
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    pong(anna, ben)


def test_a_reply_carried_by_hand_is_enough(lab: Lab) -> None:
    """Two homes, a STUN server and nobody who signals."""
    relay = Relay(lab.public("box"))
    anna = Member(lab.machine("anna", "port-restricted"), "--stun", relay.stun)
    ben = Member(lab.machine("ben", "port-restricted"), "--stun", relay.stun)
    anna.found()
    joining = ben.start("join", anna.code(), "--manual", "--name", "ben", *ben.options)
    reply = joining.wait_for("atr1")
    accepted = anna.atmosphere("accept", reply.strip())
    assert accepted.returncode == 0, accepted.stderr
    assert joining.wait() == 0
    all_connected([anna, ben], "direct")
    pong(anna, ben)


def test_a_code_outlives_its_host(lab: Lab) -> None:
    """The host loses power after it made the code, and is back when the joiner comes."""
    relay = Relay(lab.public("box"))
    anna = Member(lab.machine("anna", "port-restricted"), *relay.options)
    ben = Member(lab.machine("ben", "port-restricted"), *relay.options)
    anna.found()
    code = anna.code()
    anna.kill()
    anna.serve()
    joined(ben, code)
    all_connected([anna, ben], "direct")


@pytest.mark.parametrize("victim", ["anna", "ben", "carl"])
def test_a_killed_node_is_back_within_20_seconds(lab: Lab, victim: str) -> None:
    relay = Relay(lab.public("box"))
    members = {name: Member(lab.machine(name, "port-restricted"), *relay.options) for name in ("anna", "ben", "carl")}
    members["anna"].found()
    joined(members["ben"], members["anna"].code())
    joined(members["carl"], members["anna"].code())
    all_connected(members.values())
    others = [member for name, member in members.items() if name != victim]

    members[victim].kill()
    until("the dead node is noticed", lambda: not any(connected(other, [members[victim]]) for other in others))
    members[victim].serve()
    all_connected(members.values(), seconds=20)
    for other in others:
        pong(other, members[victim])


def test_the_link_stays_when_the_public_box_goes(lab: Lab) -> None:
    """Servers help at the beginning; a node that comes back without them finds its peer by what the mesh remembers."""
    box = lab.public("box")
    relay = Relay(box)
    home = lab.home("home", "full-cone")
    anna = Member(home.machine("anna"), *relay.options)
    ben = Member(lab.machine("ben", "port-restricted"), *relay.options)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    box.unplug()
    pong(anna, ben)
    ben.kill()
    ben.serve()
    all_connected([anna, ben], "direct")
    pong(ben, anna)


def test_a_router_that_was_restarted(lab: Lab) -> None:
    """Every mapping is forgotten; the members are connected again without anybody doing anything."""
    relay = Relay(lab.public("box"))
    home = lab.home("anna-home", "port-restricted")
    anna = Member(home.machine("anna"), *relay.options)
    ben = Member(lab.machine("ben", "port-restricted"), *relay.options)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    home.forget_flows()
    until("the ping gets through", lambda: anna.atmosphere("ping", "ben", "-c", "1").returncode == 0)
    all_connected([anna, ben], "direct")


def test_a_cable_pulled_and_put_back(lab: Lab) -> None:
    relay = Relay(lab.public("box"))
    anna = Member(lab.machine("anna", "port-restricted"), *relay.options)
    ben = Member(lab.machine("ben", "port-restricted"), *relay.options)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    ben.machine.unplug()
    until("anna notices", lambda: anna.peers()["ben"]["state"] != "connected", seconds=10)
    ben.machine.plug()
    all_connected([anna, ben], "direct")
    pong(ben, anna)


def test_a_node_killed_and_restarted_at_once_is_back_too(lab: Lab) -> None:
    """The other side still believes in the old link when the new one arrives."""
    relay = Relay(lab.public("box"))
    anna = Member(lab.machine("anna", "port-restricted"), *relay.options)
    ben = Member(lab.machine("ben", "port-restricted"), *relay.options)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben])
    ben.kill()
    ben.serve()
    until("ben reaches anna again", lambda: ben.atmosphere("ping", "anna", "-c", "1").returncode == 0)
    all_connected([anna, ben])
    pong(anna, ben)
