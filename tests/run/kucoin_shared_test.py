"""A recording of KuCoin, imported and played live: every trade of it is in the store as the file has it, counted by instrument, and no
other. What the file has is read here by Python alone. It lies outside of the repository."""
import collections
import datetime
import decimal
import json
import pathlib
import subprocess
import sys

from running import FAST, Run, Venue, import_beside, tt

FILE = tt.ROOT.parent / "shared/data/kucoin-spot-10-symbols-ws-20210425t1918.frames.zst"


def frames(file: pathlib.Path):
    """Receive time in ns and the frame, as a JSON object."""
    with subprocess.Popen(["zstd", "-dcq", file], stdout=subprocess.PIPE, text=True) as unpack:
        for line in unpack.stdout:
            received, frame = line.rstrip("\n").split(" ", 1)
            yield int(received), json.loads(frame)


def rfc3339(ns: int) -> str:
    """As truetape writes times: 3, 6 or 9 digits after the point, where they are not zero."""
    whole = datetime.datetime.fromtimestamp(ns // 10**9, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{ns % 10**9:09d}"
    while digits and digits.endswith("000"):
        digits = digits[:-3]
    return whole + (f".{digits}" if digits else "") + "Z"


def plain(text: str) -> str:
    """A decimal without zeros at its end."""
    value = decimal.Decimal(text).normalize()
    return format(value, "f")


def trades_of(file: pathlib.Path):
    """By instrument, in the order of the file."""
    out = collections.defaultdict(list)
    for received, frame in frames(file):
        if frame.get("subject") != "trade.l3match":
            continue
        d = frame["data"]
        out["kucoin:" + d["symbol"]].append(
            {"id": d["tradeId"], "first_id": d["sequence"], "last_id": d["sequence"], "event_time": rfc3339(int(d["time"])),
             "receive_time": rfc3339(received), "price": plain(d["price"]), "quantity": plain(d["size"]), "taker_side": d["side"]})
    return out


class Recording(tt.Case):
    def test_every_trade_is_stored_as_the_file_has_it(self):
        want = trades_of(FILE)
        self.assertEqual({i: len(t) for i, t in want.items()}, {"kucoin:DAPPT-BTC": 12, "kucoin:BCHSV-USDT": 5, "kucoin:FET-BTC": 1})
        tt.run("import", "--data", self.data, "--venue", "kucoin", FILE)
        self.compare(want)
        tt.run("import", "--data", self.data, "--venue", "kucoin", FILE)  # again: nothing is double
        self.compare(want)
        tt.run("audit", "--data", self.data)
        tt.run("digest", "--data", self.data, "--compare")

    def compare(self, want):
        got = collections.defaultdict(list)
        for row in tt.rows(self.data, "trades"):
            got[row["instrument"]].append({k: row[k] for k in next(iter(want.values()))[0]})
        self.assertEqual(set(got), set(want))
        for instrument, trades in want.items():
            self.assertEqual(got[instrument], trades, instrument)
        self.assertEqual(tt.store_rows(self.data, "SELECT count(*) FROM quarantine"), [(0,)])

    def test_played_live_it_has_the_digests_of_its_import(self):
        want = trades_of(FILE)
        # Ten times as fast as it happened. All trades have come over the stream before the first page has one of them.
        with Venue(FILE, "--venue", "kucoin", "--speed", "10") as venue:
            with Run(self.data, *sorted(want), venues=[venue], sets=FAST) as run:
                run.wait_end(venue)
        imported = import_beside(self.scratch, FILE, "--venue", "kucoin")

        def of_trades(data):
            return [line for line in tt.digest(data, "log").splitlines() if ",trades," in line]
        self.assertEqual(len(of_trades(imported)), len(want))
        self.assertEqual(of_trades(self.data), of_trades(imported))
        counts = tt.store_rows(self.data, "SELECT i.instrument, count(*) FROM trades t JOIN instruments i ON i.id = t.instrument_id GROUP BY 1")
        self.assertEqual(dict(counts), {instrument: len(trades) for instrument, trades in want.items()})
        tt.run("audit", "--data", self.data)
        tt.run("digest", "--data", self.data, "--compare")

    def test_candles_hold_the_trades_of_their_window_and_equal_the_venues_own(self):
        tt.run("import", "--data", self.data, "--venue", "kucoin", FILE)
        volumes, pushed = collections.defaultdict(decimal.Decimal), {}
        for instrument, trades in trades_of(FILE).items():
            for trade in trades:
                volumes[instrument, trade["event_time"][:16] + ":00Z"] += decimal.Decimal(trade["quantity"])
        for _, frame in frames(FILE):
            if frame.get("subject", "").startswith("trade.candles."):
                start, *values = frame["data"]["candles"]
                pushed["kucoin:" + frame["data"]["symbol"], rfc3339(int(start) * 10**9)] = [plain(v) for v in values]
        rows = {(r["instrument"], r["start"]): r for r in tt.rows(self.data, "candles", "--interval", "1m") if r["status"] != "open"}
        self.assertEqual({start for _, start in rows}, {"2021-04-25T19:18:00Z"})  # the recording ends in 19:19
        compared = 0
        for key, row in rows.items():
            # Ids that only rise show no hole, and no page of the venue's overlaps these windows.
            self.assertEqual(row["completeness"], "unverifiable", row)
            self.assertEqual(decimal.Decimal(row["volume"] or 0), volumes[key], row)
            if key in pushed:
                compared += 1
                self.assertEqual([row[c] for c in ("open", "close", "high", "low", "volume", "quote_volume")], pushed[key], row)
        self.assertEqual(compared, 3)


if __name__ == "__main__":
    if not FILE.exists():
        print(f"SKIPPED: no {FILE.name} in {FILE.parent}: nothing was compared")
        sys.exit(77)
    tt.main()
