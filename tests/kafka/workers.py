"""Logs on the brokers that with_broker.py runs beside, the processes of truetape that work on them, and what is imported."""
import contextlib
import csv
import io
import os
import re
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request

import tt

BROKERS = os.environ["TRUETAPE_KAFKA"]
GUARD = 60  # seconds until what must come is given up
LISTEN = ("--listen", "127.0.0.1:0")


def recorded(file, lines, first=0):
    """Lines of a packed recording, from its `first`."""
    with subprocess.Popen(["zstd", "-dcq", file], stdout=subprocess.PIPE, text=True) as unpack:
        for _ in range(first):
            unpack.stdout.readline()
        text = "".join(unpack.stdout.readline() for _ in range(lines))
        unpack.kill()
    return text


def until(what, look, process=None):
    """What look() answers once that is true. `process`: a Process that must not end meanwhile."""
    end = time.monotonic() + GUARD
    while not (answer := look()):
        if process is not None and process.process.poll() is not None:
            raise AssertionError(f"{what}: exit code {process.process.poll()}\n{process.told()}")
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {GUARD} s" + (f"\n{process.told()}" if process else ""))
        time.sleep(0.05)
    return answer


class Log:
    """One on Kafka: its URL, its configuration file, a store, and a directory for what its processes keep."""

    def __init__(self, prefix, scratch, **kafka):
        self.prefix, self.data = prefix, f"kafka://{BROKERS}/{prefix}"
        self.scratch = scratch / prefix
        self.scratch.mkdir()
        self.config, self.db = self.scratch / "config.toml", self.scratch / "store.db"
        self.configure(**kafka)

    def configure(self, **kafka):
        lines = [f'{key} = "{value}"' for key, value in kafka.items()]
        self.config.write_text("\n".join(['intervals = ["1s", "1m", "5m"]', "[log]", "partitions = 2", "[kafka]", *lines, ""]))

    def topic(self, name):
        return f"{self.prefix}.{name}"

    def run(self, *command, expect=0, config=None):
        return tt.run(*command, "--data", self.data, "--config", config or self.config, expect=expect)

    def load(self):
        """All that workers have made, into the store."""
        return self.run("load", "--drain", "--store", f"sqlite:{self.db}", "--worker", "once")

    def rows(self, kind, *more):
        """Of the store, by `truetape query`."""
        return list(csv.DictReader(io.StringIO(self.run("query", kind, "--store", f"sqlite:{self.db}", "--format", "csv", *more))))

    def stored(self, sql):
        """The store as any SQLite tool reads it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.db}?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    def worker(self, name):
        return Process("process", self, name, "--state", self.scratch / "state", *LISTEN)

    def loader(self, name):
        return Process("load", self, name, "--store", f"sqlite:{self.db}", *LISTEN)


class Process:
    """A truetape that runs until it is ended; `words` are its command and more arguments."""

    def __init__(self, command, log, name, *words, file=None):
        self.file = log.scratch / f"{file or f'{command}.{name}'}.log"
        line = [tt.BINARY, command, "--data", log.data, "--config", log.config, "--worker", name, *words]
        with open(self.file, "a") as told:
            self.process = subprocess.Popen([str(word) for word in line], stdin=subprocess.DEVNULL, stdout=told, stderr=told)

    def told(self):
        return self.file.read_text()

    def ready(self):
        until(self.file.stem, lambda: "\nready kafka://" in "\n" + self.told(), self)
        return self

    def ask(self, path):
        """Status and text of /metrics, /health/ready …, of one that listens."""
        origin = re.findall(r"^ready kafka://.* (http://[0-9.:]+)/$", self.told(), flags=re.M)[-1]
        try:
            with urllib.request.urlopen(origin + path, timeout=GUARD) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()

    def metric(self, series):
        """The value of a counter or gauge; 0 if it is not there."""
        found = re.search(rf"(?m)^{re.escape(series)} (\S+)$", self.ask("/metrics")[1])
        return float(found[1]) if found else 0

    def end(self):
        """Its exit code: SIGTERM, and time to end."""
        self.process.terminate()
        return self.process.wait(GUARD)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
