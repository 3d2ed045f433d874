"""A cluster in memory: hubs, their nodes and a clock, no loop and no socket. Instances can be killed or cut off."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from signaling.cluster.hub import ClusterHub
from signaling.cluster.wire import PROTOCOL, AnyEvent, Frame, decode_frame, encode_frame
from signaling.hub import Delivery
from signaling.messages import ClientMessage, Got, Incoming, ServerMessage
from signaling.metrics import Metrics
from signaling.settings import Settings

ANN, BOB, CID, DAN = ("a" * 52, "b" * 52, "c" * 52, "d" * 52)
DEAD_AFTER = 2.5


@dataclass
class Instance:
    name: str
    hub: ClusterHub
    metrics: Metrics
    seq: int = 0
    alive: bool = True
    cut_off: bool = False


@dataclass
class Client:
    """A node: what it was told, in order; it says `got` at once unless it is `silent`."""

    id: str
    got: bool = True
    silent: bool = False
    instance: Instance | None = None
    told: list[ServerMessage] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """The messages that the application saw, each once."""
        return list(dict.fromkeys(message.id for message in self.told if isinstance(message, Incoming)))

    def take(self) -> list[ServerMessage]:
        """What it was told since the last call."""
        told, self.told = self.told, []
        return told


class MemoryCluster:
    """`instances` hubs on one network; everything said is encoded and decoded on the way."""

    def __init__(self, instances: int, settings: Settings | None = None) -> None:
        self.now = 100.0
        self.settings = settings or Settings()
        self.network: deque[tuple[str | None, Instance, bytes]] = deque()
        self.lose: Callable[[AnyEvent], bool] = lambda _: False
        self.clients: dict[str, Client] = {}
        self.instances: list[Instance] = []
        for _ in range(instances):
            self.start()
        self.run(1.0)

    def start(self) -> Instance:
        name = f"instance{len(self.instances):08d}"
        metrics = Metrics()
        hub = ClusterHub(
            self.settings,
            metrics,
            own=name,
            speak=lambda target, event: self._say(instance, target, event),
            dead_after=DEAD_AFTER,
        )
        instance = Instance(name, hub, metrics)
        self.instances.append(instance)
        return instance

    def _say(self, instance: Instance, target: str | None, event: AnyEvent) -> None:
        if target is None:
            instance.seq += 1
        frame = Frame(PROTOCOL, instance.name, instance.seq if target is None else 0, [event])
        if not instance.cut_off and not self.lose(event):
            self.network.append((target, instance, encode_frame(frame)))

    # Nodes

    def connect(self, node: str, at: int, *, got: bool = True, silent: bool = False) -> Client:
        client = self.clients.setdefault(node, Client(node))
        client.got, client.silent = got, silent
        client.instance = self.instances[at]
        self._deliver(client.instance, client.instance.hub.connect(node, self.now, got=got))
        return client

    def disconnect(self, node: str) -> None:
        client = self.clients[node]
        instance, client.instance = client.instance, None
        if instance and instance.alive:
            self._deliver(instance, instance.hub.disconnect(node))

    def say(self, node: str, message: ClientMessage) -> None:
        instance = self.clients[node].instance
        assert instance
        self._deliver(instance, instance.hub.receive(node, message, self.now))

    def _deliver(self, instance: Instance, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            for node in delivery.to:
                client = self.clients[node]
                if client.instance is instance:
                    self._tell(client, delivery)
                elif delivery.close:
                    client.closed.append(delivery.close)

    def _tell(self, client: Client, delivery: Delivery) -> None:
        message = delivery.message
        client.told.append(message)
        if delivery.close:
            client.closed.append(delivery.close)
            client.instance = None
        if isinstance(message, Incoming) and message.seq is not None and not client.silent:
            self.say(client.id, Got(message.seq))

    # What happens

    def settle(self) -> None:
        """Carry everything that is under way."""
        while self.network:
            target, sender, data = self.network.popleft()
            for instance in self.instances:
                fine = instance.alive and not instance.cut_off and instance is not sender
                if fine and target in (None, instance.name):
                    self._deliver(instance, instance.hub.hear(decode_frame(data), self.now))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.settle()
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            for instance in self.instances:
                if instance.alive:
                    self._deliver(instance, instance.hub.tick(self.now))
                    self._deliver(instance, instance.hub.expire(self.now))
            self.settle()

    def kill(self, at: int) -> list[str]:
        """An instance dies, with what it has not said yet; the nodes that it had."""
        instance = self.instances[at]
        instance.alive = False
        self.network = deque(entry for entry in self.network if entry[1] is not instance)
        lost = [client.id for client in self.clients.values() if client.instance is instance]
        for node in lost:
            self.clients[node].instance = None
        return lost
