#!/usr/bin/env python3
"""How fast a hole is seen and filled, over real sockets against `truetape sim`: prints what was measured.

    fill.py [seen] [repair] [million]     TRUETAPE names the program; without words: seen and repair

seen     from the trade behind a hole to the gap in the API of `truetape run`
repair   a hole of 10,000 trades: until each is in the store, and each candle of a second that it touched is whole there
million  run is away for 1,000,000 trades: resident memory without files (RssAnon) while they are filled in, and how long that
         takes within 45 % of the venue's 6,000 a minute (about 10 minutes)"""
import datetime
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/live"))
from live import Run, Venue, until  # noqa: E402

NAME = "binance:BTCUSDT"
FILLED = ["backfill.enabled=yes"]


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def anonymous(run):
    for line in pathlib.Path(f"/proc/{run.process.pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def seen(folder):
    """Twenty holes of a second; the trade behind each is dated by the venue, whose clock is ours."""
    taken, known = [], set()
    with Venue("--symbols", "BTCUSDT", "--rate", 50, "--shift", "now", "--fault", "silence,at=3s,for=1s,every=3s,streams=*@trade") as venue:
        with Run(folder / "seen", NAME, venues=[venue]) as run:
            while len(taken) < 20:
                for gap in run.rows("gaps", instrument=NAME):
                    if gap["to"] and gap["first_id"] not in known:
                        known.add(gap["first_id"])
                        taken.append(time.time() - seconds(gap["to"]))
                time.sleep(0.01)
                run.alive()
            run.take_in(venue)
    taken.sort()
    print(f"a hole is seen after the next trade, 20 holes: median {taken[10]:.2f} s, greatest {taken[-1]:.2f} s (rule.settle is 0.5 s)", flush=True)


def repair(folder):
    """From the trade behind the hole to the store's last corrected row, as another process reads it."""
    with Venue("--symbols", "BTCUSDT", "--rate", 2000, "--shift", "now", "--fault", "silence,at=4s,for=5s,count=10000,streams=*@trade") as venue:
        with Run(folder / "repair", NAME, venues=[venue], sets=FILLED) as run:
            gap = until("the gap", lambda: run.alive() and next((g for g in run.rows("gaps", instrument=NAME) if g["to"]), None), every=0.02)
            begin, end = seconds(gap["from"]), seconds(gap["to"])
            db = sqlite3.connect(f"file:{folder / 'repair/store.db'}?mode=ro", uri=True)

            def whole():
                run.alive()
                trades = db.execute("SELECT count(*) FROM trades WHERE trade_order BETWEEN ? AND ?", (gap["first_id"], gap["last_id"])).fetchone()[0]
                if trades < gap["last_id"] - gap["first_id"] + 1:
                    return False
                rows = db.execute("SELECT completeness, repaired FROM candles WHERE interval = 1 AND start >= ? AND start < ?",
                                  (int(begin) * 10**9, int(end) * 10**9)).fetchall()
                return len(rows) >= int(end) - int(begin) and all(r == (1, 1) for r in rows)
            until("the candles are whole", whole, every=0.05)
            took = time.time() - end
            requests = run.metric("truetape_backfill_requests_total")
            run.take_in(venue)
    print(f"{gap['last_id'] - gap['first_id'] + 1} trades are repaired, and their candles corrected in the store, {took:.1f} s after the next trade, by {requests:.0f} requests", flush=True)


def million(folder):
    with Venue("--symbols", "BTCUSDT", "--rate", 20000, "--length", "58s", "--linger", "forever", "--shift", "2025-06-01T00:00:00Z", "--keep", 2_000_000, trades=False) as venue:
        sets = [*FILLED, "rule.future.tolerance=24h", "backfill.share=45"]
        with Run(folder / "million", NAME, venues=[venue], sets=sets) as run:
            run.wait_more(20_000)
            run.kill()
        away = venue.last_id("BTCUSDT")
        until("a million trades", lambda: venue.last_id("BTCUSDT") >= away + 1_000_000, every=5)
        with Run(folder / "million", NAME, venues=[venue], sets=sets) as run:
            gap = until("the gap", lambda: run.alive() and next((g for g in run.rows("gaps", instrument=NAME) if g["to"] and g["state"] in ("open", "progress")), None))
            began, first, most, told = time.monotonic(), anonymous(run), 0.0, 0.0
            while run.metric("truetape_backfill_missing_ids") > 0 or run.metric("truetape_backfill_gaps") > 0:
                run.alive()
                most = max(most, anonymous(run))
                if time.monotonic() > told + 60:
                    told = time.monotonic()
                    print(f"  {told - began:4.0f} s: {run.metric('truetape_backfill_missing_ids'):9.0f} ids missing, RssAnon {anonymous(run):.0f} MB", flush=True)
                time.sleep(1)
            took = time.monotonic() - began
            print(f"a hole of {gap['last_id'] - gap['first_id'] + 1} trades: filled in {took:.0f} s; RssAnon {first:.0f} MB when it was named, at most {most:.0f} MB while it was filled", flush=True)


def main():
    words = sys.argv[1:] or ["seen", "repair"]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="truetape-fill-"))
    try:
        for word in words:
            {"seen": seen, "repair": repair, "million": million}[word](folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
