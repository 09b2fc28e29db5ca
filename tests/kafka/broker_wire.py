"""Kafka's own protocol as far as the kit and its tests ask brokers by it: without a client library, so that what the brokers are
judged by shares nothing with what is tried on them. Plain text listeners only."""
import socket
import struct


class Answer:
    """A broker's answer, read from its beginning to its end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def _bytes(self, size):
        self.at += size
        return self.data[self.at - size:self.at]

    def text(self):
        size = self.number(">h")
        return None if size < 0 else self._bytes(size).decode()

    def bytes(self):
        return self._bytes(self.number(">i"))

    def array(self, item):
        return [item() for _ in range(self.number(">i"))]

    # The compact forms of newer versions: sizes are one more than they are, 0 is null; each thing ends in tagged fields.

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number("B")
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def compact_text(self):
        size = self.varint()
        return self._bytes(size - 1).decode() if size else None

    def compact_array(self, item):
        return [item() for _ in range(max(self.varint() - 1, 0))]

    def tags(self):
        for _ in range(self.varint()):
            self.varint()
            self._bytes(self.varint())


def text(value):
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


class Connection:
    """To one broker. OSError, of which ConnectionError is one, if it does not answer within `timeout` seconds a step; such a
    connection is of no use any more."""

    def __init__(self, port, timeout=5, host="127.0.0.1"):
        self._socket = socket.create_connection((host, port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._number = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self._socket.close()

    def ask(self, key, version, body=b"", flexible=False):
        """The answer behind its header. flexible: of versions from which headers have tagged fields too."""
        self._number += 1
        head = struct.pack(">hhi", key, version, self._number) + text("kit") + (b"\0" if flexible else b"")
        self._socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        (size,) = struct.unpack(">i", self._exactly(4))
        answer = Answer(self._exactly(size))
        if answer.number(">i") != self._number:
            raise ConnectionError("an answer to another request")
        if flexible:
            answer.tags()
        return answer

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the broker closed the connection")
            data += more
        return data
