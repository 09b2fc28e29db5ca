"""Logs on the brokers that with_broker.py runs beside, and the processes of truetape that work on them."""
import os
import subprocess
import sys
import time

import tt

BROKERS = os.environ["TRUETAPE_KAFKA"]
GUARD = 60  # seconds until what must come is given up


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
    """One on Kafka: its URL, its configuration file, and a directory for what its processes keep."""

    def __init__(self, prefix, scratch, **kafka):
        self.prefix, self.data = prefix, f"kafka://{BROKERS}/{prefix}"
        self.scratch = scratch / prefix
        self.scratch.mkdir()
        self.config = self.scratch / "config.toml"
        self.configure(**kafka)

    def configure(self, **kafka):
        lines = [f'{key} = "{value}"' for key, value in kafka.items()]
        self.config.write_text("\n".join(['intervals = ["1s", "1m", "5m"]', "[log]", "partitions = 2", "[kafka]", *lines, ""]))

    def topic(self, name):
        return f"{self.prefix}.{name}"

    def run(self, *command, expect=0):
        return tt.run(*command, "--data", self.data, "--config", self.config, expect=expect)

    def worker(self, name):
        return Process("process", self, name, "--state", self.scratch / "state")


class Process:
    """A truetape that runs until it is ended; `words` are its command and more arguments."""

    def __init__(self, command, log, name, *words):
        self.file = log.scratch / f"{command}.{name}.log"
        line = [tt.BINARY, command, "--data", log.data, "--config", log.config, "--worker", name, *words]
        with open(self.file, "a") as told:
            self.process = subprocess.Popen([str(word) for word in line], stdin=subprocess.DEVNULL, stdout=told, stderr=told)

    def told(self):
        return self.file.read_text()

    def ready(self):
        until(self.file.stem, lambda: "\nready kafka://" in "\n" + self.told(), self)
        return self

    def end(self):
        """Its exit code: SIGTERM, and time to end."""
        self.process.terminate()
        return self.process.wait(GUARD)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
