"""A drill's stage: a directory with a venue (`truetape sim`), a real `truetape run` kept by unit.py, disks and other programs.
What it knows lies in rig/state.json, so that `start`, `check` and `stop` can be separate commands."""
import contextlib
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/drills"
BINARY = pathlib.Path(os.environ.get("TRUETAPE", str(ROOT / "build/dev/truetape")))
SHIMS = ("systemctl", "journalctl", "timedatectl", "chronyc", "dmesg", "sudo", "chown", "curl", "iostat")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
CGROUPS = pathlib.Path("/sys/fs/cgroup")
BTC, ETH, SOL = "binance:BTCUSDT", "binance:ETHUSDT", "binance:SOLUSDT"


class NotPossible(Exception):
    """This machine cannot play the drill; the text says what lacks."""


def free_port():
    """Below those that the system gives out: it is bound a while later."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise NotPossible("no free port")


def born(pid):
    """When the process began, in the kernel's ticks: with the pid it names one process for ever. None: it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


@contextlib.contextmanager
def open_folder(path):
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield folder
    finally:
        os.close(folder)


class Rig:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.own = self.root / "rig"
        self.state = json.loads((self.own / "state.json").read_text()) if (self.own / "state.json").exists() else {}

    # ---- what it knows

    def save(self):
        fresh = self.own / "state.json.new"
        fresh.write_text(json.dumps(self.state, indent=1))
        fresh.rename(self.own / "state.json")

    def remember(self, **facts):
        self.state.setdefault("facts", {}).update(facts)
        self.save()

    def fact(self, name, otherwise=None):
        return self.state.get("facts", {}).get(name, otherwise)

    @property
    def data(self):
        return pathlib.Path(self.state["data"])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.state['port']}"

    @property
    def config(self):
        return self.root / "etc/truetape/truetape.toml"

    # ---- the directory

    @classmethod
    def make(cls, root, name):
        rig = cls(root)
        for folder in ("rig", "bin", "etc/truetape", "etc/systemd/system/truetape.service.d", "var/lib", "opt", "backups"):
            (rig.root / folder).mkdir(parents=True)
        rig.state = {"name": name, "port": free_port(), "data": str(rig.root / "var/lib/truetape"), "processes": {}, "mounts": [], "cgroups": [], "loops": []}
        rig.save()
        for shim in SHIMS:
            rig.shim(shim, f"exec {shlex.quote(sys.executable)} {shlex.quote(str(HERE / 'shims.py'))} {shim} {shlex.quote(str(rig.root))} \"$@\"")
        rig.shim("truetape", f"exec {shlex.quote(str(BINARY))} \"$@\"")
        (rig.root / "etc/truetape/environment").write_text("# TRUETAPE_READ_TOKEN, HTTPS_PROXY and the like\n")
        return rig

    def shim(self, name, command):
        file = self.root / "bin" / name
        file.write_text(f"#!/bin/sh\n{command}\n")
        file.chmod(0o755)

    def configure(self, instruments, venues=(), **settings):
        """truetape.toml; settings as serve__stale_after="5s"."""
        lines = ["# The drill's /etc/truetape/truetape.toml.", f'data = "{self.data}"', f"instruments = {json.dumps(list(instruments))}", ""]
        tables = {"serve": [f"port = {self.state['port']}"], "backfill": ['enabled = "no"']}
        for venue in venues:
            told = self.state["venues"][venue]
            tables[f"feed.{venue}"] = [f'stream_url = "{told["websocket"]}"', f'rest_url = "{told["rest"]}"', "quotes = []"]
        for key, value in settings.items():
            *table, name = key.replace("_usdm", "-usdm").split("__")
            text = json.dumps(value)
            rows = tables.setdefault(".".join(table), [])
            rows[:] = [row for row in rows if not row.startswith(f"{name} =")] + [f"{name} = {text}"]
        for table, rows in sorted(tables.items()):
            lines += ([f"[{table}]"] if table else []) + rows + [""]
        self.config.write_text("\n".join(lines))

    # ---- processes

    def spawn(self, name, *arguments, comm=None, environment=None, cgroups=()):
        """A process that stays when this one ends. Its output lies in rig/NAME.log."""
        def join():
            for group in cgroups:
                (pathlib.Path(group) / "cgroup.procs").write_text(str(os.getpid()))
        with open(self.own / f"{name}.log", "ab") as log:
            process = subprocess.Popen([*map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                                       env={**os.environ, **(environment or {})}, preexec_fn=join, cwd=self.root)
        self.state["processes"][name] = [process.pid, born(process.pid)]
        self.save()
        return process

    def colleague(self, name, kind, *arguments, cgroups=()):
        """One of the programs of colleagues.py, which the trainee meets under `name`."""
        script = self.root / "opt" / f"{name}.py"
        shutil.copy(HERE / "colleagues.py", script)
        return self.spawn(name, sys.executable, script, name, kind, *arguments, cgroups=cgroups)

    def runs(self, name):
        pid, began = self.state["processes"].get(name, (0, None))
        return began is not None and born(pid) == began

    def end(self, name, how=signal.SIGTERM, within=20):
        pid, began = self.state["processes"].get(name, (0, None))
        if began is None or born(pid) != began:
            return
        os.kill(pid, how)
        until = time.monotonic() + within
        while born(pid) == began:
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
            try:  # a child of this very process
                os.waitpid(pid, os.WNOHANG)
            except OSError:
                pass

    # ---- the venue

    def simulate(self, process, *arguments):
        """A simulator; the port where it listens."""
        log = self.own / f"{process}.log"
        self.spawn(process, BINARY, "sim", "--no-quotes", *arguments)
        self.wait("the venue listens", lambda: "ready venue=" in log.read_text() or not self.runs(process), 20)
        found = re.search(r"^ready .*rest=http://127\.0\.0\.1:(\d+)", log.read_text(), re.M)
        if not found:
            raise RuntimeError(f"the simulator did not start: {log.read_text()}")
        return int(found[1])

    def venue(self, *arguments, venue="binance", symbols="BTCUSDT,ETHUSDT,SOLUSDT", rate=6, **front):
        """Starts the simulator, and before it what lets the venue change while the tape goes on (front.py)."""
        backend = self.simulate(f"venue-{venue}", "--venue", venue, "--symbols", symbols, "--rate", rate, *arguments)
        told = {"port": free_port(), "backend": backend, "mode": "pass", **front}
        scheme = "https" if "certificate" in front else "http"
        self.state.setdefault("venues", {})[venue] = {"front": told, "rest": f"{scheme}://127.0.0.1:{told['port']}",
                                                      "websocket": f"{scheme.replace('http', 'ws')}://127.0.0.1:{told['port']}"}
        self.front(venue)
        self.spawn(f"front-{venue}", sys.executable, HERE / "front.py", self.own / f"front-{venue}.json")
        self.wait("the venue's front", lambda: (self.own / f"front-{venue}.json.done").exists(), 20)

    def front(self, venue="binance", **change):
        """Changes what the venue does."""
        told = self.state["venues"][venue]["front"]
        told.update(change)
        fresh = self.own / f"front-{venue}.json.new"
        fresh.write_text(json.dumps(told))
        fresh.rename(self.own / f"front-{venue}.json")
        self.save()

    # ---- truetape as a service

    def keep(self):
        """Starts the unit's keeper (unit.py), which starts truetape."""
        self.spawn("unit", sys.executable, HERE / "unit.py", self.root)
        self.wait("the unit's keeper listens", lambda: (self.own / "unit.sock").exists(), 20)

    def unit(self, *command):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(150)
            with open_folder(self.own) as folder:  # a path of its own may be too long for a socket
                s.connect(f"/proc/self/fd/{folder}/unit.sock")
            s.sendall(json.dumps(command).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                got = s.recv(1 << 16)
                if not got:
                    raise RuntimeError("the unit's keeper has ended")
                answer += got
        return json.loads(answer)

    def start_unit(self, ready=True):
        self.keep()
        self.unit("start")
        if ready:
            self.wait("truetape is ready", lambda: self.status("/health/ready") == 200, 60)

    def begin(self, *instruments, trades=20, more=(), venue=None, **settings):
        """The usual beginning: a venue that works, truetape on it, some trades, and what must not be lost noted."""
        self.venue(*more, **(venue or {}))
        self.configure(instruments or (BTC, ETH), ["binance"], **settings)
        self.start_unit()
        self.wait(f"{trades} trades", lambda: (self.metric("truetape_items_total", outcome="accepted") or 0) >= trades, 90)
        time.sleep(1)
        self.note()

    def note(self):
        """Notes what must still be there at the check."""
        import truths  # which reads the store by a Rig
        self.remember(**truths.treasures(self))

    # ---- asking truetape

    def get(self, path, method="GET", body=None, timeout=10):
        """Status and text; 0: it does not answer."""
        request = urllib.request.Request(self.url + path, method=method, data=body)
        try:
            with DIRECT.open(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, ValueError) as error:
            return 0, str(error)

    def status(self, path):
        return self.get(path)[0]

    def pipeline(self):
        status, text = self.get("/api/v1/pipeline")
        return json.loads(text)["rows"][0] if status == 200 else None

    def series(self):
        """All samples of /metrics as (name, {label: value}, number); [] if it does not answer."""
        status, text = self.get("/metrics")
        found = []
        for line in text.splitlines() if status == 200 else ():
            if line.startswith("#") or " " not in line:
                continue
            head, number = line.rsplit(" ", 1)
            name, _, labels = head.partition("{")
            pairs = dict(p.split("=", 1) for p in labels.rstrip("}").split('",') if "=" in p)
            found.append((name, {k: v.strip('"') for k, v in pairs.items()}, float(number)))
        return found

    def metric(self, name, **labels):
        """The sum of the series with these labels; None without any."""
        found = [number for n, has, number in self.series() if n == name and all(has.get(k) == v for k, v in labels.items())]
        return sum(found) if found else None

    def slow(self, histogram, before, q=0.99):
        """The quantile of what the histogram observed since `before`, what buckets() answered then; None: nothing."""
        now = self.buckets(histogram)
        rise = {le: count - before.get(le, 0) for le, count in now.items()}
        whole = rise.get("+Inf", 0)
        if whole <= 0:
            return None
        for le in sorted(rise, key=float):
            if rise[le] >= q * whole:
                return float(le)

    def buckets(self, histogram):
        out = {}
        for name, labels, number in self.series():
            if name == histogram + "_bucket":
                out[labels["le"]] = out.get(labels["le"], 0) + number
        return out

    def tool(self, *arguments, timeout=300):
        return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout)

    def journal(self):
        file = self.own / "journal"
        return file.read_text(errors="replace") if file.exists() else ""

    @staticmethod
    def wait(what, condition, within=60, every=0.2):
        end = time.monotonic() + within
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > end:
                raise RuntimeError(f"it did not come to this within {within} s: {what}")
            time.sleep(every)

    # ---- disks and shares of the machine

    def disk(self, megabytes, kind="tmpfs"):
        """A file system of its own at disk/, on which the data directory then lies."""
        if os.geteuid() != 0:
            raise NotPossible("a disk of its own needs root (mount)")
        place = self.root / (f"disk{len(self.state['mounts'])}" if self.state["mounts"] else "disk")
        place.mkdir()
        if kind == "tmpfs":
            command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "truetape-drill", place]
        else:
            image = self.own / f"{place.name}.img"
            with open(image, "wb") as file:
                file.truncate(megabytes << 20)
            # Without a journal: what is written for the program is written by the program, so that its share counts.
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image], check=True)
            command = ["mount", "-o", "loop", image, place]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise NotPossible(f"mount: {done.stderr.strip()}")
        self.state["mounts"].append(str(place))
        if len(self.state["mounts"]) == 1:
            self.state["data"] = str(place / "truetape")
        self.save()
        return place

    def share(self, controller, **settings):
        """A control group with these settings, such as share("cpu", cpu__cfs_quota_us=20000)."""
        group = CGROUPS / controller / f"truetape-drill-{os.getpid()}-{len(self.state['cgroups'])}"
        try:
            group.mkdir()
            for key, value in settings.items():
                (group / key.replace("__", ".")).write_text(str(value))
        except OSError as error:
            raise NotPossible(f"control group {controller}: {error}") from None
        self.state["cgroups"].append(str(group))
        self.save()
        return group

    # ---- the end

    def stop(self):
        for name in [n for n in self.state["processes"] if n != "unit"]:
            if name.startswith("scene"):
                self.end(name)
        if self.runs("unit"):
            self.end("unit", within=60)
        for name in list(self.state["processes"]):
            self.end(name, signal.SIGTERM)
        for place in reversed(self.state["mounts"]):
            subprocess.run(["umount", "-l", place], capture_output=True)
        for group in self.state["cgroups"]:
            for _ in range(20):
                try:
                    os.rmdir(group)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.1)
        if any(os.path.ismount(place) for place in self.state["mounts"]):
            raise RuntimeError(f"a disk is still in use, end what uses it: {self.state['mounts']}")
        shutil.rmtree(self.root)
