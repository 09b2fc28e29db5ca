#!/usr/bin/env python3
"""Clients that do what no client should, against a `truetape run` that works: each gets a clear answer within limits, and trades
go on coming all the while."""
import json
import socket
import threading
import time

import live
from live import Run, Stream, Venue, judged, until

NAME = "binance:BTCUSDT"
CANDLES = f"/api/v1/candles?instrument={NAME}&interval=1m"


class Hostile(live.Case):
    """One venue and one run for all; after each test trades still come."""

    @classmethod
    def setUpClass(cls):
        cls.folder = live.tempfile.TemporaryDirectory(prefix="truetape-hostile-")
        cls.venue = Venue("--symbols", 10, "--rate", 300)
        cls.run_ = Run(live.pathlib.Path(cls.folder.name) / "data", *(f"binance:{s}" for s in cls.venue.symbols), venues=[cls.venue])
        until("trades of all", lambda: cls.run_.alive() and cls.run_.accepted() > 300)

    @classmethod
    def tearDownClass(cls):
        """Whatever was done to it: nothing is missing, nothing false."""
        try:
            with cls.run_:
                cls.run_.take_in(cls.venue)
            counts = judged([cls.venue], cls.run_.data, drained=True)
            assert counts["missing ids"] == 0, counts
        finally:
            cls.venue.__exit__(None)
            cls.folder.cleanup()

    def setUp(self):
        self.run_.wait_more(1)

    def tearDown(self):
        self.run_.wait_more(100)

    def problem(self, status, path, method="GET", body=None, headers=None, says=None):
        got, head, text = self.run_.ask(path, method, body, headers)
        self.assertEqual(got, status, f"{method} {path}: {text[:300]}")
        self.assertEqual(head.get_content_type(), "application/problem+json", f"{method} {path}: {text[:300]}")
        told = json.loads(text)
        self.assertEqual(told["status"], status)
        self.assertTrue(told["title"])
        self.assertGreater(len(told["detail"]), 10)
        if says:
            self.assertIn(says, told["detail"])
        return told

    def test_wrong_parameters_are_told_with_what_is_allowed(self):
        self.problem(404, "/api/v1/candles?instrument=binance:NOSUCH&interval=1m", says="NOSUCH")
        self.problem(400, "/api/v1/candles?instrument=nonsense&interval=1m", says="instrument")
        self.problem(400, "/api/v1/candles?interval=1m", says="instrument")
        self.problem(400, f"/api/v1/candles?instrument={NAME}", says="interval")
        self.problem(400, f"/api/v1/candles?instrument={NAME}&interval=7m", says="interval")
        self.problem(400, f"/api/v1/candles?instrument={NAME}&interval=", says="interval")
        self.problem(400, f"/api/v1/trades", says="instrument")
        for limit in ("0", "1000000000", "-1", "1e3", "ten", "10001", "99999999999999999999999", ""):
            self.problem(400, f"{CANDLES}&limit={limit}", says="limit")
        self.problem(400, f"{CANDLES}&from=2024-01-02&to=2024-01-01", says="from")
        for when in ("yesterday", "2024-13-01", "999999999999999999999", "1e12"):
            self.problem(400, f"{CANDLES}&from={when}", says="from")
        self.problem(400, f"{CANDLES}&cursor=%00%ff", says="cursor")
        self.problem(400, f"{CANDLES}&cursor=" + "A" * 4000, says="cursor")
        self.problem(400, f"{CANDLES}&tape=video", says="tape")

    def test_wrong_paths_verbs_and_bodies(self):
        self.problem(404, "/api/v1/nothing")
        self.problem(404, "/api/v2/candles")
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            self.problem(405, CANDLES, method)
        self.problem(405, "/start", "GET")
        for body in (b"", b"{", b"[]", b'{"instrument": 7}', b'{"instrument": "nonsense"}', b'\xff\xfe', b'{"instrument":' + b"[" * 5000):
            self.problem(400, "/api/v1/instruments", "POST", body, {"Content-Type": "application/json"})
        self.problem(413, "/api/v1/instruments", "POST", b"x" * (3 << 20))
        self.assertEqual(self.raw(b"POST /api/v1/instruments HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"), 413)
        self.assertEqual(self.raw(b"POST /api/v1/instruments HTTP/1.1\r\nHost: x\r\nContent-Length: 12582912\r\n\r\n" + b"x" * (12 << 20)), 413)
        self.assertEqual(self.raw(b"NONSENSE\r\n\r\n"), 400)
        self.assertEqual(self.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n"), 431)
        self.assertIn(self.raw(b"GET /%00%zz HTTP/1.1\r\nHost: x\r\n\r\n"), (400, 404))
        self.assertIn(self.raw(b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"), (400, 404))

    def raw(self, request):
        """The status that these bytes get, all of which are taken before the answer is read; 0: none."""
        with socket.create_connection(("127.0.0.1", self.run_.port), timeout=60) as s:
            s.sendall(request)
            answer = b""
            try:
                while b"\r\n" not in answer and (got := s.recv(4096)):
                    answer += got
            except OSError:
                pass
        return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0

    def test_pages_of_other_origins_cannot_control(self):
        for path in ("/stop", "/start"):
            status, _, body = self.run_.ask(path, "POST", b"", {"Origin": "http://evil.example"})
            self.assertEqual(status, 403, body)
        status, _, body = self.run_.ask("/api/v1/instruments", "POST", {"instrument": "binance:EVIL"}, {"Origin": "http://evil.example"})
        self.assertEqual(status, 403, body)

    def test_binance_clients_get_binances_errors(self):
        for path, code in (("/api/v3/klines?symbol=NOSUCH&interval=1m", -1121), ("/api/v3/klines?symbol=BTCUSDT&interval=7m", -1120),
                           ("/api/v3/klines?symbol=BTCUSDT", -1102), ("/api/v3/klines?interval=1m", -1102)):
            status, _, body = self.run_.ask(path)
            self.assertEqual((status, json.loads(body)["code"]), (400, code), path)

    def test_slow_loris(self):
        """Sixty connections that send a byte a second: each is ended, and others are served meanwhile."""
        sockets = []
        for _ in range(60):
            s = socket.create_connection(("127.0.0.1", self.run_.port), timeout=60)
            s.sendall(b"GET / HTTP/1.1\r\nHost:")
            sockets.append(s)
        open_ = set(sockets)

        def one_round():
            for s in list(open_):
                try:
                    s.sendall(b"x")
                    s.setblocking(False)
                    try:
                        if s.recv(4096) == b"":
                            open_.discard(s)
                        # else the 408 before the end
                    except BlockingIOError:
                        pass
                    s.setblocking(True)
                except OSError:
                    open_.discard(s)
            self.assertEqual(self.run_.status("/health/live"), 200, "others are served")
            return not open_
        until("all are ended", one_round, every=1)
        for s in sockets:
            s.close()

    def test_ten_thousand_subscriptions(self):
        """More than the limit are refused by word, and those that there are go on."""
        with self.run_.stream() as stream:
            self.assertEqual(stream.status, 101)
            stream.send({"op": "subscribe", "id": 1, "channels": ["trades"], "instruments": [NAME]})
            stream.until(lambda m: m["type"] == "ack" and m["id"] == 1)
            # Too many in one message, and ten thousand messages.
            stream.send({"op": "subscribe", "id": 2, "channels": ["candles:1m"], "instruments": [f"binance:X{i}USDT" for i in range(2000)]})
            self.assertEqual(stream.until(lambda m: m.get("id") == 2)["type"], "error")
            refused = 0
            for start in range(0, 10_000, 500):
                for i in range(start, start + 500):
                    stream.send({"op": "subscribe", "id": 10 + i, "channels": ["candles:1m"], "instruments": [f"binance:X{i}USDT"]})
                refused += sum(1 for i in range(start, start + 500) if stream.until(lambda m, i=i: m.get("id") == 10 + i)["type"] == "error")
            self.assertGreaterEqual(refused, 9000)
            stream.until(lambda m: m["type"] == "update" and m["channel"] == "trades")

    def test_nonsense_on_the_stream(self):
        with self.run_.stream() as stream:
            for i, message in enumerate(("{", "[]", "7", '"x"', '{"op":"dance","id":1}', '{"op":"subscribe","id":2}',
                                         '{"op":"subscribe","id":3,"channels":["nothing"],"instruments":["binance:BTCUSDT"]}',
                                         '{"op":"subscribe","id":4,"channels":["candles:7m"],"instruments":["binance:BTCUSDT"]}',
                                         '{"op":"subscribe","id":5,"channels":["trades"],"instruments":["nonsense"]}',
                                         '{"op":"subscribe","id":6,"channels":"trades","instruments":7}', "[" * 5000)):
                stream.send(message)
                told = stream.receive()
                self.assertIsNotNone(told, f"{message[:60]} ended the stream with {stream.close_code}")
                self.assertEqual(told["type"], "error", message[:60])
                self.assertTrue(told["detail"])
        for wrong in ("channels=candles:7m&instruments=" + NAME, "channels=trades&instruments=nonsense", "channels=nothing&instruments=" + NAME):
            with Stream(self.run_.port, "/api/v1/stream?" + wrong) as stream:
                self.assertTrue(stream.status == 400 or stream.receive()["type"] == "error", wrong)

    def test_a_message_over_the_limit_closes_that_stream_only(self):
        with self.run_.stream() as other, self.run_.stream() as stream:
            other.send({"op": "subscribe", "id": 1, "channels": ["trades"], "instruments": [NAME]})
            try:
                stream.send('{"op":"' + "x" * (8 << 20))
            except OSError:
                pass  # closed before all was sent
            while stream.receive() is not None:
                pass
            self.assertIn(stream.close_code, (1009, None))  # None: what had been sent still reset it
            other.until(lambda m: m["type"] == "update")

    def test_a_client_that_does_not_read_harms_nobody(self):
        """Subscribed to everything, never read."""
        with self.run_.stream() as stream, self.run_.stream(channels="trades", instruments=NAME) as other:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stream.send({"op": "subscribe", "id": 1, "channels": ["trades", "candles:1s", "quotes", "progress"],
                         "instruments": [f"binance:{s}" for s in self.venue.symbols]})
            for _ in range(200):
                other.until(lambda m: m["type"] == "update" and m["channel"] == "trades")
            self.run_.wait_more(2000)

    def test_a_thousand_connections(self):
        """More than one address may have: 503 or the end, and room again afterwards."""
        sockets, got = [], []
        try:
            for _ in range(300):
                try:
                    sockets.append(socket.create_connection(("127.0.0.1", self.run_.port), timeout=5))
                except OSError:
                    break
            for s in sockets[-50:]:
                try:
                    s.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                    got.append(s.recv(4096)[9:12])
                except OSError:
                    got.append(b"")
            self.assertLessEqual(set(got), {b"503", b"", b"200"})
        finally:
            for s in sockets:
                s.close()
        until("room again", lambda: self.run_.status("/health/live") == 200)

    def test_many_at_once(self):
        """All of the above kinds from eight threads for a few seconds: the pipeline does not notice."""
        stop = time.monotonic() + 4
        failures = []

        def annoy(number):
            try:
                while time.monotonic() < stop:
                    for path in (f"{CANDLES}&limit=0", "/api/v1/trades?instrument=binance:BTCUSDT&limit=10000", "/metrics", "/nothing", CANDLES,
                                 "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1000"):
                        status = self.run_.ask(path)[0]
                        if status >= 500 and status != 503:
                            failures.append((path, status))
            except Exception as error:  # a connection that is refused is told by its status
                failures.append((number, repr(error)))
        threads = [threading.Thread(target=annoy, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        before = self.run_.accepted()
        for t in threads:
            t.join()
        self.assertEqual(failures, [])
        self.assertGreater(self.run_.accepted(), before)


if __name__ == "__main__":
    live.main()
