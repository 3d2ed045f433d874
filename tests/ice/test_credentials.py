"""Credentials: long enough, and the password stays out of logs."""

from __future__ import annotations

from atmosphere.ice.credentials import IceCredentials


def test_random_credentials_are_long_and_new_each_time() -> None:
    one, two = IceCredentials.random(), IceCredentials.random()
    assert one != two
    assert len(one.ufrag) >= 8
    assert len(one.password) >= 22
    assert one.key == one.password.encode()


def test_the_password_is_not_shown() -> None:
    credentials = IceCredentials.random()
    assert credentials.ufrag in repr(credentials)
    assert credentials.password not in repr(credentials)
