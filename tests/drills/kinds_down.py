"""Drills: it does not run."""
import os
import signal
import time

from kinds import Drill
from rig import BINARY, BTC, ETH, free_port


class Down(Drill):
    alert = "TruetapeDown"

    def holds(self, rig):
        return rig.status("/metrics") != 200 or "truetape_up" not in rig.get("/metrics")[1]


class Config(Down):
    name, line = "down-config", "a setting was changed to what is not allowed"

    def stage(self, rig):
        rig.begin(log__commit_spacing="2ms")
        rig.unit("stop")
        rig.config.write_text(rig.config.read_text().replace('commit_spacing = "2ms"', 'commit_spacing = "20 ms"\nsizes = "20GB"'))
        rig.unit("start")

    def story(self, rig):
        return "A colleague has tuned the configuration this morning and left for the holidays."


class Port(Down):
    name, line = "down-port", "another program has the port"

    def stage(self, rig):
        rig.begin()
        rig.unit("stop")
        rig.colleague("sales-report", "another_server", rig.state["port"])
        rig.wait("it listens", lambda: "Weekly" in rig.get("/")[1], 20)
        rig.unit("start")

    def story(self, rig):
        return "The machine was patched and rebooted this night. Others use it too; their programs lie in opt/ and may be ended if they are in the way."


class LogDamaged(Down):
    name, line = "down-log-damaged", "the log's file is damaged so that it cannot be opened; there is a backup"

    def stage(self, rig):
        rig.begin()
        backup(rig)
        time.sleep(15)
        rig.unit("stop")
        with open(rig.data / "log/log.mdb", "r+b") as file:
            file.write(os.urandom(16384))
        rig.unit("start")

    def story(self, rig):
        return "The power failed an hour ago and came back. The disk has been checked since: the file system is sound and the disk goes on to be used."


class Writer(Down):
    name, line = "down-second-writer", "another truetape writes in the data directory"

    def stage(self, rig):
        rig.begin()
        rig.unit("stop")
        rig.spawn("by-hand", BINARY, "run", "--data", rig.data, "--config", rig.config, "--set", "serve.port=0")
        time.sleep(3)
        rig.unit("start")

    def over(self, rig):
        return ["the other truetape still runs"] if rig.runs("by-hand") else []


class Hangs(Down):
    name, line = "down-hangs", "the process is there and does not answer"

    def stage(self, rig):
        rig.begin()
        os.kill(rig.unit("status")["pid"], signal.SIGSTOP)

    def holds(self, rig):
        return rig.get("/metrics", timeout=3)[0] != 200


class Elsewhere(Down):
    name, line = "down-target", "it works, and Prometheus does not reach it: it listens elsewhere"

    def stage(self, rig):
        rig.begin()
        rig.unit("stop")
        rig.config.write_text(rig.config.read_text().replace(f"port = {rig.state['port']}", f"port = {free_port()}"))
        rig.unit("start")

    def story(self, rig):
        return "prometheus.yml scrapes the URL above, and the clients know no other: truetape is to listen there."


class Restarting(Drill):
    name, alert, line = "restarting-memory", "TruetapeRestarting", "it is killed by the kernel again and again, since its memory limit is too low"

    def stage(self, rig):
        symbols = [f"DRILL{i}USDT" for i in range(300)]
        rig.begin(BTC, ETH, *(f"binance:{s}" for s in symbols), venue={"symbols": ",".join(["BTCUSDT", "ETHUSDT", *symbols]), "rate": 60}, trades=900)
        limit = rig.unit("status")["memory"] // 2**20 * 7 // 10
        (rig.root / "etc/systemd/system/truetape.service.d/override.conf").write_text(f"[Service]\nMemoryMax={limit}M\n")
        rig.remember(limit=limit)

    def holds(self, rig):
        restarts = rig.unit("status")["restarts"]
        return restarts if restarts >= 3 else False

    def over(self, rig):
        told = rig.unit("status")
        if time.time() - told["since"] < 45:
            return [f"the process is {time.time() - told['since']:.0f} s old: look again when it is 45 s (15 minutes in life)"]
        return []

    def story(self, rig):
        return "Yesterday somebody limited the memory of all services of this machine. The machine has 24 GB; truetape may have 2."


def backup(rig):
    """A backup of now, as a nightly job makes it."""
    done = rig.tool("backup", "--data", rig.data, rig.root / "backups/nightly")
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    rig.note()
