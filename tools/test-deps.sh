#!/bin/sh
# Install the programs that some tests drive: coturn (a TURN server), nftables, conntrack and iproute2 (the NAT
# laboratory), nats-server, mosquitto, nginx, haproxy, tinyproxy, miniupnpd (what our servers and clients meet in the
# wild), chromium, node (for libwebrtc and libdatachannel). Nothing to do where they are already there. Without root and without apt it says what is missing and
# goes on: the tests that need them then skip (or fail, under CI=true).
set -eu

PATH="$PATH:/usr/sbin:/sbin"
missing=""
for pair in turnserver:coturn nft:nftables conntrack:conntrack ip:iproute2 nats-server:nats-server mosquitto:mosquitto \
    nginx:nginx-light haproxy:haproxy tinyproxy:tinyproxy miniupnpd:miniupnpd-nftables chromium:chromium \
    node:nodejs npm:npm; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done

install() {
    if ! command -v apt-get >/dev/null; then
        echo "test-deps: no apt-get here; install by hand:$missing" >&2
        return
    fi
    if [ "$(id -u)" = 0 ]; then
        sudo=""
    elif sudo -n true 2>/dev/null; then
        sudo="sudo -n"
    else
        echo "test-deps: this needs root: sudo apt-get install$missing" >&2
        return
    fi
    # The tests start what they need by themselves: no service is wanted, and none is left running.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    $sudo apt-get update -q
    # shellcheck disable=SC2086
    $sudo apt-get install -q -y --no-install-recommends $missing
}

if [ -n "$missing" ]; then install; else echo "test-deps: every program is here"; fi
if [ -f tools/node-deps.sh ] && command -v npm >/dev/null; then sh tools/node-deps.sh; fi
