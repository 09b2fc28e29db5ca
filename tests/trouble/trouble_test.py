#!/usr/bin/env python3
"""Seeded scenarios of trouble over real sockets: whatever goes wrong, in the end the store holds what the undisturbed run holds;
and where the venue cannot give what is missing, just the candles say so that must. tests/live/truth.py judges each by the
simulator's own lists: the rows of the store, and every state that the log ever held of a candle. In the end it is told how
many candles were proven in all scenarios together, and how many of them were false: none may be.

    TRUETAPE_SPOT_SEEDS       how many seeds of spot, from TRUETAPE_SPOT_FROM (1) on; without it 2, 8, 10 and 16, which have all kinds of trouble
    TRUETAPE_USDM_SEEDS  (1) how many of USD-M, from 24 on
    TRUETAPE_SIDE_BY_SIDE (4) at once"""
import collections
import concurrent.futures
import os
import pathlib
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import trouble  # noqa: E402
import live  # noqa: E402
import truth  # noqa: E402
from trouble import Story, judged, judged_states, query, story, tool  # noqa: E402

check = unittest.TestCase()
check.maxDiff = 4000
FIRST, COUNT = int(os.environ.get("TRUETAPE_SPOT_FROM", "1")), int(os.environ.get("TRUETAPE_SPOT_SEEDS", "0"))
SEEDS = range(FIRST, FIRST + COUNT) if COUNT else (2, 8, 10, 16)
USDM_SEEDS = range(24, 24 + int(os.environ.get("TRUETAPE_USDM_SEEDS", "1")))
# So many seeds must have all kinds of trouble between them; fewer that somebody has chosen need not.
ALL_KINDS = not COUNT or COUNT >= 20


class Tally:
    """What all scenarios that ran came to."""

    def __init__(self):
        self.lock, self.scenarios = threading.Lock(), 0
        self.rows, self.states, self.done, self.displaced = collections.Counter(), collections.Counter(), collections.Counter(), 0.0

    def add(self, name, one, venue, data, rows, states):
        happened, displaced = trouble.done(one, venue), trouble.displaced(data)
        with self.lock:
            self.scenarios += 1
            self.rows += rows
            self.states += states
            self.done += happened
            self.displaced = max(self.displaced, displaced)
        print(f"  {name}: done: {', '.join(f'{k} {n}' for k, n in sorted(happened.items()))}; a trade came up to {displaced:.1f} s behind a later one", flush=True)
        print(f"  {name}: asked: {', '.join(f'{path} {status} {n}' for path, by in venue.truth['rest'].items() for status, n in by.items())}", flush=True)
        print(f"  {name}: in the store {told(rows)}", flush=True)
        print(f"  {name}: ever told    {told(states)}", flush=True)


def told(counts):
    """How many proven candles were judged, of which status and proof, and how many were false."""
    parts = [f"{k.removeprefix(truth.PROVEN + ': ')} {n}" for k, n in sorted(counts.items()) if k.startswith(truth.PROVEN + ": ")]
    by = [f"{k.removeprefix(truth.PROVEN + ' of ')} {n}" for k, n in sorted(counts.items()) if k.startswith(truth.PROVEN + " of ")]
    return f"{counts[truth.FALSE]} of {counts[truth.PROVEN]} proven candles false ({'; '.join(parts)}; by interval {', '.join(by)})"


TALLY = Tally()


def judge(name, s, one, venue):
    """Store and log by what happened; the counts of both. Fails if anything is wrong or nothing was judged, and counts it in
    the tally all the same."""
    rows, states = collections.Counter(), collections.Counter()
    try:
        judged([venue], s.data, into=rows, drained=True)
    finally:
        try:
            judged_states([venue], s.data, into=states)
        finally:
            TALLY.add(name, one, venue, s.data, rows, states)
    check.assertGreater(rows[truth.PROVEN], 0)
    check.assertGreaterEqual(states[truth.PROVEN], rows[truth.PROVEN], "the store has proven candles that the log never held")
    return rows, states


def proved(data):
    """What audit says of each instrument."""
    verdicts = [line.split()[-1] for line in tool("audit", "--data", data).splitlines() if line.startswith("binance")]
    check.assertEqual(set(verdicts), {"proved"})


def repaired(s, name, one):
    """Trouble of one seed ends with the digests of the run without any."""
    print(f"  {name}: {one}", flush=True)
    undisturbed = s.folder / "undisturbed"
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        calm = beside.submit(trouble.play, one.calm, undisturbed)
        venue = trouble.play(one, s.data, keep=True)
        try:
            check.assertEqual(calm.result().trades, venue.trades)
            rows, states = judge(name, s, one, venue)
        finally:
            venue.folder.cleanup()
    for counts in (rows, states):
        check.assertGreater(counts[truth.of_interval(60)], 0, "no proven candle of a minute")
    check.assertEqual(query(undisturbed, "gaps"), [])
    check.assertGreater(trouble.never_sent(venue), 0, "nothing was lost: the scenario shows nothing")
    check.assertEqual(tool("digest", "--data", s.data, "--from", "store"), tool("digest", "--data", undisturbed, "--from", "store"))
    found = [g["state"] for g in query(s.data, "gaps")]
    check.assertGreater(len(found), 0)
    print(f"  {name}: {len(found)} gaps, {trouble.never_sent(venue)} trades sent on no connection", flush=True)
    proved(s.data)


LIVE = ("open", "progress", "lost")


def judge_gaps(s, one, venue):
    """Each closed candle says `gap` just where a hole between stored trades touches it."""
    happened = truth.Truth(venue.truth_file, venue.trades_file).happened
    holes = 0
    for name in one.names:
        stored = {int(t["id"]) for t in query(s.data, "trades", "--instrument", name)}
        holes += len(truth.holes(stored))
        for interval, length in (("1s", 1000), ("1m", 60_000), ("5m", 300_000)):
            rows = [r for r in query(s.data, "candles", "--interval", interval, "--instrument", name) if r["status"] != "open" and r["completeness"] != "partial"]
            says = {live.ms(r["start"]) for r in rows if r["completeness"] == "gap"}
            must = trouble.touched(happened[name], stored, length) & {live.ms(r["start"]) for r in rows}
            check.assertEqual(says, must, (name, interval))
    check.assertGreater(holes, 0)
    return holes


def for_good(name, s, extra, limits, states, settled):
    """The venue gives none of what is missing: no candle is whole that lacks a trade, and no other suffers."""
    faults = ["drop,rate=0.01,streams=*@trade,at=5s,for=31s", "cut,at=12s", "silence,streams=ethusdt@trade,at=20s,for=3s"]
    one = Story(101, faults, [trouble.Restart(25, 2, True)])
    venue = trouble.play(one, s.data, limits=limits, extra=extra, settled=settled, keep=True)
    try:
        judge(name, s, one, venue)
        judge_gaps(s, one, venue)
    finally:
        venue.folder.cleanup()
    found = {g["state"] for g in query(s.data, "gaps")}
    check.assertLessEqual(found, set(states), found)
    proved(s.data)


def refused_for_good(s):
    """It refuses the question: after three equal answers over a minute the gaps are lost."""
    for_good("refused_for_good", s, ["refuse,how=rest,status=400,path=*historicalTrades"], (), ("lost",), lambda gaps: gaps and all(g["state"] == "lost" for g in gaps))


def not_there_at_all(s):
    """The address has no such call, as Binance's market-data-only host: the gaps stay open, which is told."""
    for_good("not_there_at_all", s, ["refuse,how=rest,status=451,path=*trades"], ("history=false",), ("open", "progress"), lambda gaps: gaps and all(g["last_id"] and g["state"] in ("open", "progress") for g in gaps))


CASES = {"refused_for_good": refused_for_good, "not_there_at_all": not_there_at_all}
CASES |= {f"seed_{seed}": (lambda s, seed=seed: repaired(s, f"seed {seed}", story(seed))) for seed in SEEDS}
CASES |= {f"seed_{seed}_usdm": (lambda s, seed=seed: repaired(s, f"seed {seed} of USD-M", story(seed, "binance-usdm"))) for seed in USDM_SEEDS}
Trouble = live.side_by_side(CASES, "Trouble")


def together(self):
    """All scenarios; the last by name, so that the others have ended."""
    print(f"  {TALLY.scenarios} scenarios: done: {', '.join(f'{k} {n}' for k, n in sorted(TALLY.done.items()))}; a trade came up to {TALLY.displaced:.1f} s behind a later one")
    print(f"  {TALLY.scenarios} scenarios: in the store {told(TALLY.rows)}")
    print(f"  {TALLY.scenarios} scenarios: ever told    {told(TALLY.states)}")
    self.assertEqual(TALLY.scenarios, len(CASES), "a scenario failed before it was judged, or was not chosen")
    for counts in (TALLY.rows, TALLY.states):
        self.assertEqual(counts[truth.FALSE], 0)
        self.assertGreater(counts[truth.PROVEN], 100 * len(CASES) // 2)
        for status in ("closed", "corrected"):
            self.assertGreater(counts[f"{truth.PROVEN}: {status}, complete by ids"], 0)
    if ALL_KINDS:
        self.assertEqual(trouble.kinds_of(TALLY.done), set(trouble.KINDS), "a kind of trouble never happened")
        self.assertGreater(TALLY.displaced, 1.0, "no trade came late enough")


Trouble.test_together = together

if __name__ == "__main__":
    live.main()
