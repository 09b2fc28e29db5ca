"""Asks a broker who its cluster is: one Metadata request (key 3, version 1) on a connection of its own, without a client library,
so that what the brokers are judged by shares nothing with what is tried on them. Plain text listeners only."""
import dataclasses
import socket
import struct


@dataclasses.dataclass(frozen=True)
class Partition:
    error: int          # 0: none; 5: no leader now; the protocol's error codes
    leader: int         # node id; -1: none
    replicas: tuple
    in_sync: tuple


@dataclasses.dataclass(frozen=True)
class Metadata:
    brokers: dict       # node id -> "host:port"
    controller: int     # node id of a broker to which admin requests may go; -1: none known
    topics: dict        # name -> {partition: Partition}; internal topics too


class _Answer:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self):
        size = self.number(">h")
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def array(self, item):
        return [item() for _ in range(self.number(">i"))]


def _exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the broker closed the connection")
        data += more
    return data


def metadata(port, timeout=5, host="127.0.0.1"):
    """What the broker at the port knows of its cluster. OSError if it does not answer within `timeout` seconds a step."""
    client = b"kit"
    body = struct.pack(">hhih", 3, 1, 1, len(client)) + client + struct.pack(">i", -1)  # -1: of all topics
    with socket.create_connection((host, port), timeout=timeout) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        (size,) = struct.unpack(">i", _exactly(connection, 4))
        answer = _Answer(_exactly(connection, size))

    def broker():
        node, name, at = answer.number(">i"), answer.text(), answer.number(">i")
        answer.text()  # the rack
        return node, f"{name}:{at}"

    def ids():
        return tuple(answer.array(lambda: answer.number(">i")))

    def partition():
        error, index, leader = answer.number(">h"), answer.number(">i"), answer.number(">i")
        return index, Partition(error, leader, ids(), ids())

    def topic():
        answer.number(">h")  # the topic's own error: its partitions have theirs
        name = answer.text()
        answer.number(">b")  # internal or not
        return name, dict(answer.array(partition))

    answer.number(">i")  # the request's number
    brokers = dict(answer.array(broker))
    controller = answer.number(">i")
    return Metadata(brokers, controller, dict(answer.array(topic)))
