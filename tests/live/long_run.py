#!/usr/bin/env python3
"""A long `truetape run` under load from a venue that misbehaves each few minutes, killed with SIGKILL three times in its first
quarter, then left alone. Each few minutes what is missing is fetched from the venue's REST and imported beside it, as who runs it
would; then audit proves what came since the last time, before retention may take it from the log, so that together all is proved; at
the end it looks at everything. The store's ids and gaps fit what the simulator says that it
sent and withheld; the log kept its limit; the memory of the last three quarters is flat. A line a minute tells how it stands.

TRUETAPE_LONG_MINUTES (90), TRUETAPE_LONG_RATE (5000 trades a second), TRUETAPE_LONG_LIMIT (bytes of the log: 4 GB),
TRUETAPE_KEEP leaves the data directory there; TRUETAPE_AUDITOR names the program that audits, if it is another one."""
import csv
import datetime
import json
import os
import pathlib
import sqlite3
import subprocess
import time
import urllib.error

import live

MINUTES = float(os.environ.get("TRUETAPE_LONG_MINUTES", "90"))
RATE = int(os.environ.get("TRUETAPE_LONG_RATE", "5000"))
LIMIT = int(os.environ.get("TRUETAPE_LONG_LIMIT", str(4 * 10**9)))
SYMBOLS = 20
PROVE_EACH = datetime.timedelta(minutes=float(os.environ.get("TRUETAPE_LONG_PROVE", "5")))
FAULTS = ["drop,rate=0.00002,streams=*@trade", "duplicate,rate=0.0002", "reorder,rate=0.0002,distance=3",
          "corrupt,rate=0.000005,streams=*@trade", "corrupt,rate=0.000002,how=html,streams=*@trade",
          "cut,at=100s,every=310s,how=reset", "cut,at=230s,every=470s,how=fin", "cut,at=350s,every=790s,how=close",
          "silence,at=160s,for=7s,every=290s,streams=eth*@trade", "stall,at=200s,for=3s,every=330s", "delay,at=60s,for=10s,every=410s,by=900ms",
          "half_open,at=520s,for=20s,every=1100s", "shutdown,at=700s,every=1500s,by=5s", "oversize,at=280s,every=900s,size=200000",
          "ping_flood,at=150s,every=600s,count=3", "refuse,rate=0.1,path=*", "lag,how=answers,by=50ms"]
MB = 10**6


def anonymous(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no RssAnon")


def clock():
    return datetime.datetime.now(datetime.timezone.utc)


def instant(time):
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}Z"


def audit(data, *options, status=0):
    done = subprocess.run([os.environ.get("TRUETAPE_AUDITOR", live.BINARY), "audit", "--data", str(data), *options],
                          capture_output=True, text=True, timeout=3600)
    if done.returncode != status:
        raise AssertionError(f"audit {options}: exit code {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    return done


def fetched(venue, symbol, first, last):
    """Trades of the venue's REST with these ids, as rows of CSV; it refuses some requests and limits their number."""
    refused = 0
    while first <= last:
        try:
            url = f"{venue.rest}/api/v3/historicalTrades?symbol={symbol}&fromId={first}&limit={min(1000, last - first + 1)}"
            with live.DIRECT.open(url, timeout=30) as answer:
                trades = [t for t in json.load(answer) if t["id"] <= last]
        except (urllib.error.URLError, ConnectionError, TimeoutError, ValueError) as error:
            refused += 1
            if refused > 100:
                raise AssertionError(f"{url}: {error}") from error
            time.sleep(3 if getattr(error, "code", 0) in (418, 429) else 0.2)
            continue
        if not trades:
            return
        for t in trades:
            yield f"{t['id']},{t['price']},{t['qty']},{'sell' if t['isBuyerMaker'] else 'buy'},{t['time']}"
        first = trades[-1]["id"] + 1


def repair(venue, data, before):
    """Imports what is missing since `before`, beside the run. Answers how many trades that were."""
    rows, count = {}, 0
    for gap in csv.DictReader(live.tool("query", "gaps", "--data", data, "--format", "csv", "--limit", 1000000).splitlines()):
        if gap["state"] == "open" and gap["from"] < before and gap["last_id"]:
            rows.setdefault(gap["instrument"], []).extend(fetched(venue, gap["instrument"].split(":")[1], int(gap["first_id"]), int(gap["last_id"])))
    for instrument, trades in rows.items():
        file = data.parent / "missing.csv"
        file.write_text("\n".join(["id,price,qty,side,time", *trades]) + "\n")
        live.tool("import", "--data", data, "--instrument", instrument, "--columns", "time=time,price=price,quantity=qty,side=side,id=id", file)
        count += len(trades)
    return count


def ranges(numbers):
    """[first, last] of each run of rising numbers."""
    first = last = None
    for n in numbers:
        if last is not None and n == last + 1:
            last = n
            continue
        if last is not None:
            yield first, last
        first = last = n
    if last is not None:
        yield first, last


def named_holes(store, told):
    """Of each instrument: ids in the store lie within what happened, and each id that lacks between its first and last is named
    by a gap that has not ended, or waits in quarantine. Answers counts."""
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    counts = {"trades": 0, "missing": 0, "holes": 0}
    happened = {i["symbol"]: i["trades"] for i in told["instruments"]}
    for number, name in db.execute("SELECT id, instrument FROM instruments ORDER BY id").fetchall():
        symbol = name.split(":", 1)[1]
        if symbol not in happened:
            continue
        ids = (row[0] for row in db.execute("SELECT trade_order FROM trades WHERE instrument_id = ? AND tape = 0 ORDER BY era, trade_order", (number,)))
        runs = list(ranges(ids))
        first, last = happened[symbol][0][0], happened[symbol][-1][1]
        if not runs or runs[0][0] < first or runs[-1][1] > last:
            raise AssertionError(f"{name}: ids {runs[:1]}..{runs[-1:]} in the store, but {first} to {last} happened")
        # Open, in progress or lost.
        gaps = db.execute("SELECT first_id, last_id FROM gaps WHERE instrument_id = ? AND state IN (1, 2, 5) ORDER BY first_id", (number,)).fetchall()
        held = {int(row[0]) for row in db.execute("SELECT id FROM quarantine_view WHERE instrument = ? AND id <> ''", (name,))}
        for (_, left), (right, _) in zip(runs, runs[1:]):
            lacking = [n for n in range(left + 1, right) if n not in held and not any(a <= n and (b is None or n <= b) for a, b in gaps)]
            if lacking:
                raise AssertionError(f"{name}: ids {lacking[:5]} … between {left} and {right} are named by no gap")
            counts["missing"] += right - left - 1
        counts["trades"] += sum(b - a + 1 for a, b in runs)
        counts["holes"] += len(runs) - 1
    return counts


class LongRun(live.Case):
    def test_long(self):
        options = [option for fault in FAULTS for option in ("--fault", fault)]
        began, samples, kills = time.monotonic(), [], [0.06, 0.13, 0.22]
        proved = [clock()]  # up to when; nothing has happened yet
        audited, brought = [], []  # trades, each time
        with live.Venue("--symbols", SYMBOLS, "--rate", RATE, "--seed", 11, "--shift", "now", "--keep", 150000, *options, trades=False) as venue:
            wanted = [f"binance:{symbol}" for symbol in venue.symbols]
            started = {"venues": [venue], "sets": [f"log.size={LIMIT}"]}

            def passed():
                return (time.monotonic() - began) / 60 / MINUTES

            def watch(run, until):
                while passed() < until:
                    time.sleep(min(60, max(1, 60 * MINUTES * (until - passed()))))
                    run.alive()
                    log = (self.data / "log/log.mdb").stat()
                    sample = {"minute": round((time.monotonic() - began) / 60, 1), "anonymous": anonymous(run.process.pid), "log": log.st_blocks * 512,
                              "store": sum(f.stat().st_size for f in self.data.glob("store.db*")), "accepted": int(run.accepted())}
                    samples.append(sample)
                    print("  ".join(f"{k} {v // MB} MB" if k in ("anonymous", "log", "store") else f"{k} {v}" for k, v in sample.items()), flush=True)
                    self.assertLess(sample["log"], LIMIT * 5 // 4, "the log is above its hard limit")
                    loaded = clock() - datetime.timedelta(minutes=1)
                    if loaded - proved[0] > PROVE_EACH:
                        prove(loaded)

            def prove(to, bring=True):
                """What happened since the last time, as far as it is loaded: what is missing is brought, then every day of every
                instrument is proved."""
                brought.append(repair(venue, self.data, instant(to)) if bring else 0)
                for _ in range(30):
                    day = list(csv.DictReader(audit(self.data, "--from", instant(proved[0]), "--to", instant(to), "--format", "csv").stdout.splitlines()))
                    if all(row["verdict"] != "not loaded yet" for row in day):
                        break
                    time.sleep(1)
                self.assertEqual([row for row in day if row["verdict"] != "proved"], [])
                self.assertGreater(len(day), SYMBOLS - 2)
                audited.append(sum(int(row["trades_log"]) for row in day))
                print(f"proved from {proved[0]:%H:%M:%S} to {to:%H:%M:%S}: {audited[-1]} trades, {brought[-1]} of them brought", flush=True)
                proved[0] = to

            for at in kills:
                with live.Run(self.data, *wanted, **started) as run:
                    watch(run, at)
                    run.kill()
                print(f"killed after {60 * MINUTES * passed():.0f} s", flush=True)
            with live.Run(self.data, *wanted, **started) as run:
                watch(run, 1)
                prove(clock() - datetime.timedelta(minutes=1))
                run.take_in(venue)
                prove(clock(), bring=False)
                told = run.log()
            venue_said = venue.truth
        print(f"run told {len(told.splitlines())} lines; connections ended by: {sorted({c['end'] for c in venue_said['connections']})}")
        print(live.tool("log", "verify", "--data", self.data))
        counts = named_holes(self.data / "store.db", venue_said)
        print(counts)
        self.assertGreater(counts["trades"], 0.9 * RATE * MINUTES * 60)
        self.assertGreater(sum(brought), 0)
        self.assertEqual(sum(audited), counts["trades"], "each trade was audited once")
        done = audit(self.data)
        print(done.stdout[-6000:], done.stderr[-2000:])
        # Flat: the median of the last quarter is not above that of the quarter after the last kill by more than a tenth and 20 MB.
        alone = [s["anonymous"] for s in samples if s["minute"] > 60 * MINUTES / 60 * 0.3]
        quarter = max(1, len(alone) // 3)
        early, late = sorted(alone[:quarter])[quarter // 2], sorted(alone[-quarter:])[quarter // 2]
        print(f"anonymous memory: {early // MB} MB early, {late // MB} MB late")
        self.assertLess(late, early * 1.1 + 20 * MB)


if __name__ == "__main__":
    live.main()
