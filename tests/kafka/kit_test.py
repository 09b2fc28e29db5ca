#!/usr/bin/env python3
"""The broker kit itself, with one real broker: what tests that use it lean on."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
import unittest

import broker_state
import kit

HERE = pathlib.Path(__file__).resolve().parent


def kcat(cluster, *words, said=None):
    done = subprocess.run(["kcat", "-b", cluster.bootstrap, *words], input=said, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise AssertionError(f"kcat {' '.join(words)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def processes(directory):
    """Process ids of brokers whose files lie in the directory."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(directory) in entry.read_bytes() and b"kafka.Kafka" in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue  # it has ended meanwhile
    return found


def until(what, condition, guard=60):
    end = time.monotonic() + guard
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"it did not come to this within {guard} s: {what}")
        time.sleep(0.05)


class KitTest(unittest.TestCase):
    def test_a_broker_keeps_what_it_acknowledged_over_a_kill_and_leaves_nothing_behind(self):
        with kit.Cluster() as cluster:
            directory = cluster.directory
            self.assertEqual(cluster.metadata().brokers, {1: cluster.bootstrap})
            cluster.create_topic("kept", partitions=2, retention_ms=60000)
            self.assertEqual(cluster.topics(), ["kept"])
            self.assertEqual({n: p.leader for n, p in cluster.metadata().topics["kept"].items()}, {0: 1, 1: 1})
            kcat(cluster, "-P", "-t", "kept", "-p", "1", "-X", "acks=all", said="one\ntwo\n")
            cluster.kill(1)
            self.assertEqual(processes(directory), [])
            with self.assertRaises(OSError):
                socket.create_connection(("127.0.0.1", cluster.nodes[1].client_port), timeout=5)
            cluster.start(1)
            self.assertEqual(kcat(cluster, "-C", "-t", "kept", "-p", "1", "-o", "beginning", "-e", "-q"), "one\ntwo\n")
            kcat(cluster, "-G", "readers", "kept", "-e", "-q", "-X", "auto.offset.reset=earliest")
            self.assertEqual(cluster.groups(), ["readers"])
            self.assertIn(("readers", "kept", "1", "2"), [
                (row["GROUP"], row["TOPIC"], row["PARTITION"], row["CURRENT-OFFSET"]) for row in cluster.group("readers")])
            self.assertEqual(cluster.transactions(), [])
            brokers = broker_state.Brokers(cluster.bootstrap)  # the same, asked without a tool
            self.addCleanup(brokers.close)
            self.assertEqual(brokers.committed("readers"), {"kept": {1: 2}})
            self.assertEqual([brokers.ends("kept"), brokers.ends("kept", committed=True)], [{0: 0, 1: 2}] * 2)
            self.assertEqual([brokers.leaders("kept"), brokers.coordinator(broker_state.GROUP, "readers")], [{0: 1, 1: 1}, 1])
            self.assertEqual([brokers.assignment("readers", "kept"), brokers.transactions()], [{}, {}])
            with self.assertRaisesRegex(kit.KitError, "already exists"):
                cluster.create_topic("kept")
            cluster.stop()
            self.assertEqual(processes(directory), [])
        self.assertFalse(directory.exists())

    def test_brokers_of_dev_kafka_stay_until_they_are_told_to_stop_and_come_again_as_they_were(self):
        folder = tempfile.TemporaryDirectory(prefix="truetape-kit-")
        self.addCleanup(folder.cleanup)
        directory = pathlib.Path(folder.name) / "kafka"

        def dev_kafka(*words, expect=0):
            done = subprocess.run([HERE / "kit.py", "--directory", directory, *words], capture_output=True, text=True, timeout=200)
            self.assertEqual(done.returncode, expect, f"{words}: {done.stdout}{done.stderr}")
            return done.stdout + done.stderr
        self.addCleanup(dev_kafka, "down")
        self.assertIn("no brokers run", dev_kafka("tool", "TopicCommand", "--list", expect=1))
        told = dev_kafka("up")
        at = types.SimpleNamespace(bootstrap=re.search(r"^  (127\.0\.0\.1:\d+)$", told, re.MULTILINE)[1])
        running = processes(directory)
        self.assertEqual(len(running), 1)
        dev_kafka("tool", "TopicCommand", "--create", "--topic", "kept", "--partitions", "1")
        kcat(at, "-P", "-t", "kept", "-X", "acks=all", said="one\n")
        self.assertIn(at.bootstrap, dev_kafka("up"))
        self.assertEqual(processes(directory), running, "a second up starts nothing")
        self.assertIn("stopped", dev_kafka("down"))
        self.assertEqual(processes(directory), [])
        self.assertIn("no broker runs", dev_kafka("down"))
        self.assertIn("no brokers run", dev_kafka("tool", "TopicCommand", "--list", expect=1))
        self.assertIn(at.bootstrap, dev_kafka("up"), "another port than before")
        self.assertEqual(dev_kafka("tool", "TopicCommand", "--list").split(), ["kept"])
        self.assertEqual(kcat(at, "-C", "-t", "kept", "-o", "beginning", "-e", "-q"), "one\n")
        running = processes(directory)
        dev_kafka("up", "3", expect=1)
        self.assertEqual(processes(directory), running, "brokers of another number have touched these")

    def test_brokers_and_command_die_with_the_script_that_runs_them(self):
        folder = tempfile.TemporaryDirectory(prefix="truetape-kit-")
        self.addCleanup(folder.cleanup)
        inside = f"TMPDIR='{folder.name}' exec '{HERE}/with_broker.py' -- sh -c 'echo $$ $TRUETAPE_KAFKA_DIR; exec sleep 600'"
        script = subprocess.Popen(["sh", "-c", inside], stdout=subprocess.PIPE, text=True)
        self.addCleanup(script.stdout.close)
        command, directory = script.stdout.readline().split()
        self.assertEqual(len(processes(directory)), 1)
        script.send_signal(signal.SIGKILL)
        script.wait()
        until("no broker", lambda: not processes(directory))
        # Dead, if perhaps not yet waited for by who inherited it.
        until("no command", lambda: state(command) in ("gone", "Z"))

    def test_the_command_s_exit_code_and_its_orders_reach_their_ends(self):
        folder = tempfile.TemporaryDirectory(prefix="truetape-kit-")
        self.addCleanup(folder.cleanup)
        order = ("import os, socket; host, port = os.environ['TRUETAPE_KAFKA_CONTROL'].split(':')\n"
                 "lines = socket.create_connection((host, int(port))).makefile('rw')\n"
                 "for said in ('kill 1', 'start 1', 'kill 2'): print(said, file=lines, flush=True); print(lines.readline(), end='')\n"
                 "raise SystemExit(3)")
        done = subprocess.run([HERE / "with_broker.py", "--", sys.executable, "-c", order], capture_output=True, text=True,
                              env=os.environ | {"TMPDIR": folder.name}, timeout=200)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual([line.split()[0] for line in done.stdout.splitlines()], ["ok", "ok", "error"])
        (log,) = pathlib.Path(folder.name).glob("truetape-kafka-*/node1/broker.log")
        self.assertIn(str(log), done.stderr)
        self.assertEqual(processes(folder.name), [])


def state(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "gone"


if __name__ == "__main__":
    lack = kit.missing() or ("" if shutil.which("kcat") else "no kcat on the PATH; ./dev setup test installs it")
    if lack:
        print(f"SKIPPED: {lack}")
        sys.exit(77)
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(verbosity=2)
