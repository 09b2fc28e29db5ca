"""Starts `truetape run` beside a simulated venue and asks it over HTTP. Python's standard library alone."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/app"), str(ROOT / "tests/sim")]
import tt  # noqa: E402
from venue import Venue, ids_of  # noqa: E402,F401

GUARD = 90  # seconds until something that must come is given up; no test measures time
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
NO_PROXY = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
# The venue's clock runs ahead of ours when it plays faster than it happened.
FAST = ["rule.future.tolerance=24h"]


def until(what, condition):
    end = time.monotonic() + GUARD
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"it did not come to this: {what}")
        time.sleep(0.02)


def arguments(data, instruments, venue, sets):
    settings = ["serve.port=0", *sets]
    if venue is not None:
        settings += [f"feed.{venue.venue}.stream_url={venue.websocket}", f"feed.{venue.venue}.rest_url={venue.rest}"]
    return ["run", "--data", str(data), *(x for s in settings for x in ("--set", s)), *instruments]


class Run:
    """A `truetape run` that has said that it is ready. The end of the `with` block stops it; it must end with 0."""

    def __init__(self, data, *instruments, venue=None, sets=()):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([tt.BINARY, *arguments(data, instruments, venue, sets)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True, env=NO_PROXY)
        self.ready = self.process.stdout.readline()
        if not self.ready.startswith("ready http://127.0.0.1:"):
            self.process.kill()
            raise AssertionError(f"run did not start: {self.ready}{self.told()}")
        self.url = self.ready.split()[1].rstrip("/")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            if error[0] is None:
                self.stop()
            else:
                self.kill()
                print(self.told(), file=sys.stderr)
        self.process.stdout.close()
        self.errors.close()

    def told(self):
        self.errors.seek(0)
        return self.errors.read()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(GUARD)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(GUARD)
        if code != 0:
            raise AssertionError(f"run ended with {code}: {self.told()}")

    def ask(self, path, method="GET"):
        try:
            with DIRECT.open(urllib.request.Request(self.url + path, method=method), timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)

    def feeds(self):
        status, body = self.ask("/api/v1/pipeline")
        return {f["venue"]: f for f in json.loads(body)["rows"][0]["feeds"]} if status == 200 else {}

    def metric(self, name, **labels):
        total = 0.0
        for line in self.ask("/metrics")[1].splitlines():
            if line.startswith(name) and line[len(name)] in "{ " and all(f'{k}="{v}"' in line for k, v in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def accepted(self):
        return self.metric("truetape_items_total", outcome="accepted")

    def wait_more(self, trades=1):
        begin = self.accepted()
        until(f"{trades} more trades", lambda: self.accepted() >= begin + trades)

    def wait_end(self, venue):
        """The venue has played everything and closed; what it sent last may still lie in a socket."""
        venue.process.wait(GUARD)
        until("the connection has ended", lambda: self.metric("truetape_ingest_failures_total") >= 1)
        until("none is left", lambda: self.metric("truetape_ingest_connections_live") == 0)


def import_beside(scratch, file, *options):
    """A directory into which the recording was imported."""
    data = scratch / "imported"
    tt.run("import", "--data", data, *options, file)
    return data


PROVEN = {"ids", "declared", "overlap"}
WHOLE = {"complete", "quiet"}
KEY = ["instrument", "tape", "interval", "start"]
CONTENT = ["open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume", "vwap",
           "first_id", "last_id", "first_time", "last_time", "completeness"]


def closed(data):
    return {tuple(r[k] for k in KEY): r for r in tt.rows(data, "candles") if r["status"] != "open"}


def same_content(case, data, imported):
    """A live run and an import of the same recording: what semantics section 9 promises, and no more.

    Trades: the digests of every instrument, tape and day are equal. Candles: each window that both have proven has the same
    content, to the digit; and so has each that one has proven and the other holds for whole. A window that session evidence
    closed before its next id came keeps the word session, and when evidence comes is circumstance: a recording tells each
    frame's receive time, a live connection its own, with pings. The digests count such a window once the ids prove it.
    """
    live, other = tt.digest(data, "log").splitlines(), tt.digest(imported, "log").splitlines()
    case.assertEqual(live, other)
    mine, theirs = closed(data), closed(imported)
    both = proven = 0
    for key, row in mine.items():
        beside = theirs.get(key)
        if beside is None:
            case.assertNotIn(row["proof"], PROVEN, f"{key} is proven live, and no row of the import")
            continue
        proofs = {row["proof"], beside["proof"]} & PROVEN
        if proofs and {row["completeness"], beside["completeness"]} <= WHOLE:
            both += 1
            proven += len(proofs) == 1 and row["proof"] == beside["proof"]
            case.assertEqual([row[c] for c in CONTENT], [beside[c] for c in CONTENT], key)
    for key, row in theirs.items():
        if row["proof"] in PROVEN:
            case.assertIn(key, mine, "proven by the import, and no row live")
    print(f"  {both} windows compared, {proven} of them proven by the rows of both; {len(mine)} and {len(theirs)} closed", flush=True)
    tt.run("digest", "--data", data, "--compare")
    tt.run("log", "verify", "--data", data)
    return both
