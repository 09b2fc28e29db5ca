"""The part `live` of bench/run.py: `truetape sim` → `truetape run` → WebSocket and REST, over real sockets of this machine.

Load comes from bench/live/load.cc and from the simulator; what they cost is told beside each number. Threads of run are
told apart by their names, their CPU time is the kernel's (schedstat, ns)."""
import json
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PARTS = ("latency", "quiet", "tickers", "first", "most", "outage", "rest", "soak")


def load_average():
    return float(pathlib.Path("/proc/loadavg").read_text().split()[0])


def fail(text):
    sys.exit(f"bench live: {text}; nothing is reported")


def cpu_of(pid):
    """CPU seconds by thread name."""
    out = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            out[name] = out.get(name, 0) + int((task / "schedstat").read_text().split()[0]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            pass
    return out


def resident(pid):
    """RssAnon in MB."""
    found = re.search(r"RssAnon:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
    return int(found.group(1)) / 1000


def ask(url):
    with DIRECT.open(url, timeout=60) as answer:
        return json.loads(answer.read())


class Process:
    """A child that is ended with the block."""

    def __init__(self, command, log, cpus=None):
        command = [str(c) for c in command]
        if cpus is not None:
            command = ["taskset", "-c", str(cpus), *command]
        self.log = open(log, "w+")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()
        self.log.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def text(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def alive(self):
        if self.process.poll() is not None:
            fail(f"{self.process.args[:3]} ended with {self.process.returncode}: {self.text()[-1500:]}")
        return True


class Sim(Process):
    def __init__(self, live, *options):
        super().__init__([live.truetape, "sim", *options], live.scratch / "sim.log")
        while not (found := re.search(r"^ready .*rest=(\S+) websocket=(\S+) instruments=(\d+) symbols=(\S+)", self.text(), re.M)):
            self.alive()
            time.sleep(0.02)
        self.rest, self.websocket, self.symbols = found.group(1), found.group(2), found.group(4).split(",")


class Run(Process):
    def __init__(self, live, sim, instruments, data, sets=(), cpus=None, ready=True):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [live.truetape, "run", *instruments, "--data", data]
        for setting in (f"serve.port={self.port}", f"feed.binance.stream_url={sim.websocket}", f"feed.binance.rest_url={sim.rest}", *sets):
            command += ["--set", setting]
        self.began_ns = time.time_ns()
        super().__init__(command, live.scratch / "run.log", cpus)
        while ready and not self.ready():
            time.sleep(0.05)

    def ready(self):
        self.alive()
        try:
            with DIRECT.open(self.url + "/health/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def get(self, path):
        with DIRECT.open(self.url + path, timeout=30) as answer:
            return answer.read().decode()

    def metric(self, name, labels=""):
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.get("/metrics").splitlines()
                   if line.startswith(name) and line[len(name)] in "{ " and labels in line)

    def accepted(self):
        return self.metric("truetape_items_total", 'outcome="accepted"')


class Used:
    """CPU of some processes over a time, in cores."""

    def __init__(self, **processes):
        self.processes = processes
        self.before = {name: cpu_of(p.pid) for name, p in processes.items()}
        self.began = time.monotonic()

    def end(self):
        taken = time.monotonic() - self.began
        return {name: {thread: (spent - self.before[name].get(thread, 0)) / taken for thread, spent in cpu_of(p.pid).items()}
                for name, p in self.processes.items()}


def shares(threads):
    return ", ".join(f"{name} {cores:.2f}" for name, cores in sorted(threads.items(), key=lambda x: -x[1]) if cores >= 0.005)


class Live:
    def __init__(self, bench):
        self.bench, self.run = bench, bench.run
        self.truetape, self.load_driver = bench.build / "truetape", bench.build / "live_load"
        self.scratch = bench.fresh("live")
        self.seconds = 8 if bench.args.quick else 20

    def data(self, name):
        shutil.rmtree(self.scratch / name, ignore_errors=True)
        return self.scratch / name

    def drive(self, *words, cpus=None):
        command = [str(w) for w in (self.load_driver, *words)]
        done = subprocess.run(["taskset", "-c", str(cpus), *command] if cpus is not None else command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            fail(f"{' '.join(command[:2])}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def sync(self):
        return self.bench.pipe("fdatasync", "sync", times=1)[0][0]

    def all(self, parts):
        for part in parts:
            getattr(self, part)()

    def tool(self, *words):
        return subprocess.run([str(w) for w in (self.truetape, *words)], check=True, capture_output=True, text=True).stdout

    @staticmethod
    def rows_of(data, sql):
        """The first value; None if the store has no such table."""
        db = sqlite3.connect(f"file:{data / 'store.db'}?mode=ro", uri=True)
        try:
            return db.execute(sql).fetchone()[0]
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return None
        finally:
            db.close()

    def tickers(self):
        from live import tickers
        tickers.measure(self)

    def outage(self):
        from live import catch_up
        catch_up.measure(self)

    # ---- frame → candle update, and what run costs meanwhile

    def latency(self):
        for name, rate, quotes, sets, p50, p99 in (
                ("20 k trades/s, 10 instruments", 20_000, False, [], 4, 15),
                ("20 k trades/s, 10 instruments, commit spacing 0", 20_000, False, ["log.commit_spacing=0ms"], 2, None),
                ("20 k trades/s and 12 k quotes/s, 10 instruments", 20_000, True, [], None, None),
                ("1 k trades/s, 10 instruments", 1_000, False, [], None, None)):
            found, loads, before = [], [], self.sync()
            for _ in self.bench.repeated():
                loads.append(load_average())
                with Sim(self, "--symbols", 10, "--rate", rate, "--seed", 7, "--shift", "now", *([] if quotes else ["--no-quotes"])) as sim:
                    names = [f"binance:{s}" for s in sim.symbols]
                    with Run(self, sim, names, self.data("latency"), sets) as run:
                        while run.accepted() < rate:
                            time.sleep(0.2)
                        used, at, clock = Used(run=run, sim=sim), run.accepted(), time.monotonic()
                        one = self.drive("follow", "--venue", sim.websocket, "--serve", run.url, "--symbols", ",".join(sim.symbols), "--channel", "candles:1m",
                                         "--warm", 3, "--for", self.seconds)
                        one["rate"] = (run.accepted() - at) / (time.monotonic() - clock)
                        one["used"] = used.end()
                        one["behind"] = run.metric("truetape_role_behind_records", 'role="process"')
                        if one["uncovered"] > rate:
                            fail(f"{one['uncovered']} trades were in no candle at the end")
                        if gaps := json.loads(run.get("/api/v1/gaps?from=0&limit=100"))["rows"]:
                            fail(f"there are gaps, so the numbers are of something else: {gaps[:2]}")
                        found.append(one)
            after = self.sync()
            middle = sorted(found, key=lambda one: one["p50_ms"])[len(found) // 2]
            came = min(one["rate"] for one in found)
            full = came >= 0.95 * rate  # else the machine was too busy for the load itself, and nothing is judged
            note = (("" if full else f"**only {came:.0f} trades/s came**; ") + f"fdatasync of 4 KB {before:.2g} ms before, {after:.2g} ms after; p90 {middle['p90_ms']:.2g}, p99.9 {middle['p999_ms']:.3g}, most {middle['max_ms']:.3g} ms; "
                    f"{middle['updates'] / middle['seconds']:.0f} updates/s; {middle['ahead'] / max(1, middle['trades']):.1%} of the trades were shown before our own connection had them; "
                    f"cores: run {sum(middle['used']['run'].values()):.2f}, load driver {middle['own_cpu']:.2f}, simulator {sum(middle['used']['sim'].values()):.2f}")
            for which, target in (("p50", p50), ("p99", p99)):
                values = [one[which + "_ms"] for one in found]
                self.run.add(f"frame → candle on the WebSocket, {name}, {which}", values, "ms", f"≤ {target} ms" if target else "", note if which == "p50" else "", loads,
                             statistics.median(values) <= target if target and full else None)
            cores = [sum(v for k, v in one["used"]["run"].items() if self.is_ingest(k) or self.is_process(k)) for one in found]
            target = 0.3 if rate == 20_000 and not quotes and not sets else None
            self.run.add(f"CPU of ingest and process, {name}", cores, "cores", f"≤ {target}" if target else "", "all threads: " + shares(middle["used"]["run"]), loads,
                         statistics.median(cores) <= target if target and full else None)

    @staticmethod
    def is_ingest(thread):
        return "ingest" in thread

    @staticmethod
    def is_process(thread):
        return "process" in thread

    def quiet(self):
        """3,000 symbols, one trade in ten seconds among all of them."""
        found, loads = [], []
        for _ in self.bench.repeated():
            loads.append(load_average())
            with Sim(self, "--symbols", 3000, "--rate", 0.1, "--seed", 7, "--shift", "now", "--no-quotes") as sim:
                listing = json.loads(DIRECT.open(sim.rest + "/api/v3/exchangeInfo", timeout=60).read())
                names = [f"binance:{s['symbol']}" for s in listing["symbols"]]
                with Run(self, sim, names, self.data("quiet")) as run:
                    def confirmed():
                        feeds = json.loads(run.get("/api/v1/pipeline"))["rows"][0]["feeds"]
                        return sum(c["confirmed"] for f in feeds for c in f["connections"])
                    while confirmed() < len(names):
                        run.alive()
                        time.sleep(0.5)
                    time.sleep(5)
                    used = Used(run=run)
                    time.sleep(self.seconds)
                    found.append(used.end()["run"])
        self.run.add(f"CPU of run, {len(names)} quiet symbols", [sum(f.values()) for f in found], "cores", "≤ 0.05", shares(found[-1]), loads,
                     statistics.median(sum(f.values()) for f in found) <= 0.05)

    def first(self):
        """From the start of the process to the first open candle at a client that waits for it."""
        for what in ("fresh directory", "10 s of trades there"):
            values, listens, loads = [], [], []
            for _ in self.bench.repeated():
                loads.append(load_average())
                data = self.data("first")
                with Sim(self, "--symbols", 10, "--rate", 2000, "--seed", 7, "--shift", "now", "--no-wait") as sim:
                    names = [f"binance:{s}" for s in sim.symbols]
                    time.sleep(2)  # the simulator is silent for its first second
                    if what != "fresh directory":
                        with Run(self, sim, names, data) as run:
                            while run.accepted() < 20_000:
                                run.alive()
                                time.sleep(0.2)
                    with Run(self, sim, names, data, ready=False) as run:
                        one = self.drive("first", "--serve", run.url, "--instrument", names[0], "--channel", "candles:1m")
                        values.append((one["open_ns"] - run.began_ns) / 1e9)
                        listens.append((one["listens_ns"] - run.began_ns) / 1e9)
            self.run.add(f"start → first open candle, {what}", values, "s", "≤ 1 s", f"listens after {statistics.median(listens):.2f} s", loads, statistics.median(values) <= 1)

    def most(self):
        """As fast as it takes them."""
        found, loads = [], []
        for _ in self.bench.repeated():
            loads.append(load_average())
            with Sim(self, "--symbols", 10, "--rate", 20_000, "--seed", 7, "--speed", "max", "--no-quotes", "--keep", 1000) as sim:
                names = [f"binance:{s}" for s in sim.symbols]
                with Run(self, sim, names, self.data("most"), ["rule.future.tolerance=3650d"]) as run:
                    while run.accepted() < 200_000:
                        run.alive()
                        time.sleep(0.1)
                    used, at, began = Used(run=run, sim=sim), run.accepted(), time.monotonic()
                    time.sleep(self.seconds)
                    rate = (run.accepted() - at) / (time.monotonic() - began)
                    gaps = json.loads(run.get("/api/v1/gaps?from=0&limit=100"))["rows"]
                    if gaps:
                        fail(f"there are gaps: {gaps[:2]}")
                    behind = {role: run.metric("truetape_role_behind_records", f'role="{role}"') for role in ("process", "load")}
                    found.append((rate, used.end(), behind))
        rate, used, behind = sorted(found, key=lambda f: f[0])[len(found) // 2]
        self.run.add("trades that run takes from a venue without a limit", [f[0] for f in found], "trades/s", "",
                     f"cores: {shares(used['run'])}; simulator {sum(used['sim'].values()):.2f}; behind: {', '.join(f'{k} {v:.0f}' for k, v in behind.items())} records", loads)

    def rest(self):
        """Twelve 5-minute candles; run on one core, the driver on the other."""
        with Sim(self, "--symbols", 1, "--rate", 2, "--seed", 7, "--speed", 600, "--length", "70m", "--linger", "forever") as sim:
            name = f"binance:{sim.symbols[0]}"
            with Run(self, sim, [name], self.data("rest"), ["rule.future.tolerance=1d"], cpus=0) as run:
                path = f"/api/v1/candles?instrument={name}&interval=5m&limit=12"
                last = ""
                while len(json.loads(run.get(path))["rows"]) < 12 or last != (last := run.get("/api/v1/progress")):
                    run.alive()
                    time.sleep(1)
                for connections, target_p99, target_rate in ((1, 1, None), (16, None, 20_000)):
                    found, loads = [], []
                    for _ in self.bench.repeated():
                        loads.append(load_average())
                        used = Used(run=run)  # the warm-up, in which as much is asked, and the start of the driver included
                        one = self.drive("rest", "--serve", run.url, "--path", path, "--connections", connections, "--for", self.seconds / 2, cpus=1)
                        one["used"] = used.end()["run"]
                        one["run"] = sum(one["used"].values())
                        one["per_core"] = one["per_second"] / one["used"]["serve"]
                        found.append(one)
                    one = found[-1]
                    note = (f"{one['bytes']} bytes an answer; cores: run {one['run']:.2f} ({shares(one['used'])}), load driver {one['own_cpu']:.2f}; "
                            f"p50 {one['p50_ms']:.3f} ms, p99.9 {one['p999_ms']:.3f} ms; {one['per_core'] / 1000:.0f} k requests in a CPU second of serve")
                    values = [f["p99_ms"] for f in found]
                    self.run.add(f"twelve 5-minute candles over REST, {connections} connection{'s' if connections > 1 else ''}, p99", values, "ms",
                                 f"≤ {target_p99} ms" if target_p99 else "", note, loads, statistics.median(values) <= target_p99 if target_p99 else None)
                    values = [f["per_second"] for f in found]
                    self.run.add(f"twelve 5-minute candles over REST, {connections} connection{'s' if connections > 1 else ''}", values, "requests/s",
                                 f"≥ {target_rate} on one core" if target_rate else "", "", loads, statistics.median(values) >= target_rate if target_rate else None)

    def soak(self):
        """RssAnon over time, with faults; each sample is in build/live-memory.csv."""
        minutes = self.bench.args.minutes
        samples = []
        root = pathlib.Path(__file__).resolve().parents[2]
        with Sim(self, "--symbols", 10, "--rate", 2000, "--seed", 7, "--shift", "now", "--keep", 100_000, "--scenario", root / "examples/scenarios/bad-day.toml") as sim:
            names = [f"binance:{s}" for s in sim.symbols]
            with Run(self, sim, names, self.data("soak"), ["log.size=1GB"]) as run:
                stop = threading.Event()

                def watch():  # a page that looks on
                    while not stop.is_set():
                        subprocess.run([str(self.load_driver), "first", "--serve", run.url, "--instrument", names[0], "--channel", "candles:1m"], capture_output=True)
                        stop.wait(2)
                watcher = threading.Thread(target=watch)
                watcher.start()
                try:
                    began = time.monotonic()
                    used = Used(run=run)
                    while time.monotonic() - began < minutes * 60:
                        run.alive()
                        samples.append((time.monotonic() - began, resident(run.pid)))
                        time.sleep(min(5, minutes * 60 / 60))
                    trades, gaps = run.accepted(), len(json.loads(run.get("/api/v1/gaps?from=0&limit=10000"))["rows"])
                    spent = used.end()["run"]
                finally:
                    stop.set()
                    watcher.join()
        third = max(1, len(samples) // 3)
        parts = [statistics.median(m for _, m in part) for part in (samples[:third], samples[third:2 * third], samples[2 * third:])]
        (root / "build/live-memory.csv").write_text("seconds,rss_anon_mb\n" + "".join(f"{t:.0f},{m:.1f}\n" for t, m in samples))
        self.run.add(f"RssAnon of run, {minutes:g} minutes of a bad day, 10 instruments, 2 k trades/s", [max(m for _, m in samples)], "MB", "flat",
                     f"medians of its thirds: {', '.join(f'{p:.0f}' for p in parts)} MB; {trades:.0f} trades, {gaps} gaps; cores: {shares(spent)}", [load_average()],
                     parts[2] <= parts[1] * 1.1 + 5)
