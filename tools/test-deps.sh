#!/bin/sh
# Install the programs that some tests drive: coturn (a TURN server), nftables, conntrack and iproute2 (the NAT laboratory).
# Nothing to do where they are already there. Without root and without apt it says what is missing and goes on:
# the tests that need them then skip (or fail, under CI=true).
set -eu

missing=""
for pair in turnserver:coturn nft:nftables conntrack:conntrack ip:iproute2; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
if [ -z "$missing" ]; then
    echo "test-deps: everything is here"
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "test-deps: no apt-get here; install by hand:$missing" >&2
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "test-deps: this needs root: sudo apt-get install$missing" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q
# shellcheck disable=SC2086
$sudo apt-get install -q -y --no-install-recommends $missing
