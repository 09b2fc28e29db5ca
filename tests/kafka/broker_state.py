"""What brokers say of a log while workers are at it: committed positions, ends of topics, open transactions, who coordinates.
Each question costs milliseconds, where Kafka's own tools (kit.Cluster.tool) take a second."""
import struct

import broker_metadata
import broker_wire

GROUP, TRANSACTION = 0, 1  # kinds of coordinators
LIST_OFFSETS, OFFSET_FETCH, FIND_COORDINATOR, DESCRIBE_GROUPS, LIST_TRANSACTIONS = 2, 9, 10, 15, 66


class Unanswered(OSError):
    """A broker answers with an error code of the protocol: its role is about to be another's. Ask again."""


class Brokers:
    """Asks those that there are; from one thread. OSError where none answers, or one says that it is not the one to be asked."""

    def __init__(self, bootstrap):
        self._ports = [int(place.rsplit(":", 1)[1]) for place in bootstrap.split(",")]
        self._connections = {}  # by port
        self._coordinators = {}  # ports, by group

    def close(self):
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def metadata(self):
        for last, port in enumerate(self._ports, 1 - len(self._ports)):
            try:
                return broker_metadata.metadata(port)
            except OSError:
                if last == 0:
                    raise
        raise ValueError("no brokers are named")

    def leaders(self, topic):
        """Node ids by partition; -1: none now."""
        return {number: partition.leader for number, partition in self.metadata().topics.get(topic, {}).items()}

    def coordinator(self, kind, key):
        """The node id of the one that coordinates a group or the transactions of an id."""
        return self._coordinator(kind, key)[0]

    def committed(self, group):
        """Topic -> partition -> offset, as far as any was committed. A position in an open transaction is none yet."""
        def read(answer):
            rows = answer.array(lambda: (answer.text(), answer.array(
                lambda: (answer.number(">i"), answer.number(">q"), answer.text(), _sound(answer)))))
            _sound(answer)
            return {topic: {partition: offset for partition, offset, *_ in of if offset >= 0} for topic, of in rows}
        return self._of_group(group, OFFSET_FETCH, 2, broker_wire.text(group) + struct.pack(">i", -1), read)

    def assignment(self, group, topic):
        """Which partitions of the topic a group's members have, by group.instance.id. Empty while they are being divided. One that
        has died has its own until its session ends."""
        def member(answer):
            answer.text()  # its id
            instance, *_ = answer.text(), answer.text(), answer.text(), answer.bytes()  # client, host, what it subscribes
            return instance, _assigned(broker_wire.Answer(answer.bytes()), topic)

        def read(answer):
            answer.number(">i")  # throttled for so long
            answer.number(">i")  # groups: one
            _sound(answer)
            state = (answer.text(), answer.text(), answer.text(), answer.text())[1]
            members = dict(answer.array(lambda: member(answer)))
            return members if state == "Stable" else {}
        return self._of_group(group, DESCRIBE_GROUPS, 4, broker_wire.array([broker_wire.text(group)]) + b"\0", read)

    def ends(self, topic, committed=False):
        """Partition -> offset behind its last record; committed: as read_committed readers see it."""
        metadata = self.metadata()
        by_leader = {}
        for number, partition in metadata.topics.get(topic, {}).items():
            by_leader.setdefault(partition.leader, []).append(number)
        found = {}
        for leader, numbers in by_leader.items():
            if leader not in metadata.brokers:
                raise Unanswered(f"{topic}: the partitions {numbers} have no leader now")
            wanted = broker_wire.array([struct.pack(">iq", number, -1) for number in numbers])
            answer = self._ask(_port(metadata.brokers[leader]), LIST_OFFSETS, 2,
                               struct.pack(">ib", -1, int(committed)) + broker_wire.array([broker_wire.text(topic) + wanted]))
            answer.number(">i")  # throttled for so long
            (rows,) = answer.array(lambda: (answer.text(), answer.array(
                lambda: (answer.number(">i"), _sound(answer), answer.number(">q"), answer.number(">q")))))
            found |= {number: offset for number, _, _, offset in rows[1]}
        return found

    def transactions(self):
        """Transactional id -> state, such as Ongoing, PrepareCommit, CompleteAbort, of all whose coordinator runs."""
        found = {}
        for place in self.metadata().brokers.values():
            answer = self._ask(_port(place), LIST_TRANSACTIONS, 0, b"\x01\x01\x00", flexible=True)  # no filters
            answer.number(">i")
            _sound(answer)
            answer.compact_array(answer.compact_text)  # states of a filter that it does not know

            def row():
                name, _, state = answer.compact_text(), answer.number(">q"), answer.compact_text()
                answer.tags()
                return name, state
            found |= dict(answer.compact_array(row))
        return found

    def _ask(self, port, key, version, body, flexible=False):
        connection = self._connections.get(port)
        try:
            if not connection:
                connection = self._connections[port] = broker_wire.Connection(port)
            return connection.ask(key, version, body, flexible)
        except OSError:
            if connection:
                connection.close()
            self._connections.pop(port, None)
            raise

    def _coordinator(self, kind, key):
        answer = None
        for last, place in enumerate(brokers := list(self.metadata().brokers.values()), 1 - len(brokers)):
            try:
                answer = self._ask(_port(place), FIND_COORDINATOR, 1, broker_wire.text(key) + struct.pack(">b", kind))
                break
            except OSError:
                if last == 0:
                    raise
        answer.number(">i")
        _sound(answer, answer.text)
        node, host, port = answer.number(">i"), answer.text(), answer.number(">i")
        return node, f"{host}:{port}"

    def _of_group(self, group, key, version, body, read):
        """Its coordinator is looked for once, and anew after an error."""
        try:
            if group not in self._coordinators:
                self._coordinators[group] = _port(self._coordinator(GROUP, group)[1])
            return read(self._ask(self._coordinators[group], key, version, body))
        except OSError:
            self._coordinators.pop(group, None)
            raise


def _port(place):
    return int(place.rsplit(":", 1)[1])


def _sound(answer, behind=None):
    """The error code that stands next, which must be none."""
    code = answer.number(">h")
    more = behind() if behind else None
    if code:
        raise Unanswered(f"the broker answers with error {code}" + (f": {more}" if more else ""))
    return code


def _assigned(answer, topic):
    if not answer.data:
        return set()
    answer.number(">h")  # its version
    by_topic = dict(answer.array(lambda: (answer.text(), answer.array(lambda: answer.number(">i")))))
    return set(by_topic.get(topic, ()))
