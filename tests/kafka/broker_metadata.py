"""Asks a broker who its cluster is: one Metadata request (key 3, version 1) on a connection of its own."""
import dataclasses
import struct

import broker_wire


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


def metadata(port, timeout=5, host="127.0.0.1"):
    """What the broker at the port knows of its cluster. OSError if it does not answer within `timeout` seconds a step."""
    with broker_wire.Connection(port, timeout, host) as connection:
        answer = connection.ask(3, 1, struct.pack(">i", -1))  # -1: of all topics

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

    brokers = dict(answer.array(broker))
    controller = answer.number(">i")
    return Metadata(brokers, controller, dict(answer.array(topic)))
