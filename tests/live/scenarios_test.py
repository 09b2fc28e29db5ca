#!/usr/bin/env python3
"""Cases that break the naive version (docs/semantics.md, section 12), those that need a network: `truetape sim` misbehaves,
`truetape run` must say exactly what is missing and what is not. Each ends with truth.py's judgement.

The cases take their time at the venue's pace and wait for each other nowhere, so some run side by side."""
import unittest

import live
from live import Run, Venue, ids_of, judged, query, tool, until

NAME = "binance:BTCUSDT"
check = unittest.TestCase()
check.maxDiff = 4000


def missing_of(venue, symbol="BTCUSDT", reasons=None):
    """Ids that happened while a connection was there and were withheld, and sent on no other."""
    happened, sent = set(), set()
    for instrument in venue.truth["instruments"]:
        if instrument["symbol"] == symbol:
            happened |= set(ids_of(instrument["trades"]))
    for connection in venue.truth["connections"]:
        for stream in connection["streams"]:
            if stream["stream"] == symbol.lower() + "@trade":
                sent |= set(ids_of(stream["sent"]))
    low, high = min(sent), max(sent)
    return sorted(i for i in happened - sent if low < i < high)


def ranges(ids):
    out = []
    for i in ids:
        if out and out[-1][1] == i - 1:
            out[-1][1] = i
        else:
            out.append([i, i])
    return [tuple(r) for r in out]


def gaps(data, instrument=NAME):
    return [(g["first_id"], g["last_id"], g["state"]) for g in query(data, "gaps") if g["instrument"] == instrument]


def seconds(data, instrument=NAME):
    """Completeness of the one-second candles in their order, the open ones as ''."""
    rows = query(data, "candles", "--interval", "1s", "--instrument", instrument)
    return [r["completeness"] or "" for r in rows], rows


def expect_whole(data, instrument=NAME, least=3):
    """The first second is partial, the last open, and all between complete by ids."""
    words, rows = seconds(data, instrument)
    check.assertGreater(len(words), least)
    check.assertEqual(words[0], "partial")
    check.assertEqual(set(words[1:-1]), {"complete"}, [r for r in rows[1:-1] if r["completeness"] != "complete"][:3])
    check.assertEqual({r["proof"] for r in rows[1:-1]}, {"ids"})
    check.assertEqual(rows[-1]["status"], "open")
    check.assertEqual(query(data, "gaps"), [])
    check.assertEqual(query(data, "quarantine"), [])


# ---- the cases

def an_old_capture_today(s):
    """Trades of 2024, received today, thirty times as fast as they happened: content as if imported."""
    with Venue(live.RECORDING, "--speed", 30, "--linger", "forever") as venue:
        with Run(s.data, NAME, venues=[venue], sets=["rule.future.tolerance=1h"]) as run:
            run.wait_in_candles(NAME, 19904)
            rows = run.rows("candles", instrument=NAME, interval="1m")[:11]  # in the last the capture ends; the venue's time goes on
            check.assertEqual((rows[0]["start"], rows[-1]["start"]), ("2024-08-08T23:54:00Z", "2024-08-09T00:04:00Z"))
            check.assertEqual([r["completeness"] for r in rows], ["partial"] + ["complete"] * 10)
            check.assertEqual({r["proof"] for r in rows[1:]}, {"ids"})
            check.assertEqual(run.rows("gaps"), [])
            run.take_in(venue)
        imported = s.folder / "imported"
        tool("import", "--data", imported, "--venue", "binance", live.RECORDING)
        check.assertEqual(tool("digest", "--data", s.data, "--from", "store"), tool("digest", "--data", imported, "--from", "store"))
        check.assertEqual(query(s.data, "quarantine"), [])
        counts = judged([venue], s.data, drained=True)
        check.assertEqual(counts["stored"], 19904)


def the_cable_is_pulled(s):
    """No FIN, no pong: noticed by silence, and one gap names exactly what was sent into the void."""
    with Venue("--symbols", "BTCUSDT", "--rate", 20, "--fault", "half_open,at=4s,connection=1") as venue:
        with Run(s.data, NAME, venues=[venue]) as run:
            until("the gap is named", lambda: run.alive() and [g for g in run.rows("gaps", instrument=NAME) if g["state"] == "open" and g["last_id"]])
            run.wait_more(60)
            shown = run.rows("gaps", instrument=NAME)
            check.assertGreaterEqual(sum(c["connects"] for c in run.connections()), 2)
            run.take_in(venue)
        judged([venue], s.data, drained=True)
        missing = ranges(missing_of(venue))
        check.assertEqual(len(missing), 1)
        check.assertEqual(gaps(s.data), [(*missing[0], "open")])
        check.assertEqual([(g["first_id"], g["last_id"], g["state"], g["missing"]) for g in shown], [(*missing[0], "open", missing[0][1] - missing[0][0] + 1)])
        words, rows = seconds(s.data)
        check.assertEqual(words[0], "partial")
        # One run of gaps, complete before and after.
        squeezed = [w for i, w in enumerate(words[1:-1]) if i == 0 or words[1:-1][i - 1] != w]
        check.assertEqual(squeezed, ["complete", "gap", "complete"])
        check.assertEqual({r["proof"] for r in rows[1:-1] if r["completeness"] == "complete"}, {"ids"})


def a_clock_minutes_wrong(s, by):
    """The venue's clock is not ours: nothing is from the future, nothing is late, no gap."""
    with Venue("--symbols", "BTCUSDT,ETHUSDT", "--rate", 40, "--shift", f"now{by}") as venue:
        with Run(s.data, NAME, "binance:ETHUSDT", venues=[venue]) as run:
            run.wait_more(240)
            for row in run.get("/api/v1/instruments")["rows"]:
                check.assertFalse(row["stale"], row)
            run.take_in(venue)
        judged([venue], s.data, drained=True)
        for name in (NAME, "binance:ETHUSDT"):
            expect_whole(s.data, name)


def the_clock_goes_wrong_in_between(s):
    """Its own times (E, time) jump by five minutes and back, the trades' do not: nothing becomes false, nothing is held."""
    with Venue("--symbols", "BTCUSDT", "--rate", 30, "--fault", "skew,at=3s,for=4s,by=5m") as venue:
        with Run(s.data, NAME, venues=[venue]) as run:
            run.wait_more(330)
            run.take_in(venue)
        judged([venue], s.data, drained=True)
        expect_whole(s.data, least=8)


def a_kill_between_the_session_records_of_two_partitions(s):
    """ETHUSDT is added while BTCUSDT runs; the venue's answer is kept back, so that ETHUSDT's trades are in the log and its
    session is not. Then SIGKILL. Both have one gap, from the last that reached the log to the first after it."""
    other = "binance:ETHUSDT"
    with Venue("--symbols", "BTCUSDT,ETHUSDT", "--rate", 60, "--fault", "ack,how=none,after=1,connection=1") as venue:
        started = {"venues": [venue], "sets": ["log.partitions=8"]}
        with Run(s.data, NAME, **started) as run:
            def known(name):
                until("complete seconds", lambda: run.alive() and [r["completeness"] for r in run.rows("candles", instrument=name, interval="1s")].count("complete") > 1)
            known(NAME)
            check.assertEqual(run.ask("/api/v1/instruments", "POST", {"instrument": other})[0], 202)
            known(other)
            run.kill()
        before = live.raw_records(s.data)
        place = {name: {r["partition"] for r in before if r["headers"]["kind"] == "frame" and r["headers"]["instruments"] == name} for name in (NAME, other)}
        check.assertEqual({len(p) for p in place.values()}, {1})
        check.assertNotEqual(place[NAME], place[other], "the case needs two partitions: name other instruments")
        told = {name: [r for r in before if r["headers"]["kind"] == "session" and name in r["headers"]["instruments"].split(",")] for name in (NAME, other)}
        check.assertGreater(len(told[NAME]), 0)
        check.assertEqual(told[other], [], "its session was not to be told yet")
        # Both trade while nobody listens: without that there would be nothing to miss.
        down = {name: venue.last_id(name.split(":")[1]) for name in (NAME, other)}
        for name in (NAME, other):
            until(f"a trade of {name} while run is down", lambda n=name: venue.last_id(n.split(":")[1]) > down[n])
        with Run(s.data, NAME, **started) as run:
            for name in (NAME, other):
                until(f"a gap of {name}", lambda n=name: run.alive() and [g for g in run.rows("gaps", instrument=n) if g["last_id"]])
            run.wait_more(100)
            run.take_in(venue)
        judged([venue], s.data, drained=True)
        for name in (NAME, other):
            found = gaps(s.data, name)
            check.assertEqual(len(found), 1, found)
            check.assertEqual(found[0][2], "open")
            words, rows = seconds(s.data, name)
            # The judge has shown that no word is false; here, that no more is in doubt than must be.
            squeezed = [w for i, w in enumerate(words[1:-1]) if i == 0 or words[1:-1][i - 1] != w]
            check.assertEqual(squeezed, ["complete", "gap", "complete"])


def a_lost_tail_then_the_next_trade(s):
    """BTCUSDT falls silent for seconds in which it traded; ETHUSDT on the same connection moves time on. The second of its last
    trade is complete by the session's word, until the next trade's id shows what was lost: then it is a gap with its number."""
    # Long: a process that a busy machine has held up for as long would hear of both at once, and tell the end alone.
    with Venue("--symbols", "BTCUSDT,ETHUSDT", "--rate", 40, "--fault", "silence,at=5s,for=20s,streams=btcusdt@trade") as venue:
        with Run(s.data, NAME, "binance:ETHUSDT", venues=[venue]) as run:
            until("the gap is named", lambda: run.alive() and [g for g in run.rows("gaps", instrument=NAME) if g["state"] == "open" and g["last_id"]])
            run.wait_more(100)
            run.take_in(venue)
        judged([venue], s.data, drained=True)
        missing = ranges(missing_of(venue))
        check.assertEqual(len(missing), 1)
        check.assertEqual(gaps(s.data), [(*missing[0], "open")])
        check.assertEqual(gaps(s.data, "binance:ETHUSDT"), [])
        emitted = {}
        for record in tool("log", "cat", "candles", "--data", s.data).splitlines():
            row = live.json.loads(record)["value"]
            if row["instrument"] == NAME and row["interval"] == "1s" and row["status"] != "open":
                emitted.setdefault(row["start"], []).append((row["status"], row["completeness"], row["proof"], row["last_id"]))
        last = [words for words in emitted.values() if any(w[3] == missing[0][0] - 1 for w in words)]
        check.assertEqual(len(last), 1)
        check.assertEqual(last[0][0][:3], ("closed", "complete", "session"))
        check.assertEqual(last[0][-1][:3], ("corrected", "gap", "ids"))
        check.assertEqual({r["completeness"] for r in seconds(s.data)[1][1:-1] if r["last_id"] and r["last_id"] < missing[0][0] - 1}, {"complete"})


def the_cut_of_24_hours_with_overlap(s):
    """Connections live ten seconds here, and say so five seconds before: the successor takes over, and no id is missing."""
    with Venue("--symbols", "BTCUSDT,ETHUSDT", "--rate", 60, "--limit", "life=10s", "--limit", "life_notice=5s") as venue:
        with Run(s.data, NAME, "binance:ETHUSDT", venues=[venue]) as run:
            until("a third connection", lambda: run.alive() and run.metric("truetape_ingest_connects_total") >= 3)
            run.wait_more(100)
            run.take_in(venue)
        judged([venue], s.data, drained=True)
        check.assertGreaterEqual(len(venue.truth["connections"]), 3)
        for name in (NAME, "binance:ETHUSDT"):
            expect_whole(s.data, name, least=8)


def one_of_two_connections_lags(s):
    """The twin is two seconds behind: each trade twice in the log and once in the store, and no hole was real."""
    with Venue("--symbols", "BTCUSDT,ETHUSDT", "--rate", 60, "--fault", "delay,connection=2,by=2s") as venue:
        with Run(s.data, NAME, "binance:ETHUSDT", venues=[venue], sets=["feed.binance.connections=2"]) as run:
            run.wait_more(500)
            duplicates = run.metric("truetape_items_total", outcome="duplicate")
            check.assertGreater(duplicates, 200)
            run.take_in(venue)
        counts = judged([venue], s.data, drained=True)
        check.assertEqual(counts["missing ids"], 0)
        for name in (NAME, "binance:ETHUSDT"):
            expect_whole(s.data, name, least=5)


CASES = {
    "an_old_capture_today": an_old_capture_today,
    "the_cable_is_pulled": the_cable_is_pulled,
    "a_clock_five_minutes_ahead": lambda s: a_clock_minutes_wrong(s, "+5m"),
    "a_clock_five_minutes_behind": lambda s: a_clock_minutes_wrong(s, "-5m"),
    "the_clock_goes_wrong_in_between": the_clock_goes_wrong_in_between,
    "a_kill_between_the_session_records_of_two_partitions": a_kill_between_the_session_records_of_two_partitions,
    "a_lost_tail_then_the_next_trade": a_lost_tail_then_the_next_trade,
    "the_cut_of_24_hours_with_overlap": the_cut_of_24_hours_with_overlap,
    "one_of_two_connections_lags": one_of_two_connections_lags,
}


Scenarios = live.side_by_side(CASES, "Scenarios")

if __name__ == "__main__":
    live.main()
