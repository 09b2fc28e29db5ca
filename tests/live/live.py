"""Starts `truetape sim` and `truetape run` beside it, and asks run over HTTP and WebSocket. Python's standard library alone,
and nothing of src/. Waits end when what is waited for is there; the guards are wide, and no test measures time."""
import base64
import concurrent.futures
import datetime
import http.client
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/sim"))
import truth  # noqa: E402
from venue import BINARY, RECORDING, Venue, ids_of  # noqa: E402,F401

GUARD = 120  # seconds until something that must come is given up
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def until(what, condition, guard=GUARD, every=0.05):
    """What the condition answers in the end, which is true."""
    end = time.monotonic() + guard
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"it did not come to this within {guard} s: {what}")
        time.sleep(every)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tool(*arguments, expect=0):
    """Runs another command of truetape; standard output."""
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    if done.returncode != expect:
        raise AssertionError(f"truetape {' '.join(map(str, arguments))}: exit code {done.returncode}, expected {expect}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


# Without a proxy, whatever the environment says.
NO_PROXY = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}


def run_command(data, instruments, venues=(), sets=(), port=0):
    """The command line that starts `truetape run`; port 0: whichever is free. What is missing stays so, unless `sets` say
    backfill.enabled=yes: most tests look at the gaps themselves."""
    settings = [f"serve.port={port}", "backfill.enabled=no"]
    for venue in venues:
        settings += [f"feed.{venue.venue}.stream_url={venue.websocket}", f"feed.{venue.venue}.rest_url={venue.rest}"]
    return [BINARY, "run", "--data", str(data), *(x for s in [*settings, *sets] for x in ("--set", s)), *instruments]


class Run:
    """A `truetape run`, ready unless nobody wants to wait for it. At the end of the `with` block it is stopped by SIGTERM and
    must end with 0."""

    def __init__(self, data, *instruments, venues=(), sets=(), port=0, ready=True):
        port = port or (0 if ready else free_port())
        self.data, self.port, self.killed, self.ready = pathlib.Path(data), port, False, None
        self.told = tempfile.NamedTemporaryFile(prefix="truetape-run-", suffix=".log")
        self.process = subprocess.Popen(run_command(data, instruments, venues, sets, port), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.told, text=True, env=NO_PROXY)
        if ready:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0] is not None:
            print(f"--- what run told:\n{self.log()[-6000:]}\n---", file=sys.stderr, flush=True)
            self.kill()
        elif not self.killed:
            self.stop()
        self.process.stdout.close()
        self.told.close()

    def log(self):
        """What it has told on standard error."""
        return pathlib.Path(self.told.name).read_text(errors="replace")

    def alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"run ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        return True

    def wait_ready(self):
        if not select.select([self.process.stdout], [], [], GUARD)[0]:
            raise AssertionError(f"run did not say that it is ready within {GUARD} s:\n{self.log()[-4000:]}")
        self.ready = self.process.stdout.readline()
        if not self.ready.startswith("ready http://127.0.0.1:"):
            raise AssertionError(f"run did not start: {self.ready}{self.log()[-4000:]}")
        self.port = urllib.parse.urlsplit(self.ready.split()[1]).port
        until("run is ready", lambda: self.alive() and self.status("/health/ready") == 200)

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait(30)

    def stop(self):
        self.killed = True
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(GUARD)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            raise AssertionError(f"run did not end after SIGTERM:\n{self.log()[-4000:]}") from None
        if code != 0:
            raise AssertionError(f"run ended with {code}:\n{self.log()[-4000:]}")

    # ---- asking it

    def ask(self, path, method="GET", body=None, headers=None, timeout=30):
        """Status, headers, body; whatever the status is."""
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body, method=method, headers=headers or {})
        try:
            with DIRECT.open(request, timeout=timeout) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers, answer.read()

    def status(self, path):
        try:
            return self.ask(path)[0]
        except (OSError, http.client.HTTPException):
            return 0

    def get(self, path, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        status, _, body = self.ask(path)
        if status != 200:
            raise AssertionError(f"GET {path}: {status} {body[:1000]}")
        return json.loads(body)

    def rows(self, what, **query):
        """All rows, following `next`; none of an instrument of which nothing is known yet."""
        rows, query = [], {"limit": 10000, "from": 0, **query}
        if self.status(f"/api/v1/{what}?" + urllib.parse.urlencode({**query, "limit": 1})) == 404:
            return []
        while True:
            answer = self.get(f"/api/v1/{what}", **query)
            rows += answer["rows"]
            if not answer["next"]:
                return rows
            query = {**{k: v for k, v in query.items() if k != "from"}, "cursor": answer["next"]}

    def metric(self, name, **labels):
        """The sum over all series of that name with these labels."""
        total = 0.0
        for line in self.ask("/metrics")[2].decode().splitlines():
            if line.startswith(name) and line[len(name)] in "{ " and all(f'{k}="{v}"' in line for k, v in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def accepted(self):
        return self.metric("truetape_items_total", outcome="accepted")

    def wait_in_candles(self, instrument, trades):
        """Until the minutes that are served hold so many trades; accepted is sooner than served."""
        until(f"{trades} trades in candles", lambda: self.alive() and sum(r["trades"] or 0 for r in self.rows("candles", instrument=instrument, interval="1m")) >= trades)

    def wait_more(self, trades=1):
        """Until so many more trades are accepted."""
        begin = self.accepted()
        until(f"{trades} more trades", lambda: self.alive() and self.accepted() >= begin + trades)

    def feeds(self):
        """By venue, as ingest told last."""
        return {feed["venue"]: feed for row in self.get("/api/v1/pipeline")["rows"] for feed in row["feeds"]}

    def connections(self):
        return [c for feed in self.feeds().values() for c in feed["connections"]]

    def take_in(self, venue):
        """The venue ends; run takes in what it had sent."""
        venue.process.terminate()
        venue.end()
        before = -1
        while before != (before := self.accepted()):
            time.sleep(1)

    def wait_end(self, venue):
        """The venue has played everything and closed; what it sent last may still lie in a socket."""
        venue.process.wait(GUARD)
        until("the connection has ended", lambda: self.alive() and self.metric("truetape_ingest_failures_total") >= 1)
        until("none is left", lambda: self.metric("truetape_ingest_connections_live") == 0)

    def stream(self, path="/api/v1/stream", **query):
        return Stream(self.port, path + ("?" + urllib.parse.urlencode(query) if query else ""))


class Stream:
    """A WebSocket client, so small that it can also be rude."""

    def __init__(self, port, path, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.buffer = b""
        key = base64.b64encode(random.randbytes(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.status = int(head.split(b" ", 2)[1])
        self.close_code = None

    def _more(self):
        got = self.socket.recv(1 << 16)
        if not got:
            raise ConnectionError("the server ended the connection")
        self.buffer += got

    def _take(self, count):
        while len(self.buffer) < count:
            self._more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send(self, payload, opcode=1):
        if isinstance(payload, (dict, list)):
            payload = json.dumps(payload)
        data = payload.encode() if isinstance(payload, str) else payload
        mask = random.randbytes(4)
        size = struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0x80 | 126, len(data)) if len(data) < 65536 else struct.pack("!BQ", 0x80 | 127, len(data))
        whole = (mask * (len(data) // 4 + 1))[:len(data)]
        masked = (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(data), "big") if data else b""
        self.socket.sendall(bytes([0x80 | opcode]) + size + mask + masked)

    def receive(self):
        """The next message; None: closed, close_code says how (None: without a close frame)."""
        parts = b""
        while True:
            try:
                first, second = self._take(2)
                length = second & 0x7f
                if length == 126:
                    length = struct.unpack("!H", self._take(2))[0]
                elif length == 127:
                    length = struct.unpack("!Q", self._take(8))[0]
                payload = self._take(length)
            except ConnectionError:
                return None
            opcode = first & 15
            if opcode == 8:
                self.close_code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
                return None
            if opcode == 9:
                self.send(payload, 10)
            elif opcode in (0, 1, 2):
                parts += payload
                if first & 0x80:
                    return json.loads(parts)

    def until(self, condition):
        while True:
            message = self.receive()
            if message is None:
                raise AssertionError(f"the stream was closed with {self.close_code}")
            if condition(message):
                return message

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ms(text):
    """Of an RFC 3339 time."""
    return round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def raw_records(data):
    """The records of the topic raw, as `truetape log cat` prints them."""
    return [json.loads(line) for line in tool("log", "cat", "raw", "--data", data).splitlines()]


def query(data, kind, *more):
    return [json.loads(line) for line in tool("query", kind, "--data", data, "--format", "json", *more).splitlines()]


def judged(venues, data, into=None, **more):
    """What truth.py says of a data directory that nobody writes any more; the venues have ended. An AssertionError tells
    what is wrong, else the counts. `into`: a Counter that gets them in either case."""
    tool("log", "verify", "--data", data)
    tool("digest", "--data", data, "--compare")
    tool("audit", "--data", data)
    with open(os.path.join(data, "raw.jsonl"), "w", encoding="utf-8") as file:
        subprocess.run([BINARY, "log", "cat", "raw", "--data", str(data)], stdout=file, check=True, timeout=300)
    with open(file.name, encoding="utf-8") as lines:
        reached = truth.logged(lines)
    if "TRUETAPE_KEEP" not in os.environ:
        os.unlink(file.name)
    findings, counts = truth.judge([truth.Truth(v.truth_file, v.trades_file) for v in venues], os.path.join(data, "store.db"), reached=reached, **more)
    if into is not None:
        into.update(counts)
    if findings:
        raise AssertionError("\n".join(map(str, findings)) + "\n" + str(dict(counts)))
    return counts


def judged_states(venues, data, into=None):
    """What truth.py says of every state that the log holds of a candle, those before a repair among them. An AssertionError
    tells what is false, else the counts. `into`: as judged()."""
    with subprocess.Popen([BINARY, "log", "cat", "candles", "--data", str(data)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as cat:
        findings, counts = truth.judge_states([truth.Truth(v.truth_file, v.trades_file) for v in venues], cat.stdout)
    if cat.returncode != 0:
        raise AssertionError(f"log cat candles: exit code {cat.returncode}")
    if into is not None:
        into.update(counts)
    if findings:
        raise AssertionError("\n".join(map(str, findings)) + "\n" + str(dict(counts)))
    return counts


class Case(unittest.TestCase):
    """Each test has a scratch directory of its own, which TRUETAPE_KEEP leaves there; self.data below it does not exist yet."""

    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="truetape-live-"))
        if "TRUETAPE_KEEP" not in os.environ:
            self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.data = self.scratch / "data"


class Scenario:
    """What a case that runs beside others has of its own."""

    def __init__(self, name):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"truetape-{name}-"))
        self.data = self.folder / "data"


def side_by_side(cases, suite):
    """A TestCase with one method for each case; the first that runs starts all that were chosen, TRUETAPE_SIDE_BY_SIDE (4) at
    once: they mostly wait."""
    most = int(os.environ.get("TRUETAPE_SIDE_BY_SIDE", "4"))
    pool, futures = concurrent.futures.ThreadPoolExecutor(most), {}

    def play(name):
        scenario, began = Scenario(name), time.monotonic()
        try:
            cases[name](scenario)
        finally:
            print(f"  {name}: {time.monotonic() - began:.0f} s", flush=True)
            shutil.rmtree(scenario.folder, ignore_errors=True)

    def method(name):
        def test(self):
            try:
                futures[name].result()
            except BaseException as error:
                self.fail("".join(traceback.format_exception(error)))
        test.__doc__ = getattr(cases[name], "__doc__", None)
        return test

    class Tests(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            words = [w.rsplit(".", 1)[-1].removeprefix("test_") for w in sys.argv[1:] if "." in w]
            for name in cases:
                if not words or name in words:
                    futures[name] = pool.submit(play, name)

    for name in cases:
        setattr(Tests, f"test_{name}", method(name))
    Tests.__name__ = Tests.__qualname__ = suite
    return Tests


def main():
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(verbosity=2)
