#!/usr/bin/env python3
"""Programs of others that are in truetape's way, as they are met on a machine. Copied into a drill's opt/ under the name that
the trainee sees: NAME KIND ARGUMENT…"""
import base64
import http.server
import json
import os
import socket
import sqlite3
import struct
import sys
import threading
import time


def another_server(port):
    """Has the port that truetape wants."""
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>Weekly sales report</h1>\n")

        def log_message(self, *_):
            pass
    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Answer).serve_forever()


def long_transaction(store):
    """Writes to the store and does not commit."""
    db = sqlite3.connect(store, timeout=120, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    db.execute("CREATE TABLE colleague_notes (text)")
    time.sleep(1e6)


def many_transactions(store, held, free):
    """Has the store's write lock for `held` seconds again and again."""
    db = sqlite3.connect(store, timeout=120, isolation_level=None)
    while True:
        db.execute("BEGIN IMMEDIATE")
        time.sleep(float(held))
        db.execute("ROLLBACK")
        time.sleep(float(free))


def long_read(store):
    """Stays inside one read, so that the WAL grows."""
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=120, isolation_level=None)
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM trades").fetchone()
    time.sleep(1e6)


def hand_shake(port, path):
    s = socket.create_connection(("127.0.0.1", int(port)), timeout=30)
    key = base64.b64encode(os.urandom(16)).decode()
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    s.recv(65536)
    return s


def send(s, message):
    payload, mask = json.dumps(message).encode(), os.urandom(4)
    size = struct.pack("!B", 0x80 | len(payload)) if len(payload) < 126 else struct.pack("!BH", 0x80 | 126, len(payload))
    s.sendall(b"\x81" + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))


def slow_client(port, instruments):
    """Subscribes to everything and reads nothing; connects again when it is closed."""
    while True:
        try:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", int(port)))
            key = base64.b64encode(os.urandom(16)).decode()
            s.sendall(f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
            s.recv(1024)
            send(s, {"op": "subscribe", "id": 1, "channels": ["trades", "candles:1s", "candles:1m", "candles:5m"], "instruments": instruments.split(",")})
            while True:
                time.sleep(1)
                if s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1:  # not established any more
                    break
            s.close()
        except OSError:
            time.sleep(1)


def reads_stream(port, instruments):
    """A client as it should be."""
    while True:
        try:
            s = hand_shake(port, "/api/v1/stream")
            send(s, {"op": "subscribe", "id": 1, "channels": ["candles:1s", "candles:1m"], "instruments": instruments.split(",")})
            while s.recv(65536):
                pass
        except OSError:
            pass
        time.sleep(1)


def many_connections(port, count):
    """Opens connections and never closes them, again and again."""
    held = []
    while True:
        try:
            while len(held) < int(count):
                s = hand_shake(port, "/api/v1/stream")
                held.append(s)
        except OSError:
            pass
        for s in list(held):
            s.setblocking(False)
            try:
                if s.recv(65536) == b"":
                    held.remove(s)
            except BlockingIOError:
                pass
            except OSError:
                held.remove(s)
        time.sleep(2)


def busy():
    """Computes without end."""
    while True:
        pass


def writes_much(file, threads):
    """Writes and syncs without end, as a copy does."""
    def write(number):
        handle = os.open(f"{file}.{number}", os.O_CREAT | os.O_RDWR)
        while True:
            os.pwrite(handle, os.urandom(65536), 0)
            os.fdatasync(handle)
    for number in range(int(threads)):
        threading.Thread(target=write, args=(number,), daemon=True).start()
    time.sleep(1e6)


def fills(file):
    """Appends to a file until the disk has no room, and whenever it has some again."""
    with open(file, "ab", buffering=0) as out:
        while True:
            try:
                out.write(b"debug: nothing happened\n" * 40000)
            except OSError:
                time.sleep(0.5)


if __name__ == "__main__":
    with open("/proc/self/comm", "w", encoding="ascii") as comm:
        comm.write(sys.argv[1][:15])
    {f.__name__: f for f in (another_server, long_transaction, many_transactions, long_read, slow_client, many_connections, reads_stream, busy, writes_much, fills)}[sys.argv[2]](*sys.argv[3:])
