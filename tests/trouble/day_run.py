#!/usr/bin/env python3
"""A day of a venue in half an hour: `truetape sim --speed`, a fault every few minutes, `truetape run` with its own backfill. In the
end every trade that happened is in the store once, by the simulator's own list; no candle that is proven is false, nor was any
before it was corrected; audit says proved; the memory is flat. A line a minute tells how it stands.

    TRUETAPE_DAY_MINUTES (30)  of wall time for the TRUETAPE_DAY_HOURS (24) of the venue
    TRUETAPE_DAY_RATE (12)     trades a second of the venue's time, all symbols"""
import collections
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import trouble  # noqa: E402
import live  # noqa: E402
import truth  # noqa: E402
from trouble import judged, query, tool  # noqa: E402

sys.path.insert(0, str(trouble.ROOT / "tests/live"))

MINUTES = float(os.environ.get("TRUETAPE_DAY_MINUTES", "30"))
RATE = float(os.environ.get("TRUETAPE_DAY_RATE", "12"))
HOURS = float(os.environ.get("TRUETAPE_DAY_HOURS", "24"))
SPEED = HOURS * 60 / MINUTES
SYMBOLS = ("BTCUSDT", "ETHUSDT", "LTCUSDT")
NAMES = [f"binance:{s}" for s in SYMBOLS]
SETS = ["rule.future.tolerance=48h", "backfill.enabled=yes"]
MB = 10**6


def every(minutes, at):
    """Times of a fault, which are on the venue's clock, in minutes of ours."""
    return f"at={at * SPEED * 60:.0f}s,every={minutes * SPEED * 60:.0f}s"


def lasting(seconds):
    return f"for={seconds * SPEED:.0f}s"


FAULTS = [
    f"cut,how=reset,{every(4, 1)}", f"cut,how=fin,{every(7, 2)}", f"cut,how=close,{every(11, 3.3)}",
    f"silence,streams=ethusdt@trade,{every(5, 1.7)},{lasting(3)}", f"half_open,{every(13, 4.1)},{lasting(20)}",
    "drop,rate=0.0005,streams=*@trade", "duplicate,rate=0.002", "reorder,rate=0.002,distance=5",
    "corrupt,how=html,rate=0.0002,streams=*@trade", f"stall,{every(6, 2.6)},{lasting(2)}", "refuse,how=rest,status=503,path=*historicalTrades,rate=0.2",
    "lag,how=answers,by=100ms"]


def anonymous(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no RssAnon")


class Day(live.Case):
    def test_day(self):
        words = [w for f in FAULTS for w in ("--fault", f)]
        samples, kills = [], [0.2, 0.45]
        with trouble.Kept("--symbols", ",".join(SYMBOLS), "--rate", RATE, "--length", f"{HOURS * 60:.0f}m", "--seed", 24, "--speed", f"{SPEED:g}",
                        "--shift", "2025-06-01T00:00:00Z", "--linger", "forever", *words) as venue:
            runs = [live.Run(self.data, *NAMES, venues=[venue], sets=SETS)]
            began, next_line = time.monotonic(), 0.0
            try:
                while (passed := (time.monotonic() - began) / 60) < MINUTES:
                    run = runs[-1]
                    run.alive()
                    if kills and passed > kills[0] * MINUTES:
                        kills.pop(0)
                        run.kill()
                        time.sleep(2)
                        runs.append(live.Run(self.data, *NAMES, venues=[venue], sets=SETS))
                        print(f"killed after {passed:.1f} min", flush=True)
                        continue
                    samples.append((passed, anonymous(run.process.pid)))
                    if passed >= next_line:
                        next_line += 1
                        print(f"{passed:5.1f} min: {samples[-1][1] // MB} MB, accepted {run.accepted():.0f}, gaps {gap_states(run)}", flush=True)
                    time.sleep(min(5.0, MINUTES * 2))
                run, before = runs[-1], {}
                while before != (before := last_ids(venue)):
                    time.sleep(3)

                def done():
                    run.alive()
                    newest = {n: max((c["last_id"] for c in run.rows("candles", instrument=n, interval="1m") if c["last_id"]), default=0) for n in NAMES}
                    return newest == before and not {s for s in gap_states(run) if s not in trouble.ENDED}
                live.until("all has come and the gaps have ended", done, guard=900, every=2)
                run.take_in(venue)
                run.stop()
            except BaseException:
                print(f"---\n{runs[-1].log()[-8000:]}\n---", file=sys.stderr, flush=True)
                runs[-1].kill()
                raise
            finally:
                for each in runs:
                    each.process.stdout.close()
                    each.told.close()
        self.addCleanup(venue.folder.cleanup)
        counts, states = collections.Counter(), collections.Counter()
        try:
            try:
                judged([venue], self.data, into=counts, drained=True)
            finally:
                live.judged_states([venue], self.data, into=states)
        finally:
            print(dict(counts), flush=True)
            for what, judgement in (("in the store", counts), ("ever told", states)):
                by = ", ".join(f"{k.removeprefix(truth.PROVEN + ' of ')} {n}" for k, n in sorted(judgement.items()) if k.startswith(truth.PROVEN + " of "))
                print(f"{what}: {judgement[truth.FALSE]} of {judgement[truth.PROVEN]} proven candles false (by interval {by})", flush=True)
        happened = truth.Truth(venue.truth_file, venue.trades_file).happened
        stored = {n: sorted(int(t["id"]) for t in query(self.data, "trades", "--instrument", n)) for n in NAMES}
        wanted = [s for s in (300, 3600) if any(has_whole_window(happened[n], stored[n], s) for n in NAMES)]
        print(f"proven candles there must be of {wanted} s", flush=True)
        for judgement in (counts, states):
            self.assertGreater(judgement[truth.PROVEN], 0)
            self.assertEqual(judgement[truth.FALSE], 0)
            for seconds in wanted:
                self.assertGreater(judgement[truth.of_interval(seconds)], 0, f"no proven candle of {seconds} s")
        for instrument in venue.truth["instruments"]:
            stored = sorted(int(t["id"]) for t in query(self.data, "trades", "--instrument", f"binance:{instrument['symbol']}"))
            known = {i for i in live.ids_of(instrument["trades"]) if i >= stored[0]}
            self.assertEqual(len(stored), len(set(stored)), "a trade is in the store twice")
            self.assertEqual(set(stored), known, "lost, or made up")
        verdicts = [line.split()[-1] for line in tool("audit", "--data", self.data).splitlines() if line.startswith("binance:")]
        self.assertEqual(set(verdicts), {"proved"})
        # Flat: the last quarter is not above the quarter after the last kill by more than a tenth and 20 MB.
        early = sorted(m for minute, m in samples if 0.5 <= minute / MINUTES < 0.75)
        late = sorted(m for minute, m in samples if minute / MINUTES >= 0.75)
        self.assertLess(late[len(late) // 2], early[len(early) // 2] * 1.1 + 20 * MB)


def has_whole_window(happened, stored, seconds):
    """Whether one lies between the first trade that is stored and the last minute: only such a one can be proven by now."""
    length = seconds * 1000
    begin = -(-happened[stored[0]].ms // length) * length
    return begin + length <= happened[stored[-1]].ms - 60_000


def gap_states(run):
    out = {}
    for name in NAMES:
        for gap in run.rows("gaps", instrument=name, limit=10000):
            out[gap["state"]] = out.get(gap["state"], 0) + 1
    return out


def last_ids(venue):
    return {f"binance:{s}": live.json.load(live.DIRECT.open(f"{venue.rest}/api/v3/aggTrades?symbol={s}&limit=1", timeout=30))[-1]["l"] for s in SYMBOLS}


if __name__ == "__main__":
    live.main()
