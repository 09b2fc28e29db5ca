"""The part `outage` of bench/live/measure.py: how fast run gets through what it missed, against the pace at which the venue goes on
meanwhile. From the end of the outage until nothing is behind: what was made up and what came besides, by the time that took, by
the venue's own rate. Before a number is given every trade that the venue sent or gave is in the store once, and no gap has stayed.

stopped   run gets no time of the machine (SIGSTOP); the venue's frames wait in sockets
store     another program holds the store's write lock; the log goes on, `load` has to catch up
away      run is killed (SIGKILL) and started again; what it missed comes by REST, within the venue's limit of requests
hour      run was away for an hour of the venue: what it missed is all there when it starts; nothing new happens meanwhile"""
import contextlib
import os
import signal
import sqlite3
import time

from live.measure import Run, Sim, ask, fail, load_average


class Outage:
    def __init__(self, live):
        self.live, self.quick = live, live.bench.args.quick

    # ---- what has come

    def last_ids(self, sim):
        out = {}
        for symbol in sim.symbols:
            rows = ask(f"{sim.rest}/api/v3/aggTrades?symbol={symbol}&limit=1")
            out[symbol] = rows[-1]["l"] if rows else 0
        return out

    def tops(self, data):
        """symbol -> the newest id up to which nothing is missing in the store."""
        with contextlib.closing(sqlite3.connect(f"file:{data / 'store.db'}?mode=ro", uri=True)) as db:
            numbers = dict(db.execute("SELECT instrument, id FROM instruments"))
            out = {}
            for name, number in numbers.items():
                gap = db.execute("SELECT min(first_id) FROM gaps WHERE instrument_id = ? AND state IN (0, 1, 2, 5)", (number,)).fetchone()[0]
                top = db.execute("SELECT max(trade_order) FROM trades WHERE instrument_id = ? AND tape = 0 AND era = 0", (number,)).fetchone()[0] or 0
                out[name.split(":", 1)[1]] = top if gap is None else min(top, gap - 1)
            return out

    def sum_of(self, sim, data):
        """Trades in the store behind nothing that is missing, of all symbols; only differences of it mean anything."""
        tops = self.tops(data)
        return sum(tops.get(s, 0) for s in sim.symbols)

    def caught_up(self, run, sim, data, rate, started):
        """Seconds from `started` until the store is at most half a second of trades behind the venue, and where it is then."""
        while True:
            run.alive()
            newest, there = sum(self.last_ids(sim).values()), self.sum_of(sim, data)
            now = time.monotonic()
            if newest - there <= rate * 0.5:
                return now - started, there
            if now - started > 1800:
                fail("it did not catch up within half an hour")
            time.sleep(0.1)

    def whole(self, run, sim, data):
        """The venue ends; each trade from the first stored one on is there once, and no gap has stayed."""
        newest = None
        while newest != (newest := self.last_ids(sim)):
            time.sleep(2)
        began = time.monotonic()
        while self.tops(data) != newest:
            run.alive()
            if time.monotonic() - began > 300:
                fail(f"the store's last trades without a hole before them are {self.tops(data)}, the venue's last {newest}")
            time.sleep(0.5)
        with contextlib.closing(sqlite3.connect(f"file:{data / 'store.db'}?mode=ro", uri=True)) as db:
            for name, rows, ids, first, last in db.execute("SELECT instrument, count(*), count(DISTINCT trade_order), min(trade_order), max(trade_order) FROM trades "
                                                           "JOIN instruments ON instruments.id = instrument_id GROUP BY instrument_id"):
                if not rows == ids == last - first + 1:
                    fail(f"{name}: {rows} rows, {ids} ids, from {first} to {last}")
            return db.execute("SELECT count(*) FROM trades").fetchone()[0]

    # ---- the outages

    def live_run(self, rate, symbols, away, outage, settings=()):
        """A venue at its own pace, run behind it for some seconds, then `outage`: it lasts until the time that it answers, when so many
        trades were in the store, and run, perhaps another one, goes on. Times faster than live, and what it was."""
        length = 10 + away + (20 if self.quick else 60)
        with Sim(self.live, "--symbols", symbols, "--rate", rate, "--seed", 7, "--shift", "now", "--no-quotes", "--length", f"{length}s", "--linger", "forever", "--keep", 10_000_000) as sim:
            data, names = self.live.data("outage"), [f"binance:{s}" for s in sim.symbols]
            with contextlib.ExitStack() as stack:
                run = stack.enter_context(Run(self.live, sim, names, data, settings))
                while run.accepted() < 3 * rate:
                    run.alive()
                    time.sleep(0.2)
                def ends():
                    return sum(self.last_ids(sim).values()), self.sum_of(sim, data), time.monotonic()
                run, (newest, before, started) = outage(stack, run, sim, names, data, away, settings, ends)
                missed = newest - before
                took, there = self.caught_up(run, sim, data, rate, started)
                made = there - before
                if missed < 0.5 * rate * away:
                    fail(f"only {missed} trades were missed in {away} s at {rate} a second; the outage was none")
                total = self.whole(run, sim, data)
        return made / took / rate, f"{missed} trades missed in {away} s; nothing is behind after {took:.1f} s, in which {made} went through; {total} in the store at the end, each once, no gap left"

    @staticmethod
    def stopped(stack, run, sim, names, data, away, settings, ends):
        os.kill(run.pid, signal.SIGSTOP)
        try:
            time.sleep(away)
            ended = ends()
        finally:
            os.kill(run.pid, signal.SIGCONT)
        return run, ended

    @staticmethod
    def store(stack, run, sim, names, data, away, settings, ends):
        with contextlib.closing(sqlite3.connect(data / "store.db", isolation_level=None, timeout=30)) as db:
            db.execute("BEGIN IMMEDIATE")
            time.sleep(away)
            ended = ends()
            db.execute("ROLLBACK")
        return run, ended

    def away(self, stack, run, sim, names, data, away, settings, ends):
        run.process.kill()
        run.process.wait()
        time.sleep(away)
        ended = ends()  # the start of the new process is part of what it takes
        return stack.enter_context(Run(self.live, sim, names, data, settings)), ended

    def hour(self, rate):
        """Two simulators with the same tape: the one ends when run is stopped, the other has the whole hour behind it."""
        seconds = 600 if self.quick else 3600
        tape = ("--symbols", 2, "--rate", rate, "--seed", 7, "--shift", "2025-06-01T00:00:00Z", "--no-quotes", "--linger", "forever", "--keep", 10_000_000)
        data, settings = self.live.data("outage"), ["backfill.enabled=yes", "rule.future.tolerance=24h"]
        with Sim(self.live, *tape, "--length", "15s") as sim:
            names = [f"binance:{s}" for s in sim.symbols]
            with Run(self.live, sim, names, data, settings) as run:
                while run.accepted() < 10 * rate or self.sum_of(sim, data) < sum(self.last_ids(sim).values()):
                    run.alive()
                    time.sleep(0.5)
        with Sim(self.live, *tape, "--length", f"{15 + seconds}s", "--speed", "max", "--no-wait") as sim:
            newest = None
            while newest != (newest := self.last_ids(sim)):
                time.sleep(1)
            before = self.sum_of(sim, data)
            missed, started = sum(newest.values()) - before, time.monotonic()
            with Run(self.live, sim, names, data, settings) as run:
                took, _ = self.caught_up(run, sim, data, 0, started)
                requests = run.metric("truetape_backfill_requests_total")
                total = self.whole(run, sim, data)
        if missed < 0.9 * rate * seconds:
            fail(f"only {missed} trades were missed in {seconds} s at {rate} a second")
        return missed / took / rate, f"{missed} trades of {seconds / 60:.0f} minutes, by {requests:.0f} requests, in the store {took:.1f} s after the start; {total} at the end, each once, no gap left"


def measure(live):
    one = Outage(live)
    filled = ["backfill.enabled=yes"]
    rate = 2_000 if one.quick else 20_000
    for what, play in ((f"run stopped for 4 s, {rate / 1000:g} k trades/s, 10 instruments", lambda: one.live_run(rate, 10, 4, one.stopped)),
                       (f"the store locked for {10 if one.quick else 30} s, {rate / 1000:g} k trades/s, 10 instruments", lambda: one.live_run(rate, 10, 10 if one.quick else 30, one.store)),
                       (f"run away for {10 if one.quick else 60} s, 100 trades/s, 2 instruments, filled by REST", lambda: one.live_run(100, 2, 10 if one.quick else 60, one.away, filled)),
                       (f"run away for {'10 minutes' if one.quick else 'an hour'} of 20 trades/s, 2 instruments, filled by REST at its start", lambda: one.hour(20))):
        found, notes, loads = [], [], []
        for _ in live.bench.repeated():
            loads.append(load_average())
            times, note = play()
            found.append(times)
            notes.append(note)
        middle = sorted(found)[len(found) // 2]
        live.run.add(f"catching up / live: {what}", found, "×", "≥ 5", notes[found.index(middle)], loads, middle >= 5)
