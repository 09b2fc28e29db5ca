#!/usr/bin/env python3
"""Keeps truetape as systemd would by deploy/systemd/truetape.service: starts it, starts it again 5 s after it ended by itself,
stops it with SIGTERM and after 90 s with SIGKILL, ends it when it has more memory than MemoryMax. Asked over rig/unit.sock."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import rig as rigs

RESTART_AFTER, STOP_WITHIN, START_WITHIN = 5, 90, 600
SIGNALS = {s.value: s.name.removeprefix("SIG") for s in signal.Signals}


def memory_of(pid):
    try:
        return int(re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * 1024
    except (OSError, TypeError):
        return 0


class Unit:
    def __init__(self, root):
        self.root, self.own = pathlib.Path(root), pathlib.Path(root) / "rig"
        self.lock = threading.Condition()
        self.process, self.wanted, self.ready, self.since = None, False, False, time.time()
        self.restarts, self.result, self.last, self.killing = 0, "success", None, False
        self.again_at = None

    # ---- the journal

    def write(self, ident, text, file="journal"):
        with open(self.own / file, "a", encoding="utf-8") as out:
            out.write(f"{time.time():.6f}\t{ident}\t{text}\n")

    def systemd(self, text):
        self.write("systemd[1]", "truetape.service: " + text if not text.startswith("St") else text)

    # ---- the process

    def memory_max(self):
        """Bytes by the drop-ins, None: no limit."""
        found = None
        for file in sorted((self.root / "etc/systemd/system/truetape.service.d").glob("*.conf")):
            for number, unit in re.findall(r"^\s*MemoryMax\s*=\s*(\d+)([KMGT]?)\s*$", file.read_text(), re.M):
                found = int(number) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[unit]
            if re.search(r"^\s*MemoryMax\s*=\s*infinity\s*$", file.read_text(), re.M):
                found = None
        return found

    def environment(self):
        out = dict(os.environ)
        for name in list(out):
            if name.lower().endswith("_proxy"):
                del out[name]
        file = self.root / "etc/truetape/environment"
        for line in file.read_text().splitlines() if file.exists() else ():
            name, equal, value = line.strip().partition("=")
            if equal and not name.startswith("#"):
                out[name] = value.strip("\"'")
        return out

    def launch(self):
        rig = rigs.Rig(self.root)
        groups = rig.fact("unit_cgroups", [])

        def join():
            for group in groups:
                (pathlib.Path(group) / "cgroup.procs").write_text(str(os.getpid()))
        self.systemd("Starting truetape.service - truetape: every trade once, every gap known...")
        command = [str(rigs.BINARY), "run", "--config", str(rig.config)]
        self.ready, self.since, self.killing, self.again_at = False, time.time(), False, None
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        env=self.environment(), preexec_fn=join, start_new_session=True, cwd=self.root)
        threading.Thread(target=self.follow, args=(self.process,), daemon=True).start()

    def follow(self, process):
        for line in process.stdout:
            text = line.decode(errors="replace").rstrip("\n")
            self.write(f"truetape[{process.pid}]", text)
            if text.startswith("ready http") and not self.ready:
                self.systemd("Started truetape.service - truetape: every trade once, every gap known.")
                with self.lock:
                    self.ready = True
                    self.lock.notify_all()
        code = process.wait()
        with self.lock:
            if code < 0 and not (self.killing and -code == signal.SIGKILL and not self.wanted):
                name = SIGNALS.get(-code, "?")
                core = -code in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
                self.systemd(f"Main process exited, code={'dumped' if core else 'killed'}, status={-code}/{name}")
                self.result = "oom-kill" if self.killing else "core-dump" if core else "signal"
            elif code > 0:
                self.systemd(f"Main process exited, code=exited, status={code}/{'FAILURE' if code == 1 else 'INVALIDARGUMENT' if code == 2 else 'NOTIMPLEMENTED'}")
                self.result = "exit-code"
            else:
                self.result = "success"
            if self.result == "success":
                self.systemd("Deactivated successfully.")
            else:
                self.systemd(f"Failed with result '{self.result}'.")
            self.last, self.process, self.since, self.ready = code, None, time.time(), False
            if self.wanted:
                self.again_at = time.monotonic() + RESTART_AFTER
            else:
                self.systemd("Stopped truetape.service - truetape: every trade once, every gap known.")
            self.lock.notify_all()

    def tend(self):
        """Twice a second: what is due."""
        while True:
            time.sleep(0.5)
            with self.lock:
                if self.wanted and self.process is None and self.again_at is not None and time.monotonic() >= self.again_at:
                    self.restarts += 1
                    self.systemd(f"Scheduled restart job, restart counter is at {self.restarts}.")
                    self.launch()
                most = self.memory_max()
                if self.process is not None and most is not None and not self.killing and memory_of(self.process.pid) > most:
                    self.killing = True
                    used = memory_of(self.process.pid) // 1024
                    self.write("kernel", "truetape invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0", "kernel")
                    self.write("kernel", f"memory: usage {used}kB, limit {most // 1024}kB, failcnt {self.restarts + 40}", "kernel")
                    self.write("kernel", f"Memory cgroup out of memory: Killed process {self.process.pid} (truetape) total-vm:{used * 9}kB, anon-rss:{used}kB, file-rss:9120kB", "kernel")
                    self.systemd("A process of this unit has been killed by the OOM killer.")
                    self.process.kill()

    # ---- what systemctl asks

    def start(self):
        with self.lock:
            if self.process is None:
                self.wanted = True
                self.launch()
            else:
                self.wanted = True
            mine = self.process
            self.lock.wait_for(lambda: self.ready or self.process is not mine, START_WITHIN)
            return {"ok": self.ready}

    def stop(self):
        with self.lock:
            self.wanted, self.again_at, mine = False, None, self.process
            if mine is None:
                return {"ok": True}
            self.systemd("Stopping truetape.service - truetape: every trade once, every gap known...")
            mine.send_signal(signal.SIGTERM)
            mine.send_signal(signal.SIGCONT)
            if not self.lock.wait_for(lambda: self.process is not mine, STOP_WITHIN):
                self.systemd("State 'stop-sigterm' timed out. Killing.")
                self.killing = True
                mine.kill()
                self.lock.wait_for(lambda: self.process is not mine, 30)
            return {"ok": True}

    def restart(self):
        self.stop()
        return self.start()

    def status(self):
        with self.lock:
            state = "active" if self.ready else "activating" if self.process or self.wanted else "failed" if self.result != "success" else "inactive"
            return {"state": state, "pid": self.process.pid if self.process else 0, "since": self.since, "restarts": self.restarts, "result": self.result,
                    "last": self.last, "memory_max": self.memory_max(), "memory": memory_of(self.process.pid) if self.process else 0, "waits": self.again_at is not None}

    def answer(self, connection):
        with connection, connection.makefile("rw") as stream:
            command = json.loads(stream.readline())
            done = {"start": self.start, "stop": self.stop, "restart": self.restart, "status": self.status}[command[0]]()
            try:
                stream.write(json.dumps(done) + "\n")
                stream.flush()
            except OSError:
                pass  # who asked did not wait

    def serve(self):
        place = self.own / "unit.sock"
        with socket.socket(socket.AF_UNIX) as listening:
            with rigs.open_folder(self.own) as folder:
                listening.bind(f"/proc/self/fd/{folder}/unit.sock.new")
            listening.listen(20)
            os.rename(str(place) + ".new", place)
            threading.Thread(target=self.tend, daemon=True).start()
            while True:
                threading.Thread(target=self.answer, args=(listening.accept()[0],), daemon=True).start()


def main():
    unit = Unit(sys.argv[1])

    def finish(*_):
        process = unit.process
        unit.wanted = False
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        os._exit(0)
    signal.signal(signal.SIGTERM, finish)
    unit.serve()


if __name__ == "__main__":
    main()
