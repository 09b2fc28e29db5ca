"""Workers, imports and a load of `truetape` on real brokers, to be killed, stopped and started again, and what the brokers say of
it meanwhile. All of one thread, if nothing else is said."""
import bisect
import collections
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import broker_state

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/app"))
from tt import BINARY  # noqa: E402

GUARD = 180  # seconds until something that must come is given up


class Place:
    """Where a run works: the log's URL, settings as --set takes them, a directory for what processes keep and say."""

    def __init__(self, bootstrap, prefix, directory, sets):
        self.bootstrap, self.prefix, self.directory, self.sets = bootstrap, prefix, directory, sets
        self.url, self.group = f"kafka://{bootstrap}/{prefix}", f"{prefix}.process"
        directory.mkdir(parents=True, exist_ok=True)

    def topic(self, name):
        return f"{self.prefix}.{name}"

    def command(self, name, *arguments):
        return [BINARY, *name.split(), "--data", self.url, *(x for s in self.sets for x in ("--set", s)), *map(str, arguments)]


def control(order):
    """What with_broker.py does to a broker: "kill 2", "start 2"."""
    host, port = os.environ["TRUETAPE_KAFKA_CONTROL"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=GUARD) as connection, connection.makefile("rw") as lines:
        lines.write(order + "\n")
        lines.flush()
        answer = lines.readline().strip()
    if answer != "ok":
        raise AssertionError(f"{order}: {answer or 'no answer'}")


class Process:
    """A process that does not outlive the thread that started it. What it says goes behind what it said before in a file."""

    def __init__(self, command, log):
        self.log, self.started, self._held = log, time.monotonic(), False
        with open(log, "ab") as out:
            self._begin = out.tell()
            self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def said(self):
        """Since it was started."""
        with open(self.log, "rb") as file:
            file.seek(self._begin)
            return file.read().decode(errors="replace")

    def code(self):
        """Its exit code; None while it runs."""
        return self._process.poll()

    def hold(self):
        """SIGSTOP; on return it stands still."""
        self._process.send_signal(signal.SIGSTOP)
        self._held = True
        stat = pathlib.Path(f"/proc/{self._process.pid}/stat")
        while self.code() is None and stat.read_text().rpartition(")")[2].split()[0] not in "TZ":
            time.sleep(0.001)

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)
        self._held = False

    def kill(self):
        """SIGKILL. False: it had ended by itself."""
        running = self.code() is None
        self._process.kill()
        self._process.wait(GUARD)
        return running

    def end(self):
        """SIGTERM; its exit code."""
        self._process.terminate()
        return self.wait()

    def wait(self, guard=GUARD):
        try:
            return self._process.wait(guard)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {guard} s: {' '.join(map(str, self._process.args))}; it said:\n"
                                 f"{self.said()[-4000:]}") from None


class Worker:
    """`truetape process` under one name, through all its lives."""

    def __init__(self, place, name):
        self.place, self.name, self.process = place, name, None
        self._log = place.directory / f"worker-{name}.log"

    @property
    def transactions(self):
        return f"{self.place.group}.{self.name}"

    def start(self, *more):
        self.process = Process(self.place.command("process", "--worker", self.name, "--state", self.place.directory / "state", *more), self._log)


class Imports(threading.Thread):
    """Imports one after another, as far as they are released. One that is killed is repeated, and one that fails while or after a
    broker was away in its life too. Its own thread; what is public may be used from the test's."""

    def __init__(self, place, all_arguments):
        super().__init__(name="imports", daemon=True)
        self._place, self._left, self._log = place, collections.deque(all_arguments), place.directory / "imports.log"
        self._changed, self._released, self._ended = threading.Condition(), 0, False
        self._process = self._error = None
        self._away = self._touched = False  # a broker is; was while this import ran
        self.killed = self.repeated = 0

    def release(self, count):
        with self._changed:
            self._released += count
            self._changed.notify_all()

    def outage(self, begins):
        """A broker is away from now on, or is back."""
        with self._changed:
            self._away = begins
            self._touched = self._touched or begins

    def left(self):
        """How many have neither been released nor done."""
        with self._changed:
            return max(len(self._left) - self._released, 0)

    def idle(self):
        """Everything that was released is done. Raises what went wrong."""
        with self._changed:
            if self._error:
                raise AssertionError(self._error)
            return self._released == 0 or not self._left

    def kill(self):
        """SIGKILL to the one that runs. False: none does."""
        process = self._process
        return bool(process) and process.code() is None and process.kill()

    def stop(self):
        """Without what is left; at the end of a test."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self.kill()
        self.join(GUARD)

    def run(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or (self._released and self._left))
                if self._ended:
                    return
                arguments = self._left[0]
            try:
                self._import(arguments)
            except (AssertionError, OSError) as error:
                with self._changed:
                    self._error, self._ended = str(error), True
                return
            with self._changed:
                self._left.popleft()
                self._released -= 1

    def _import(self, arguments):
        failures = 0
        while not self._ended:
            with self._changed:
                self._touched = self._away
            self._process = Process(self._place.command("import", "--no-wait", *arguments), self._log)
            code = self._process.wait(2 * GUARD)
            if code == 0:
                return
            if code == -signal.SIGKILL:
                self.killed += 1
                continue
            failures += 1
            self.repeated += 1
            if not self._touched or failures > 10:
                raise AssertionError(f"an import ended with {code}:\n{self._process.said()[-3000:]}")


class Watch(threading.Thread):
    """Looks again and again how far the group of workers has committed. Its own thread; what is public may be used from the
    test's."""

    EVERY = 0.02

    def __init__(self, place):
        super().__init__(name="watch", daemon=True)
        self._place, self._brokers, self._ended = place, broker_state.Brokers(place.bootstrap), threading.Event()
        self._lock, self._last, self._changes = threading.Lock(), {}, []  # of changes: time, partition, offset

    def run(self):
        while not self._ended.wait(self.EVERY):
            try:
                found = self._brokers.committed(self._place.group).get(self._place.topic("raw"), {})
            except OSError:
                continue  # its coordinator is away, or about to be another
            now = time.monotonic()
            with self._lock:
                for partition, offset in found.items():
                    if offset != self._last.get(partition):
                        self._changes.append((now, partition, offset))
                        self._last[partition] = offset

    def stop(self):
        self._ended.set()
        self.join(GUARD)
        self._brokers.close()

    def committed(self):
        with self._lock:
            return dict(self._last)

    def after(self, since, partitions):
        """When one of the partitions had its first new commit behind that time; None: not yet."""
        return next((at for at, partition, _ in self._since(since) if partition in partitions), None)

    def silence(self, since):
        """The longest time between two commits of one partition since then, in seconds."""
        longest, last = 0, {}
        for at, partition, _ in self._since(since):
            longest = max(longest, at - last.get(partition, since))
            last[partition] = at
        return longest

    def went_back(self):
        """What must not be: a position that became smaller, as a sentence; empty: none."""
        seen = {}
        for _, partition, offset in self._since(0):
            if offset < seen.get(partition, 0):
                return f"the position of partition {partition} went back from {seen[partition]} to {offset}"
            seen[partition] = offset
        return ""

    def _since(self, time_point):
        with self._lock:
            return self._changes[bisect.bisect_right(self._changes, time_point, key=lambda change: change[0]):]


def records(place, topic, committed):
    """(partition, offset, value) of every record of a topic, as kcat reads it: all that read_committed readers see, or the
    copies of aborted transactions too."""
    level = "read_committed" if committed else "read_uncommitted"
    command = ["kcat", "-b", place.bootstrap, "-C", "-t", place.topic(topic), "-o", "beginning", "-e", "-q",
               "-X", f"isolation.level={level}", "-f", "%p %o %S\n%s\n"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as reading:
        while line := reading.stdout.readline():
            partition, offset, size = map(int, line.split())
            yield partition, offset, reading.stdout.read(size + 1)[:-1]
    if reading.returncode:
        raise AssertionError(f"{' '.join(command)}: exit code {reading.returncode}")


def trade_identity(value):
    """(instrument, tape, era, order) of a trade's Avro value, the first fields of schemas/Trade behind the frame of 5 bytes;
    of trades that have an id."""
    at = 5

    def number():
        nonlocal at
        out = shift = 0
        while True:
            byte = value[at]
            at += 1
            out |= (byte & 127) << shift
            if byte < 128:
                return (out >> 1) ^ -(out & 1)
            shift += 7

    def text():
        nonlocal at
        size = number()
        at += size
        return value[at - size:at]
    instrument, tape, era = text(), number(), number()
    text()  # the id as the venue writes it
    return instrument, tape, era, number()
