"""Questions about a router, asked from a machine behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from tests.lab.coturn import PORT
from tests.lab.topology import Machine

T = TypeVar("T")
AT_ONCE = 4
"""Questions at a time: an answer that comes late for want of a processor would count as none."""
HERE = Path(__file__).parent
PROBER, PUNCHER = str(HERE / "prober.py"), str(HERE / "puncher.py")
LISTEN = (
    "import socket, sys; sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.bind(('', int(sys.argv[1])))\n"
    "print('listening', flush=True)\n"
    "while True: data, source = sock.recvfrom(2048); print(data.decode(), 'from', source[0], flush=True)"
)
RECEIVE = (
    "import socket, sys, time; server = socket.create_server(('', int(sys.argv[1]))); print('listening', flush=True)\n"
    "sock, _ = server.accept(); started = time.monotonic(); total = 0\n"
    "while data := sock.recv(1 << 20): total += len(data)\n"
    "print('received', total, time.monotonic() - started, flush=True)"
)
MAPPING = (
    "import socket, sys, time; sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    "sock.settimeout(float(sys.argv[3])); sock.sendto(b'question', (sys.argv[1], int(sys.argv[2])))\n"
    "try: print(sock.recv(100).decode())\n"
    "except TimeoutError: print('nothing')"
)
ANSWER_LATE = (
    "import socket, sys; sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.bind(('', int(sys.argv[1])))\n"
    "sock.settimeout(float(sys.argv[2])); print('listening', flush=True)\n"
    "data, source = sock.recvfrom(100)\n"
    "try: sock.recv(100)\n"  # nobody else sends: this is the pause
    "except TimeoutError: sock.sendto(b'answer', source)"
)


def at_once(*questions: Callable[[], T]) -> list[T]:
    """The answers to all questions, asked at the same time: most of them wait for something that does not come."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda question: question(), questions))


def probe(machine: Machine, server: str, local_port: int = 7777) -> dict[str, object]:
    """What `prober.py` finds there."""
    done = machine.run(*machine.python(PROBER, server, str(PORT), str(local_port)))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def probed(machines: Iterable[Machine], server: str) -> list[dict[str, object]]:
    """The same of several machines at once."""
    return at_once(*(partial(probe, machine, server) for machine in machines))


def pings(machine: Machine, address: str) -> bool:
    """Whether one ICMP echo is answered (asked with Python: `ping` is not everywhere)."""
    script = (
        "import socket, struct, sys\n"
        "sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); sock.settimeout(1.5)\n"
        "packet = bytes([8, 0]) + struct.pack('!H', 0xFFFF - 0x0800 - 1) + struct.pack('!HH', 0, 1)\n"
        "try:\n"
        "    sock.sendto(packet, (sys.argv[1], 0))\n"
        "    while sock.recv(2048)[20] != 0: pass\n"
        "except OSError: sys.exit(1)\n"
    )
    return machine.run(*machine.python("-c", script, address)).returncode == 0


def punched(
    one: Machine, one_port: int, one_target: tuple[str, int], two: Machine, two_port: int, two_target: tuple[str, int]
) -> tuple[object, object]:
    """What each of two machines saw when both knocked at the other for two seconds."""
    waiting = two.start(*two.python(PUNCHER, str(two_port), two_target[0], str(two_target[1]), "2.5"))
    first = one.run(*one.python(PUNCHER, str(one_port), one_target[0], str(one_target[1]), "2"))
    waiting.wait(10)
    return json.loads(first.stdout), json.loads(waiting.lines[0])


def mapping_lives(host: Machine, box: Machine, port: int, pause: float) -> bool:
    """Whether an answer from the box's `port` still gets in that many seconds after the question."""
    late = box.start(*box.python("-c", ANSWER_LATE, str(port), str(pause)))
    late.wait_for("listening")
    done = host.run(*host.python("-c", MAPPING, box.address, str(port), str(pause + 0.7)))
    late.wait()
    return done.stdout.strip() == "answer"
