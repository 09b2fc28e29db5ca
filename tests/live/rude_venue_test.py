#!/usr/bin/env python3
"""A venue that does what no venue should: `truetape run` says so, goes on, and what it missed is a named gap. README.md lists
where each of these is tested in the small."""
import subprocess
import unittest

import live
from live import Run, Venue, judged, query, until

NAME = "binance:BTCUSDT"
check = unittest.TestCase()


def goes_on(s, *faults, more=(), trades=150, sets=(), said=None):
    """With these faults; answers what run told on standard error, and the judge's counts."""
    options = [o for fault in faults for o in ("--fault", fault)]
    with Venue("--symbols", "BTCUSDT,ETHUSDT", "--rate", 50, *more, *options) as venue:
        with Run(s.data, NAME, "binance:ETHUSDT", venues=[venue], sets=sets) as run:
            until("trades", lambda: run.alive() and run.accepted() > 0)
            if said:
                until(f"it says: {said}", lambda: run.alive() and said in run.log())
            run.wait_more(trades)
            run.take_in(venue)
            told = run.log()
        hits = {f["fault"].split(",")[0].removeprefix("kind="): f["hits"] for f in venue.truth["faults"]}
        check.assertGreater(min(hits.values()), 0, f"a fault did not come about: {hits}")
        return told, judged([venue], s.data, drained=True), venue


def handshakes_are_refused(s):
    told, _, venue = goes_on(s, "refuse,how=handshake,count=2,at=0s,status=503")
    check.assertIn("503", told)


def a_place_that_is_not_served(s):
    """451 for the handshake: a sentence that says what to do, and no hammering."""
    with Venue("--symbols", "BTCUSDT", "--rate", 50, "--no-wait", "--fault", "refuse,how=handshake,status=451") as venue:
        with Run(s.data, NAME, venues=[venue]) as run:
            until("it says so", lambda: run.alive() and "451" in run.log())
            check.assertEqual(run.status("/health/live"), 200)
            check.assertEqual(run.get("/api/v1/pipeline")["rows"][0]["state"], "started")
        venue.process.terminate()
        venue.end()
        check.assertEqual(venue.truth["connections"], [])


def pages_instead_of_json(s):
    told, _, venue = goes_on(s, "refuse,how=html,path=*exchangeInfo,count=2", "corrupt,how=html,rate=0.02,streams=*@trade", trades=400)
    check.assertEqual({q["reason"] for q in query(s.data, "quarantine")}, {"syntax"})
    check.assertRegex(told, r"(an item|[0-9]+ items) went to quarantine; truetape query quarantine --data \S+ shows each with its reason")
    check.assertGreater(query(s.data, "gaps")[0]["missing"], 0)


def a_subscription_is_refused_at_first(s):
    goes_on(s, "ack,how=refuse,count=1,after=0")


def acks_for_a_wrong_id(s):
    """Ten seconds later the connection is made anew."""
    told, _, venue = goes_on(s, "ack,how=wrong_id,count=1,after=0,connection=1", said="no answer")
    check.assertGreaterEqual(len(venue.truth["connections"]), 2)


def silence_after_the_ack(s):
    """The stream is confirmed and gives nothing: not complete, not quiet, and told after a minute (in the small); here: no word is false."""
    with Venue("--symbols", "BTCUSDT,ETHUSDT", "--rate", 50, "--fault", "silence,streams=btcusdt@trade") as venue:
        with Run(s.data, NAME, "binance:ETHUSDT", venues=[venue]) as run:
            run.wait_more(200)
            check.assertEqual(run.rows("candles", instrument=NAME, interval="1s"), [])
            run.take_in(venue)
        judged([venue], s.data)
        check.assertEqual({t["instrument"] for t in query(s.data, "trades")}, {"binance:ETHUSDT"})


def a_message_over_the_limit_and_a_flood_of_pings(s):
    told, _, venue = goes_on(s, "oversize,at=2s,size=3000000", "ping_flood,at=6s,count=5000", trades=600)
    check.assertGreaterEqual(len(venue.truth["connections"]), 3, "each ends a connection, and the next goes on")


def a_half_open_connection(s):
    told, counts, venue = goes_on(s, "half_open,at=3s,connection=1", said="no answer to a ping")
    check.assertGreater(counts["gaps open"], 0)


def garbage_of_all_kinds(s):
    told, counts, _ = goes_on(s, "corrupt,rate=0.02,streams=*@trade", "corrupt,rate=0.02,how=flip,streams=*@trade", "corrupt,rate=0.01,how=binary,streams=*@trade", trades=400)
    check.assertGreater(len(query(s.data, "quarantine")), 0)


def a_wrong_certificate(s):
    """Signed by nobody: nothing is subscribed to, and the sentence names the certificate."""
    key, certificate = s.folder / "key.pem", s.folder / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    with Venue("--symbols", "BTCUSDT", "--no-wait", "--certificate", certificate, "--key", key) as venue:
        check.assertTrue(venue.websocket.startswith("wss://"))
        with Run(s.data, NAME, venues=[venue]) as run:
            until("it says so", lambda: run.alive() and "certificate" in run.log())
            check.assertEqual(run.status("/health/live"), 200)
        venue.process.terminate()
        venue.end()
        check.assertEqual(venue.truth["connections"], [])
        check.assertEqual(venue.truth["rest"], {})


CASES = {f.__name__: f for f in (handshakes_are_refused, a_place_that_is_not_served, pages_instead_of_json, a_subscription_is_refused_at_first,
                                 acks_for_a_wrong_id, silence_after_the_ack, a_message_over_the_limit_and_a_flood_of_pings, a_half_open_connection,
                                 garbage_of_all_kinds, a_wrong_certificate)}
RudeVenue = live.side_by_side(CASES, "RudeVenue")

if __name__ == "__main__":
    live.main()
