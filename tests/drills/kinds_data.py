"""Drills: what the venue sends cannot be used, or is not believed."""
import csv
import io
import json
import os
import signal
import struct
import time
import zipfile

import truths
import venue_file
from kinds import Drill

WORD = "Write into answer.txt of the drill's directory what has happened and what is to be done about it, and do what is yours to do. A person reads it."


class Answered(Drill):
    """The alert ends by itself after an hour: what counts is what the trainee makes of it."""

    def labels(self, rig):
        return {"venue": "binance"}

    def over(self, rig):
        answer = rig.root / "answer.txt"
        return [] if answer.exists() and answer.read_text().strip() else [f"there is no answer in {answer}"]

    def story(self, rig):
        return WORD


class Contradict(Answered):
    name, alert, line = "trades-contradict", "TruetapeTradesContradict", "somebody imported a file whose prices are not the venue's"

    def stage(self, rig):
        rig.begin(trades=40)
        right = venue_file.make(rig, "BTCUSDT", time.strftime("%Y-%m-%d", time.gmtime()))
        with zipfile.ZipFile(right) as packed:
            rows = list(csv.reader(io.StringIO(packed.read(packed.namelist()[0]).decode())))
        wrong = rig.root / "opt/btc-history.csv"
        wrong.write_text("".join(",".join([r[0], str(round(float(r[1]) * 1.001, 2)), *r[2:]]) + "\n" for r in rows[3:15]))
        done = rig.tool("import", "--data", rig.data, "--instrument", "binance:BTCUSDT", wrong)
        if "nothing of it could be used" not in done.stderr:
            raise RuntimeError(done.stderr)

    def holds(self, rig):
        return bool(rig.metric("truetape_items_total", venue="binance", outcome="contradiction"))

    def story(self, rig):
        return WORD + "\nIn this drill the venue has the file of today already. A colleague says to have imported opt/btc-history.csv, bought from a vendor, an hour ago."


class Surge(Drill):
    name, alert, line = "quarantine-surge", "TruetapeQuarantineSurge", "the venue marks trades with a kind that is not known here"
    keep, flow = ("binance-usdm:BTCUSDT",), ("binance-usdm",)

    def labels(self, rig):
        return {"venue": "binance-usdm"}

    def refused(self, rig):
        return sum(rig.metric("truetape_items_total", venue="binance-usdm", outcome=o) or 0 for o in ("quarantined", "held", "undecodable"))

    def stage(self, rig):
        rig.venue("--mix", "unknown=300", venue="binance-usdm", symbols="BTCUSDT", rate=15)
        rig.configure(self.keep, ["binance-usdm"])
        rig.start_unit()
        rig.wait("trades", lambda: (rig.metric("truetape_items_total", outcome="accepted") or 0) > 20, 60)
        time.sleep(1)
        rig.note()

    def holds(self, rig):
        refused = self.refused(rig)
        return refused if refused > 100 else False

    def verdict(self, rig):
        bad = truths.is_well(rig, self.flow) + truths.is_wanted(rig, self.keep)
        bad = bad or truths.nothing_lost(rig) + truths.audited(rig)
        before = self.refused(rig)
        time.sleep(10)
        return bad + (["items still go to quarantine"] if self.refused(rig) > before else [])

    def story(self, rig):
        return "The venue has announced that trades of its new block desk are told in the stream with a kind of their own. They count as trades, and the traders want them in the candles."


class Crash(Answered):
    name, alert, line = "records-crash", "TruetapeRecordsCrash", "one record has ended the process three times and was left out"
    patience = 60

    def stage(self, rig):
        rig.begin()
        for ends in range(3):
            pid = rig.wait("it runs", lambda: rig.unit("status")["pid"], 30)
            os.kill(pid, signal.SIGSEGV)
            rig.wait("it was started again", lambda: (told := rig.unit("status"))["state"] == "active" and told["restarts"] > ends, 60)
        rig.unit("stop")
        process = [json.loads(line) for line in rig.tool("readers", "ls", "--data", rig.data, "--format", "json").stdout.splitlines()]
        place = max((r for r in process if r["reader"] == "process" and r["topic"] == "raw"), key=lambda r: r["stored"])
        # As three ends at that record would have left it (src/roles/attempts.cc).
        with open(rig.data / "process.attempt", "r+b") as file:
            magic = file.read(8)
            file.seek(0)
            file.write(magic + struct.pack("<IiqqiII", 0, 0, 0, place["stored"], place["partition"], 3, 0))
        rig.note()
        rig.unit("start")

    def holds(self, rig):
        return bool(rig.metric("truetape_process_crashed_total"))

    def over(self, rig):
        return super().over(rig) + (["the alert's condition still holds: it does until truetape is started anew"] if self.holds(rig) else [])
