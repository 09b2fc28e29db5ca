#!/usr/bin/env python3
"""Seeded scenarios of trouble over real sockets: whatever goes wrong, in the end the store holds what the undisturbed run holds;
and where the venue cannot give what is missing, just the candles say so that must.

    TRUETAPE_SEEDS (4)   how many seeds, from TRUETAPE_SEED_FROM (1) on; TRUETAPE_SIDE_BY_SIDE (4) at once"""
import concurrent.futures
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import trouble  # noqa: E402
import live  # noqa: E402
import truth  # noqa: E402
from trouble import NAMES, Story, judged, query, story, tool  # noqa: E402

check = unittest.TestCase()
check.maxDiff = 4000
FIRST, COUNT = int(os.environ.get("TRUETAPE_SEED_FROM", "1")), int(os.environ.get("TRUETAPE_SEEDS", "4"))


def proved(data):
    """What audit says of each instrument."""
    verdicts = [line.split()[-1] for line in tool("audit", "--data", data).splitlines() if line.startswith("binance:")]
    check.assertEqual(set(verdicts), {"proved"})


def repaired(s, seed):
    """Trouble of one seed ends with the digests of the run without any."""
    one = story(seed)
    print(f"  seed {seed}: {one}", flush=True)
    undisturbed = s.folder / "undisturbed"
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        calm = beside.submit(trouble.play, Story(seed, [], []), undisturbed)
        venue = trouble.play(one, s.data)
        check.assertEqual(calm.result().trades, venue.trades)
    check.assertEqual(query(undisturbed, "gaps"), [])
    check.assertGreater(trouble.never_sent(venue), 0, "nothing was lost: the scenario shows nothing")
    check.assertEqual(tool("digest", "--data", s.data, "--from", "store"), tool("digest", "--data", undisturbed, "--from", "store"))
    found = [g["state"] for g in query(s.data, "gaps")]
    check.assertGreater(len(found), 0)
    print(f"  seed {seed}: {len(found)} gaps, {trouble.never_sent(venue)} trades sent on no connection", flush=True)
    proved(s.data)


LIVE = ("open", "progress", "lost")


def judge_gaps(s, venue):
    """Each closed candle says `gap` just where a hole between stored trades touches it; none is false."""
    judged([venue], s.data, drained=True)
    happened = truth.Truth(venue.truth_file, venue.trades_file).happened
    holes = 0
    for name in NAMES:
        stored = {int(t["id"]) for t in query(s.data, "trades", "--instrument", name)}
        holes += len(truth.holes(stored))
        for interval, length in (("1s", 1000), ("1m", 60_000), ("5m", 300_000)):
            rows = [r for r in query(s.data, "candles", "--interval", interval, "--instrument", name) if r["status"] != "open" and r["completeness"] != "partial"]
            says = {live.ms(r["start"]) for r in rows if r["completeness"] == "gap"}
            must = trouble.touched(happened[name], stored, length) & {live.ms(r["start"]) for r in rows}
            check.assertEqual(says, must, (name, interval))
    check.assertGreater(holes, 0)
    return holes


def for_good(s, extra, limits, states, settled):
    """The venue gives none of what is missing: no candle is whole that lacks a trade, and no other suffers."""
    faults = ["drop,rate=0.01,streams=*@trade,at=3s,for=31s", "cut,at=12s", "silence,streams=ethusdt@trade,at=20s,for=3s"]
    venue = trouble.play(Story(101, faults, [trouble.Restart(25, 2, True)]), s.data, limits=limits, extra=extra, settled=settled, keep=True)
    try:
        judge_gaps(s, venue)
    finally:
        venue.folder.cleanup()
    found = {g["state"] for g in query(s.data, "gaps")}
    check.assertLessEqual(found, set(states), found)
    proved(s.data)


def refused_for_good(s):
    """It refuses the question: after three equal answers over a minute the gaps are lost."""
    for_good(s, ["refuse,how=rest,status=400,path=*historicalTrades"], (), ("lost",), lambda gaps: gaps and all(g["state"] == "lost" for g in gaps))


def not_there_at_all(s):
    """The address has no such call, as Binance's market-data-only host: the gaps stay open, which is told."""
    for_good(s, ["refuse,how=rest,status=451,path=*trades"], ("history=false",), ("open", "progress"), lambda gaps: gaps and all(g["last_id"] and g["state"] in ("open", "progress") for g in gaps))


CASES = {"refused_for_good": refused_for_good, "not_there_at_all": not_there_at_all}
CASES |= {f"seed_{seed}": (lambda s, seed=seed: repaired(s, seed)) for seed in range(FIRST, FIRST + COUNT)}
Trouble = live.side_by_side(CASES, "Trouble")

if __name__ == "__main__":
    live.main()
