"""What a router does to UDP, measured from behind it: RFC 5780's questions, asked with the standard library alone.

    python prober.py SERVER PORT [LOCAL PORT]

The server needs two addresses and two ports. Prints one JSON document:
`{"mapped": [address, port], "mapping": …, "filtering": …}`. It shares no code with what it helps to test.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys

COOKIE = 0x2112A442
CHANGE_PORT, CHANGE_ADDRESS = 0x2, 0x4
XOR_MAPPED_ADDRESS, CHANGE_REQUEST, OTHER_ADDRESS = 0x0020, 0x0003, 0x802C

Address = tuple[str, int]
Attributes = dict[int, bytes]


def ask(sock: socket.socket, server: Address, change: int = 0, tries: int = 3) -> Attributes | None:
    """One Binding request; the answer's attributes, or None when none comes."""
    transaction = os.urandom(12)
    body = struct.pack("!HHI", CHANGE_REQUEST, 4, change) if change else b""
    request = struct.pack("!HHI", 0x0001, len(body), COOKIE) + transaction + body
    for _ in range(tries):
        sock.sendto(request, server)
        try:
            while True:
                answer, _source = sock.recvfrom(2048)
                if answer[8:20] == transaction and answer[:2] == b"\x01\x01":
                    return attributes(answer)
        except TimeoutError:
            continue
    return None


def attributes(message: bytes) -> Attributes:
    """A STUN message's attributes by their type."""
    found: Attributes = {}
    position = 20
    while position + 4 <= len(message):
        kind, length = struct.unpack_from("!HH", message, position)
        found[kind] = message[position + 4 : position + 4 + length]
        position += 4 + length + -length % 4
    return found


def mapped(answer: Attributes) -> Address:
    """XOR-MAPPED-ADDRESS of an answer."""
    _, port, address = struct.unpack("!HHI", answer[XOR_MAPPED_ADDRESS])
    return socket.inet_ntoa(struct.pack("!I", address ^ COOKIE)), port ^ (COOKIE >> 16)


def other(answer: Attributes) -> Address:
    """OTHER-ADDRESS of an answer: the server's second address and port."""
    _, port, address = struct.unpack("!HH4s", answer[OTHER_ADDRESS])
    return socket.inet_ntoa(address), port


def opened(port: int = 0) -> socket.socket:
    """A UDP socket that waits at most 0.3 s for an answer."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", port))
    sock.settimeout(0.3)
    return sock


def mapping_of(sock: socket.socket, server: Address, first: Attributes) -> str:
    """RFC 5780 §4.3: how the router's port depends on whom we talk to."""
    second_server = other(first)
    second = ask(sock, (second_server[0], server[1]))
    if second is None:
        return "unknown"
    if mapped(second) == mapped(first):
        return "endpoint-independent"
    third = ask(sock, second_server)
    same = third is not None and mapped(third) == mapped(second)
    return "address-dependent" if same else "address-and-port-dependent"


def filtering_of(sock: socket.socket, server: Address) -> str:
    """RFC 5780 §4.4: who may answer through a mapping, asked with a fresh one."""
    if ask(sock, server, CHANGE_ADDRESS | CHANGE_PORT, tries=2):
        return "endpoint-independent"
    return "address-dependent" if ask(sock, server, CHANGE_PORT, tries=2) else "address-and-port-dependent"


def main(server: Address, local_port: int) -> None:
    """Ask everything and print what was found."""
    with opened(local_port) as sock:
        first = ask(sock, server)
        if first is None:
            print(json.dumps({"mapped": None, "mapping": "unknown", "filtering": "unknown"}))
            return
        found = {"mapped": mapped(first), "mapping": mapping_of(sock, server, first)}
    with opened() as fresh:
        found["filtering"] = filtering_of(fresh, server)
    print(json.dumps(found))


if __name__ == "__main__":
    main((sys.argv[1], int(sys.argv[2])), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
