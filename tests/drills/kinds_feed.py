"""Drills: the venue, the way to it, and what is wanted of it."""
import json
import subprocess
import time

from kinds import Drill
from rig import BTC, ETH, SOL

FAILURES = "truetape_ingest_failures_total"


def silent_for(rig, venue="binance"):
    """Seconds since the last frame."""
    last = rig.metric("truetape_ingest_last_frame_seconds", venue=venue)
    return time.time() - last if last else 0


class Silent(Drill):
    alert = "TruetapeFeedSilent"

    def labels(self, rig):
        return {"venue": "binance"}

    def holds(self, rig):
        return bool(rig.metric("truetape_ingest_streams", venue="binance")) and silent_for(rig) > 15


class VenueGone(Silent):
    name, line = "feed-venue-gone", "the venue does not answer; it comes back after some minutes (nothing is to be done)"

    def stage(self, rig):
        rig.begin()
        rig.remember(pid=rig.unit("status")["pid"])
        rig.front(mode="gone")

    def scene(self, rig):
        time.sleep(240)
        rig.front(mode="pass")

    def over(self, rig):
        bad = super().over(rig)
        if rig.unit("status")["pid"] != rig.fact("pid"):
            bad.append("truetape was started anew, for which there was no reason (the tape would not have been worse, but the text says: nothing to restart)")
        return bad

    def story(self, rig):
        return "The venue's status page (https://www.binance.com) cannot be reached from here either. In this drill, if you conclude that there is nothing to do but to wait: look again after four minutes."


class Quiet(Silent):
    name, line = "feed-live-and-silent", "connected, confirmed, and nothing comes; new connections would work"

    def stage(self, rig):
        rig.begin(more=["--fault", "silence,connection=1,at=25s"], trades=10)

    def story(self, rig):
        return "The venue's site shows trades of BTCUSDT and ETHUSDT all the time."


class Barred(Drill):
    name, alert, line = "connections-barred", "TruetapeConnectionsFailing", "the venue bars this address since it asks too often"

    def labels(self, rig):
        return {"venue": "binance"}

    def stage(self, rig):
        rig.begin()
        rig.front(mode=429)
        rig.remember(failures=rig.metric(FAILURES, venue="binance"))

    def holds(self, rig):
        return (rig.metric(FAILURES, venue="binance") or 0) - rig.fact("failures") >= 2

    def scene(self, rig):
        """The bar is lifted when nothing has asked for a minute."""
        quiet = 0
        while quiet < 60:
            time.sleep(1)
            pipeline = rig.pipeline()
            quiet = quiet + 1 if pipeline is None or pipeline["state"] == "stopped" else 0
        rig.front(mode="pass")
        rig.remember(lifted=True)

    def over(self, rig):
        return [] if rig.fact("lifted") else ["the venue still bars this address"]

    def story(self, rig):
        return "In this drill ten minutes of waiting are one. There is no other address to use, and no other process here asks the venue."


class Authority(Drill):
    name, alert, line = "connections-certificate", "TruetapeConnectionsFailing", "the venue's certificate is of an authority that truetape does not trust"

    def labels(self, rig):
        return {"venue": "binance"}

    def stage(self, rig):
        for who, says in (("old", "Example Corp Egress CA 2019"), ("new", "Example Corp Egress CA 2026")):
            make_authority(rig, who, says)
        rig.venue(certificate=str(rig.own / "old.crt"), key=str(rig.own / "old.key"))
        # Named as the certificates are.
        rig.configure([BTC, ETH], ["binance"], net__ca_file=str(rig.root / "etc/ssl/corp-egress-2019.pem"))
        rig.start_unit()
        rig.wait("trades", lambda: (rig.metric("truetape_items_total", outcome="accepted") or 0) > 20, 60)
        time.sleep(1)
        rig.note()
        rig.front(certificate=str(rig.own / "new.crt"), key=str(rig.own / "new.key"))
        rig.remember(failures=rig.metric(FAILURES, venue="binance"))

    def holds(self, rig):
        return (rig.metric(FAILURES, venue="binance") or 0) - rig.fact("failures", 0) >= 3

    def over(self, rig):
        before = rig.metric(FAILURES, venue="binance")
        time.sleep(8)
        return [] if rig.metric(FAILURES, venue="binance") == before else ["connections still fail"]

    def story(self, rig):
        host = rig.state["venues"]["binance"]["rest"].removeprefix("https://")
        return (f"All ways out of this network lead through the company's gateway, which has certificates of its own; in this drill it is {host} (HOST:443 of the runbook).\n"
                f"The authorities that the company has published lie in {rig.root}/etc/ssl.")


def make_authority(rig, who, says):
    """An authority, published in etc/ssl, and a certificate of it for 127.0.0.1."""
    ssl = rig.root / "etc/ssl"
    ssl.mkdir(exist_ok=True)
    year = says[-4:]
    run = lambda *words: subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 30, "-subj", f"/CN={says}",
        "-keyout", rig.own / f"{who}-ca.key", "-out", ssl / f"corp-egress-{year}.pem")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", rig.own / f"{who}.key", "-out", rig.own / f"{who}.csr")
    (rig.own / f"{who}.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    run("x509", "-req", "-in", rig.own / f"{who}.csr", "-CA", ssl / f"corp-egress-{year}.pem", "-CAkey", rig.own / f"{who}-ca.key", "-CAserial", rig.own / f"{who}.srl", "-CAcreateserial", "-days", 30,
        "-extfile", rig.own / f"{who}.ext", "-out", rig.own / f"{who}.crt")


class Unknown(Drill):
    name, alert, line = "unknown-instruments", "TruetapeUnknownInstruments", "two symbols are spelt wrongly, one in the configuration, one by a command"
    keep = (BTC, ETH, SOL)

    def labels(self, rig):
        return {"venue": "binance"}

    def stage(self, rig):
        rig.begin(BTC, ETH)
        rig.unit("stop")
        rig.configure([BTC, "binance:ETHUSD", ETH], ["binance"])
        rig.unit("start")
        rig.tool("control", "add", "--data", rig.data, "binance:SOLUSD")

    def holds(self, rig):
        return rig.metric("truetape_ingest_unknown_instruments", venue="binance") or False

    def over(self, rig):
        if not self.holds(rig):
            rig.unit("restart")  # what is wrong in the configuration would come back
            rig.wait("ready", lambda: rig.status("/health/ready") == 200, 60)
            time.sleep(8)
        bad = super().over(rig)
        pipeline = json.dumps(rig.pipeline()["wanted"])
        return bad + [f"{wrong} is still wanted" for wrong in ("binance:ETHUSD", "binance:SOLUSD") if f'"{wrong}"' in pipeline]

    def story(self, rig):
        return "The traders want Bitcoin, Ether and Solana against USDT. Somebody began yesterday to set that up."


class Delisted(Drill):
    name, alert, line = "connection-delisted", "TruetapeConnectionSilent", "one connection's only symbol was delisted"
    keep = (BTC, ETH)

    def labels(self, rig):
        return {"venue": "binance-usdm", "connection": rig.fact("connection", "?")}

    def stage(self, rig):
        rig.venue(venue="binance-usdm", symbols="SOLUSDT", rate=3)
        rig.venue()
        rig.configure([BTC, ETH, "binance-usdm:SOLUSDT"], ["binance", "binance-usdm"])
        rig.start_unit()
        rig.wait("trades of both", lambda: all((rig.metric("truetape_items_total", outcome="accepted", venue=v) or 0) > 10 for v in ("binance", "binance-usdm")), 60)
        time.sleep(1)
        rig.note()
        rig.front("binance-usdm", backend=rig.simulate("venue-usdm-later", "--venue", "binance-usdm", "--symbols", "XRPUSDT", "--rate", 3))

    def silent(self, rig):
        return [labels for name, labels, at in rig.series() if name == "truetape_ingest_connection_last_frame_seconds" and time.time() - at > 30]

    def holds(self, rig):
        found = self.silent(rig)
        if found:
            rig.remember(connection=found[0]["connection"])
        return bool(found)

    def over(self, rig):
        if not self.holds(rig):
            rig.unit("restart")  # what stands in the configuration would come back
            rig.wait("ready", lambda: rig.status("/health/ready") == 200, 60)
            time.sleep(3)
        bad = super().over(rig)
        return bad + (["binance-usdm:SOLUSDT is still wanted"] if "binance-usdm:SOLUSDT" in json.dumps(rig.pipeline()["wanted"]) else [])

    def story(self, rig):
        return "Nobody in the house follows the venue's announcements."


class Unconfirmed(Drill):
    name, alert, line = "streams-refused", "TruetapeStreamsUnconfirmed", "the venue refuses a stream"

    def labels(self, rig):
        return {"venue": "binance"}

    def stage(self, rig):
        rig.begin(more=["--fault", "ack,how=refuse,after=1"])
        rig.tool("control", "add", "--data", rig.data, SOL)

    def holds(self, rig):
        return (rig.metric("truetape_ingest_streams", venue="binance") or 0) - (rig.metric("truetape_ingest_streams_confirmed", venue="binance") or 0) or False


class Clock(Drill):
    name, alert, line = "clock-off", "TruetapeClockOff", "this machine's clock is wrong since its time service is off"

    def labels(self, rig):
        return {"venue": "binance"}

    def stage(self, rig):
        rig.venue(clock=-3)
        rig.configure([BTC, ETH], ["binance"])
        rig.remember(clock_off=True)
        rig.start_unit()
        rig.wait("trades", lambda: (rig.metric("truetape_items_total", outcome="accepted") or 0) > 20, 60)
        rig.note()

    def holds(self, rig):
        offset = rig.metric("truetape_ingest_clock_offset_seconds", venue="binance")
        return offset if offset is not None and abs(offset) > 1 else False

    def scene(self, rig):
        while not (rig.own / "time_service").exists():
            time.sleep(1)
        time.sleep(5)
        rig.front(clock=0)

    def over(self, rig):
        return [] if (rig.own / "time_service").exists() else ["no time service is on"]


class Missing(Drill):
    name, alert, line = "missing-growing", "TruetapeMissingIdsGrowing", "gaps come since connections are cut again and again; then they are to be repaired"

    def labels(self, rig):
        return {"venue": "binance"}

    def missing(self, rig):
        return sum(n for name, labels, n in rig.series() if name == "truetape_gap_missing_ids" and labels.get("state") in ("pending", "open", "progress", "lost"))

    def stage(self, rig):
        rig.begin(more=["--fault", "drop,rate=0.5,at=20s,for=70s,streams=*@trade", *(word for at in range(22, 86, 8) for word in ("--fault", f"cut,how=reset,at={at}s"))])

    def holds(self, rig):
        missing = self.missing(rig)
        return missing if missing > 100 else False

    def over(self, rig):
        missing = self.missing(rig)
        return [f"{missing:.0f} trades are missing"] if missing else []

    def story(self, rig):
        return ("In this drill the venue has the file of today already, with what has traded so far, and curl gets it from the venue's address.\n"
                "The threshold is a hundred trades instead of a thousand.")


class GapOpen(Missing):
    name, alert, line = "gap-open", "TruetapeGapOpenLong", "a gap is open; the venue's file has its trades"

    def stage(self, rig):
        rig.begin(more=["--fault", "silence,at=20s,for=10s,streams=btcusdt@trade"])

    def holds(self, rig):
        oldest = rig.metric("truetape_gap_oldest_open_seconds", venue="binance")
        return time.time() - oldest if oldest and time.time() - oldest > 20 else False

    def story(self, rig):
        return "In this drill the venue has the file of today already, with what has traded so far, and curl gets it from the venue's address. Six hours are some seconds."

    def over(self, rig):
        for _ in range(40):  # it is looked at each half minute
            if not self.holds(rig):
                return []
            time.sleep(1)
        return ["a gap is open"]
