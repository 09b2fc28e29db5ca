#!/usr/bin/env python3
"""The cable is pulled: the venue is in a network of its own (a namespace), and the link to it goes down and up again. No FIN, no
RST, no answer. Needs the rights to make a network namespace; without them it is skipped, which is no pass."""
import os
import subprocess
import sys
import unittest

import live
from live import Run, Venue, judged, query, until

NAME = "binance:BTCUSDT"
SPACE, OURS, THEIRS = f"truetape-{os.getpid()}", f"ttc{os.getpid() % 100000}a", f"ttc{os.getpid() % 100000}b"
HERE, THERE = "198.18.77.1", "198.18.77.2"  # RFC 2544: for tests of networks


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True)


def lay_cable():
    """None, or why it cannot be laid."""
    for command in (["netns", "add", SPACE], ["link", "add", OURS, "type", "veth", "peer", "name", THEIRS], ["link", "set", THEIRS, "netns", SPACE],
                    ["addr", "add", f"{HERE}/30", "dev", OURS], ["link", "set", OURS, "up"], ["-n", SPACE, "addr", "add", f"{THERE}/30", "dev", THEIRS],
                    ["-n", SPACE, "link", "set", THEIRS, "up"], ["-n", SPACE, "link", "set", "lo", "up"], ["netns", "exec", SPACE, "true"]):
        try:
            done = ip(*command)
        except FileNotFoundError:
            return "there is no command `ip` (package iproute2)"
        if done.returncode != 0:
            return f"ip {' '.join(command)}: {done.stderr.strip()}"
    return None


class Cable(live.Case):
    def test_pulled_and_put_in_again_it_is_one_named_gap(self):
        self.addCleanup(ip, "link", "set", OURS, "up")
        with Venue("--listen", THERE, "--symbols", "BTCUSDT", "--rate", 20, inside=["ip", "netns", "exec", SPACE]) as venue:
            with Run(self.data, NAME, venues=[venue]) as run:
                def whole():
                    return [r["completeness"] for r in run.rows("candles", instrument=NAME, interval="1s")].count("complete")
                until("complete seconds", lambda: run.alive() and whole() > 2)
                self.assertEqual(ip("link", "set", OURS, "down").returncode, 0)
                until("it is noticed", lambda: run.alive() and run.metric("truetape_ingest_connections_live") == 0)
                until("it is told", lambda: run.alive() and "no answer to a ping" in run.log())
                until("it is reported", lambda: run.alive() and "trouble" in run.connections()[0])
                self.assertEqual(ip("link", "set", OURS, "up").returncode, 0)
                until("the gap is named", lambda: run.alive() and [g for g in run.rows("gaps", instrument=NAME) if g["state"] == "open" and g["last_id"]])
                before = whole()
                until("complete seconds again", lambda: run.alive() and whole() > before + 2)
                until("it is reported", lambda: run.alive() and "trouble" not in run.connections()[0])
                run.take_in(venue)
            counts = judged([venue], self.data, drained=True)
            found = query(self.data, "gaps")
            self.assertEqual([g["state"] for g in found], ["open"])
            self.assertEqual(found[0]["missing"], counts["missing ids"])
            words = [r["completeness"] for r in query(self.data, "candles", "--interval", "1s", "--instrument", NAME)][1:-1]
            self.assertEqual([w for i, w in enumerate(words) if i == 0 or words[i - 1] != w], ["complete", "gap", "complete"])


if __name__ == "__main__":
    reason = lay_cable()
    try:
        if reason is not None:
            print(f"SKIPPED: {reason}: no cable was pulled", flush=True)
            sys.exit(77)
        unittest.main(verbosity=2)
    finally:
        ip("netns", "del", SPACE)
        ip("link", "del", OURS)
