#!/usr/bin/env python3
"""Kafka Streams making candles of 1 s and 1 m (bench/kafka/streams), exactly once: how many trades in a second of its CPU time,
and how long a trade takes to be in a committed candle. Content first: its candles must be those that Python makes of the same
frames with exact decimals, else there are no numbers.

usage: bench/kafka/streams.py throughput|latency [--bootstrap HOST:PORT,…] [--nodes 1|3] [--commit-ms N] [--store memory|rocksdb]
           [--instruments N] [--partitions N] [--late EVERY] [--trades N] [--rate N] [--warm SECONDS] [--seconds SECONDS]
Without --bootstrap it starts brokers of its own (tests/kafka/kit.py) and stops them. Prints one line of JSON.
"""
import argparse
import contextlib
import decimal
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/kafka"))
import kit  # noqa: E402

SOURCES = ROOT / "bench/kafka/streams/src"
PLACE = ROOT / ".tools/kafka-streams"  # tools/setup.sh bench puts the jars there
RECORDING = ROOT / "examples/captures/binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst"
LOGGING = ROOT / "tests/kafka/tools-log4j.properties"
TICK = os.sysconf("SC_CLK_TCK")
WARM_SHARE = 0.3  # of the trades of a throughput run: what the JVM compiles meanwhile is not measured


class Wrong(Exception):
    """Its candles are not the right ones, or it did not come to an end. There are no numbers."""


def build():
    """Compiles what changed; the directory of the classes."""
    files = sorted(SOURCES.glob("*.java"))
    if not list(PLACE.glob("lib/kafka-streams-*.jar")) or not shutil.which("javac"):
        raise Wrong("Kafka Streams or javac is not there: ./dev setup bench")
    stamp = hashlib.sha256(b"".join(file.read_bytes() for file in [*files, PLACE / "pom.xml"])).hexdigest()[:16]
    classes = PLACE / f"classes-{stamp}"
    if not classes.exists():
        fresh = pathlib.Path(tempfile.mkdtemp(dir=PLACE))
        subprocess.run(["javac", "-nowarn", "-d", fresh, "-cp", f"{PLACE}/lib/*", *files], check=True)
        for old in PLACE.glob("classes-*"):
            shutil.rmtree(old)
        fresh.rename(classes)
    return classes


def java(classes, main, *words, heap):
    return ["setpriv", "--pdeathsig", "KILL", "java", f"-Xmx{heap}", "-XX:+UseG1GC", f"-Dlog4j.configuration=file:{LOGGING}",
            "-cp", f"{classes}:{PLACE}/lib/*", main, *map(str, words)]


class Driver:
    """Drive.java on one cluster."""

    def __init__(self, bootstrap):
        self.bootstrap, self.classes = bootstrap, build()

    def start(self, *words):
        return subprocess.Popen(java(self.classes, "Drive", self.bootstrap, *words, heap="1g"), stdout=subprocess.PIPE, text=True)

    def lines(self, *words):
        process = self.start(*words)
        yield from process.stdout
        if process.wait():
            raise Wrong(f"Drive {words[0]} ended with {process.returncode}")

    def run(self, *words):
        for _ in self.lines(*words):
            pass


class Streams:
    """A process of Candles.java, in a state directory of its own."""

    def __init__(self, driver, application, source, target, commit_ms, store, until=0):
        self.state = tempfile.TemporaryDirectory(prefix="truetape-streams-")
        self.process = subprocess.Popen(
            java(driver.classes, "Candles", driver.bootstrap, application, source, target, commit_ms, store, self.state.name, until,
                 heap="1g"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processed, self.running, self.done = 0, threading.Event(), threading.Event()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            word, _, number = line.strip().partition(" ")
            if word == "processed":
                self.processed = int(number)
            elif word == "running":
                self.running.set()
            elif word == "done":
                self.done.set()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0] is not None:
            self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()  # closes it, if it is not closed
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.state.cleanup()

    def wait(self, what, condition, guard=600):
        end = time.monotonic() + guard
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Wrong(f"Kafka Streams did not come to this: {what} ({self.processed} trades processed)")
            time.sleep(0.01)

    def cpu(self):
        """Seconds of CPU time of all its threads."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK


def tape(directory):
    """The recording's trades as Tape.java reads them."""
    file = pathlib.Path(directory) / "tape"
    with open(file, "w") as out:
        for line in subprocess.run(["zstd", "-dcq", RECORDING], check=True, capture_output=True, text=True).stdout.splitlines():
            frame = line.partition(" ")[2]
            if frame.startswith('{"stream":"btcusdt@trade"'):
                trade = json.loads(frame)["data"]
                out.write(f"{trade['T']} {trade['p']} {trade['q']} {str(trade['m']).lower()}\n")
    return file


def truth(frames):
    """The candles of the frames, by key, the plainest way: open and close by id, all in exact decimals."""
    candles = {}
    for frame in frames:
        data = json.loads(frame)["data"]
        if data["e"] != "trade":
            continue
        price, quantity, at, number = decimal.Decimal(data["p"]), decimal.Decimal(data["q"]), data["T"], data["t"]
        for name, size in (("1s", 1000), ("1m", 60_000)):
            key = f"{data['s']}:{name}:{at - at % size}"
            candle = candles.get(key)
            if candle is None:
                candles[key] = [price, price, price, price, quantity, 1, number, number]
                continue
            if number < candle[6]:
                candle[0], candle[6] = price, number
            candle[1], candle[2] = max(candle[1], price), min(candle[2], price)
            if number > candle[7]:
                candle[3], candle[7] = price, number
            candle[4] += quantity
            candle[5] += 1
    return candles


def check(driver, source, target):
    """Numbers of candles and of the records they took; Wrong if the last of each key is not the true one."""
    right = truth(driver.lines("frames", source))
    last, records = {}, 0
    for line in driver.lines("candles", target):
        key, *values = line.split()
        last[key] = values
        records += 1
    for key, candle in right.items():
        if key not in last:
            raise Wrong(f"there is no candle {key} of {len(right)}")
        if [decimal.Decimal(value) for value in last[key]] != candle[:6]:
            raise Wrong(f"candle {key} is {last[key]}, must be {[str(value) for value in candle[:6]]}")
    if len(last) != len(right):
        raise Wrong(f"{len(last) - len(right)} candles too many, as {next(iter(last.keys() - right.keys()))}")
    return {"candles": len(right), "candle_records": records}


def throughput(driver, name, source, target, said, directory):
    """A topic full of trades, from the start until all is committed. The first WARM_SHARE of them warm the JVM up."""
    driver.run("fill", source, tape(directory), said.instruments, said.late, said.trades)
    with Streams(driver, name, source, target, said.commit_ms, said.store, said.trades) as streams:
        begun = time.monotonic()
        streams.wait("warm", lambda: streams.processed >= said.trades * WARM_SHARE)
        first, cpu, at = streams.processed, streams.cpu(), time.monotonic()
        streams.wait("all committed", streams.done.is_set)
        end, now = streams.cpu(), time.monotonic()
    checked = check(driver, source, target)
    return {"trades_per_core_second": (said.trades - first) / (end - cpu), "trades_per_second": (said.trades - first) / (now - at),
            "cores": (end - cpu) / (now - at), "whole_trades_per_core_second": said.trades / end, "whole_seconds": now - begun, **checked}


def latency(driver, name, source, target, said, directory):
    """Trades at a steady rate; the first --warm seconds are not measured."""
    with Streams(driver, name, source, target, said.commit_ms, said.store) as streams:
        streams.wait("running", streams.running.is_set)
        drive = driver.start("pace", source, tape(directory), said.instruments, said.late, said.rate, said.warm, said.seconds, target)
        answer = None
        for line in drive.stdout:
            if line.startswith("warm"):
                cpu, at = streams.cpu(), time.monotonic()
            elif line.startswith("sent"):
                cores = (streams.cpu() - cpu) / (time.monotonic() - at)
            else:
                answer = json.loads(line)
        if drive.wait() or not answer:
            raise Wrong(f"Drive pace ended with {drive.returncode}")
        streams.wait("all processed", lambda: streams.processed >= said.rate * (said.warm + said.seconds))
        streams.process.stdin.close()  # it commits the late trades that came last
        streams.wait("closed", streams.done.is_set)
    return {**answer, "cores": cores, **check(driver, source, target)}


def measure(what, bootstrap, said):
    """One run on the brokers at `bootstrap`, in topics of its own, which are deleted in the end. `said`: as main() reads it."""
    driver = Driver(bootstrap)
    name = f"streams-{what}-{os.getpid()}-{time.monotonic_ns()}"
    source, target = f"{name}-trades", f"{name}-candles"
    driver.run("create", said.partitions, source, target)
    before = os.getloadavg()[0]
    try:
        with tempfile.TemporaryDirectory(prefix="truetape-streams-") as directory:
            found = {"throughput": throughput, "latency": latency}[what](driver, name, source, target, said, directory)
    finally:
        driver.run("delete", name)
    settings = {key: getattr(said, key) for key in ("commit_ms", "store", "instruments", "partitions", "late")}
    settings |= {"trades": said.trades} if what == "throughput" else {"rate": said.rate, "seconds": said.seconds}
    return {"what": what, **settings, **found, "load_before": before, "load_after": os.getloadavg()[0]}


def arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("throughput", "latency"))
    parser.add_argument("--bootstrap")
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1)
    parser.add_argument("--commit-ms", type=int, default=50)
    parser.add_argument("--store", choices=("memory", "rocksdb"), default="memory")
    parser.add_argument("--instruments", type=int, default=8)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--late", type=int, default=100, help="every n-th trade comes 1 to 8 s late; 0: none")
    parser.add_argument("--trades", type=int, default=2_000_000)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--warm", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=20)
    return parser.parse_args(words)


def main():
    said = arguments()
    if said.bootstrap:
        found = measure(said.what, said.bootstrap, said)
    else:
        with kit.Cluster(said.nodes) as cluster:
            found = measure(said.what, cluster.bootstrap, said)
    print(json.dumps({key: round(value, 3) if isinstance(value, float) else value for key, value in found.items()}))


if __name__ == "__main__":
    try:
        main()
    except (Wrong, kit.KitError) as error:
        sys.exit(f"bench: {error}")
