"""The part `kafka` of bench/run.py: the log on real brokers (tests/kafka/kit.py), beside a bare transactional copy and beside Kafka
Streams, on the same brokers in the same run. Everything shares the machine: brokers, workers, and who appends and reads.

Workers are the role process on the log (kafka_bench work), each a process of its own; their CPU time is the kernel's, of all
their threads, from the first step to the last. What brokers use is told apart."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/kafka"), str(ROOT / "bench/kafka")]
import kit  # noqa: E402
import streams  # noqa: E402

INSTRUMENTS, PARTITIONS, COMMIT_MS, RATE = 8, 4, 50, 5000
TWO = "1s,1m"  # what Kafka Streams makes
TICK = os.sysconf("SC_CLK_TCK")


def load():
    return os.getloadavg()[0]


def fail(text):
    sys.exit(f"bench kafka: {text}; nothing is reported")


def cpu_of(pids):
    out = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        out += (int(fields[11]) + int(fields[12])) / TICK
    return out


class Kafka:
    def __init__(self, bench):
        self.bench, self.program = bench, bench.build / "kafka_bench"
        self.repeat, self.trades = bench.args.repeat, 2_000_000 // bench.scale
        self.names = 0

    def call(self, *words, wait=True):
        process = subprocess.Popen([str(word) for word in (self.program, *words)], stdout=subprocess.PIPE, text=True)
        return self.answer(process) if wait else process

    def answer(self, process):
        out, _ = process.communicate()
        if process.returncode:
            fail(f"{' '.join(process.args)} ended with {process.returncode}")
        return [json.loads(line) for line in out.splitlines()]

    def prefix(self, late=None, trades=None):
        """Topics of a log of its own; with `late`, full of frames."""
        self.names += 1
        name = f"bench{self.names}"
        self.call("topics", self.at, name, PARTITIONS)
        if late is not None:
            self.call("fill", self.at, name, trades or self.trades, INSTRUMENTS, late)
        return name

    def worked(self, count, late=0, intervals=""):
        """What `count` workers said who did all of a full log, one that joined late perhaps nothing; checked. And what the brokers used for it."""
        name = self.prefix(late)
        used = cpu_of(self.pids)
        workers = [self.call("work", self.at, name, f"w{i}", COMMIT_MS, intervals, 0, wait=False) for i in range(count)]
        said = [line for worker in workers for line in self.answer(worker)]
        used = cpu_of(self.pids) - used
        self.call("check", self.at, name, self.trades, INSTRUMENTS, *([intervals] if intervals else []))
        return said, used, name

    def cost(self, said):
        """µs of CPU a trade, over all workers."""
        worked = [s for s in said if s["trades"]]
        return sum(s["cpu_us_per_trade"] * s["trades"] for s in worked) / sum(s["trades"] for s in worked)

    def all(self):
        with kit.Cluster(1) as cluster:
            self.at, self.pids = cluster.bootstrap, [node.pid for node in cluster.nodes.values()]
            self.throughput()
            self.beside_streams()
            self.latency()
            self.restore()

    def throughput(self):
        rows, splits = {count: [] for count in (1, 2, 4)}, {}
        speed, floor, floor_cores, loads, brokers = [], [], [], [], []
        for _ in range(self.repeat):
            for count, costs in rows.items():
                loads.append(load())
                said, used, name = self.worked(count)
                costs.append(self.cost(said))
                splits[count] = " + ".join(f"{100 * line['trades'] / self.trades:.0f}" for line in said) + " % of the trades"
                if count == 1:
                    speed.append(said[0]["per_second"])
                    brokers.append(used * 1e6 / self.trades)
                    copy = self.call("copy", self.at, f"{name}.raw", f"{name}.quotes", f"{name}.copy", f"{name}.copy", COMMIT_MS, self.trades)[0]
                    floor.append(copy["per_second"])
                    floor_cores.append(copy["per_core_second"])
        note = f"8 instruments, 4 partitions, seven intervals, a commit each {COMMIT_MS} ms or 32,768 records; the broker used {statistics.median(brokers):.1f} µs of CPU a trade beside"
        self.add("raw → committed trades + candles, one worker", speed, "trades/s", "≥ 100 k", note, loads, statistics.median(speed) >= 1e5)
        self.add("bare transactional copy of the same topic (the floor)", floor, "records/s", "", f"{statistics.median(floor_cores) / 1e3:.0f} k in a second of CPU time", loads)
        self.add("a worker / the bare copy", [ours / bare for ours, bare in zip(speed, floor)], "×", "", "records of raw in a second, one after the other on the same broker", loads)
        one = statistics.median(rows[1])
        for count, costs in rows.items():
            ratio = statistics.median(costs) / one
            self.add(f"CPU of the workers a trade, {count} worker{'s' if count > 1 else ''}", costs, "µs", "" if count == 1 else "± 10 % of one", "" if count == 1 else f"{ratio:.2f} of one; they did {splits[count]}", loads, None if count == 1 else 0.9 <= ratio <= 1.1)

    def beside_streams(self):
        ours, theirs, loads = [], [], []
        said = streams.arguments(["throughput", "--instruments", str(INSTRUMENTS), "--partitions", str(PARTITIONS), "--commit-ms", str(COMMIT_MS), "--trades", str(self.trades)])
        for _ in range(self.repeat):
            loads.append(load())
            ours.append(1e6 / self.cost(self.worked(1, late=100, intervals=TWO)[0]))
            theirs.append(streams.measure("throughput", self.at, said)["trades_per_core_second"])
        self.add("1 % late, candles of 1 s and 1 m: a worker", ours, "trades", "", "in a second of its CPU time; trades, gaps and candles", loads)
        self.add("the same: Kafka Streams", theirs, "trades", "", "in a second of its CPU time, once the JVM is warm; candles alone, no doubled trade known, no gap", loads)
        self.add("a worker / Kafka Streams", [a / b for a, b in zip(ours, theirs)], "×", "> 1", "trades in a second of CPU time, one after the other on the same broker", loads, statistics.median(ours) > statistics.median(theirs))

    def latency(self):
        warm, seconds, times = 8, 20, max(self.repeat, 5)
        of, loads = {"candles": [], "trades": []}, []
        theirs = []
        said = streams.arguments(["latency", "--instruments", str(INSTRUMENTS), "--partitions", str(PARTITIONS), "--commit-ms", str(COMMIT_MS), "--rate", str(RATE), "--late", "0", "--seconds", str(seconds)])
        for _ in range(times):
            name = self.prefix()
            worker = self.call("work", self.at, name, "w", COMMIT_MS, "", warm + seconds + 4, wait=False)
            time.sleep(2)
            loads.append(load())
            for line in self.call("latency", self.at, name, RATE, warm, seconds):
                of[line["of"]].append(line)
            self.answer(worker)
            theirs.append(streams.measure("latency", self.at, said))
        for what, lines in of.items():
            for which, target in (("p50", 60), ("p99", 250)):
                values = [line[f"{which}_ms"] for line in lines]
                self.add(f"append → committed, {what}, {RATE // 1000} k trades/s: {which}", values, "ms", f"≤ {target} ms", f"a commit each {COMMIT_MS} ms; until a read_committed reader has it; no late trades", loads, statistics.median(values) <= target)
        for which in ("p50", "p99"):
            values = [line["from_send_ms"][which] for line in theirs]
            self.add(f"the same, candles: Kafka Streams, {which}", values, "ms", "", "candles of 1 s and 1 m; no late trades", loads)
            mine = [line[f"{which}_ms"] for line in of["candles"]]
            ratios = [b / a for a, b in zip(mine, values)]
            self.add(f"Kafka Streams / ours, {which}", ratios, "×", "> 1", "the same broker, in turn", loads, statistics.median(ratios) > 1)

    def restore(self):
        values, loads = [], []
        for _ in range(self.repeat):
            name = self.prefix()
            loads.append(load())
            values.append(self.call("restore", self.at, name, 1_000_000 // self.bench.scale)[0]["per_second"])
        self.add("state read back on assignment", values, "records/s", "≥ 300 k", "120 bytes each, in four partitions; from opening the Task to its first step", loads, statistics.median(values) >= 3e5)

    def add(self, *row):
        self.bench.run.add(*row)
