#!/usr/bin/env python3
"""Judges a store by what the venue really did: the simulator's lists (--truth, --trades; docs/simulator.md) against the
SQLite file (docs/schema-sqlite.md), and against the frames that the log holds. Nothing of src/ is used, and all sums are of
whole numbers, so that a misreading cannot agree with itself.

    truth.py --truth truth.json --trades trades.csv --store data/store.db [--raw FILE] [--candles FILE] [--drained]

--raw: what `truetape log cat raw` prints; with it each trade that reached the log must be in the store. --candles: what
`truetape log cat candles` prints; with it every state that was ever told of a candle is judged, also those before a repair.
--drained: what went out on connections that the simulator ended by itself must have reached the log too. Exit code 1, and a
line for each finding, if anything is wrong.

A candle is proven if it is closed or corrected, complete or quiet, and its proof is ids, declared or overlap: none of these
may differ from what happened. The counts tell how many there were, of which status and proof and of which interval, and how
many were false.

Findings, by kind:
  doubled    an id is in the store more than once
  invented   a trade in the store that never happened
  changed    a trade in the store with another price, quantity, time, side or kind
  lost       it reached the log and is neither a trade in the store nor in quarantine
  unlogged   it went out on a connection that ended well, and is not in the log (--drained)
  unnamed    an id is missing between two known ones, and no gap that has not ended names it
  misnamed   a gap's own numbers are wrong: its count, its end, an ended gap that still lacks ids, a tail that is none
  false      complete or quiet, though a trade of the window is missing
  values     a candle differs from the trades that it should be made of
  unmade     a window that must have a candle has none
"""
import argparse
import bisect
import collections
import csv
import dataclasses
import datetime
import json
import re
import sqlite3
import sys

UNIT = 10**8  # prices and quantities are whole numbers of 1e-8
FOLDED = ("", "MARKET", "RPI")  # kinds that make candles; NA is a marker, ADL and INSURANCE_FUND are stored only
VOID = ("NA",)
MS = 1_000_000
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SIDES = {"buy": 1, "sell": 2}
STATUSES = ("open", "closed", "corrected")
STATES = ("pending", "open", "progress", "repaired", "absent", "lost")
LIVE_STATES = ("open", "progress", "lost")
COMPLETENESS = ("none", "complete", "quiet", "gap", "partial", "unverifiable")
PROOFS = ("none", "ids", "declared", "session", "overlap")
STRICT = ("ids", "declared", "overlap")
TAPES = ("trade", "agg")


def units(text):
    """'61837.63' -> 6183763000000"""
    whole, _, fraction = text.partition(".")
    if len(fraction) > 8 and fraction[8:].strip("0"):
        raise ValueError(f"{text} has more than 8 decimals")
    return int(whole) * UNIT + int((fraction + "00000000")[:8])


@dataclasses.dataclass(frozen=True)
class Trade:
    id: int
    ms: int  # the venue's time, cut to milliseconds
    price: int
    quantity: int
    count: int  # raw trades that it stands for
    side: int
    kind: str

    @property
    def folded(self):
        return self.kind in FOLDED

    @property
    def void(self):
        return self.kind in VOID


class Truth:
    """What happened and what was sent, of one simulator."""

    def __init__(self, truth_file, trades_file, tape="trade"):
        with open(truth_file, encoding="utf-8") as file:
            self.told = json.load(file)
        self.venue, self.tape = self.told["venue"], tape
        self.happened = {}  # instrument -> {id: Trade}
        with open(trades_file, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["tape"] != tape:
                    continue
                number = int(row["id"])
                # Spot has no kinds; the simulator calls its trades MARKET.
                kind = row["kind"] if self.venue == "binance-usdm" and tape == "trade" else ""
                self.happened.setdefault(f"{self.venue}:{row['symbol']}", {})[number] = Trade(
                    number, int(row["time_us"]) // 1000, units(row["price"]), units(row["quantity"]),
                    int(row["last_id"]) - int(row["first_id"]) + 1, 2 if row["buyer_is_maker"] == "true" else 1, kind)

    def sent(self, ends=None):
        """instrument -> ids that went out whole, on connections that ended so (None: on all)."""
        out = collections.defaultdict(set)
        suffix = "@trade" if self.tape == "trade" else "@aggTrade"
        for connection in self.told["connections"]:
            if ends is not None and connection["end"] not in ends:
                continue
            for stream in connection["streams"]:
                name = stream["stream"]
                if name.endswith(suffix):
                    ids = out[f"{self.venue}:{name[:-len(suffix)].upper()}"]
                    for first, last in stream["sent"]:
                        ids.update(range(first, last + 1))
        return out


def logged(lines, venues=("binance", "binance-usdm"), tape="trade"):
    """instrument -> ids of trades in the frames of `truetape log cat raw`. What is no JSON is no trade."""
    out = collections.defaultdict(set)
    event, member = ("trade", "t") if tape == "trade" else ("aggTrade", "a")
    wanted = f'"{event}"'
    for line in lines:
        record = json.loads(line)
        if record["headers"].get("kind") != "frame" or wanted not in record["value"]:
            continue
        try:
            frame = json.loads(record["value"])
        except json.JSONDecodeError:
            continue
        data = frame if isinstance(frame, dict) else None
        if data is not None and {"stream", "data"} <= data.keys():  # of a combined connection
            data = data["data"]
        if not isinstance(data, dict) or data.get("e") != event or not isinstance(data.get(member), int):
            continue
        venue = record["headers"].get("instruments", "").split(":", 1)[0] or record["headers"].get("connection", "")
        venue = re.sub(r"-\d+\w*$", "", venue)
        if venue in venues and isinstance(data.get("s"), str):
            out[f"{venue}:{data['s']}"].add(data[member])
    return out


def flipped(name, true):
    """Whether the fault `corrupt` with how = flip makes the one of the other: then the venue did say so."""
    return len(name) == len(true) and [a for a, b in zip(name, true) if a != b] in (["#"], ["%"])


def readable_time(raw):
    """Whether a bad frame still tells when the trade was."""
    try:
        frame = json.loads(raw)
        return isinstance(frame.get("data", frame).get("T"), int)
    except (ValueError, AttributeError):
        return re.search(rb'"T":\d{13,16}[,}]', raw) is not None


def amount(mantissa, scale):
    """As the store writes it -> whole number of 1e-18; None stays."""
    return None if mantissa is None else int(mantissa) * 10 ** (18 - scale)


def divide(numerator, denominator):
    """Rounded half-even."""
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))


VALUE_NAMES = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume",
               "taker_buy_quote_volume", "vwap", "first_id", "last_id", "first_time", "last_time")
NOTHING = (None,) * len(VALUE_NAMES)


def values_of(trades):
    """The values of a candle, in units of 1e-18 and ns; of folded trades of one window, in any order."""
    if not trades:
        return NOTHING
    first = min(trades, key=lambda t: (t.ms, t.id))
    last = max(trades, key=lambda t: (t.ms, t.id))
    price, product = 10**10, 100  # from 1e-8 and 1e-16 to 1e-18
    volume = sum(t.quantity for t in trades)
    quote = sum(t.price * t.quantity for t in trades)
    bought = [t for t in trades if t.side == 1]
    return (first.price * price, max(t.price for t in trades) * price, min(t.price for t in trades) * price,
            last.price * price, volume * price, quote * product, sum(t.count for t in trades),
            sum(t.quantity for t in bought) * price, sum(t.price * t.quantity for t in bought) * product,
            divide(quote * product * 10**18, volume * price) if volume else None,
            first.id, last.id, first.ms * MS, last.ms * MS)


def quiet_values(before):
    """Flat at the last trade before; None: there was none."""
    price = before.price * 10**10 if before else None
    return (price,) * 4 + (0, 0, 0, 0, 0, None, None, None, None, None)


class Finding(collections.namedtuple("Finding", "kind instrument text")):
    def __str__(self):
        return f"{self.kind}: {self.instrument}: {self.text}"


def holes(known):
    """(first, last, the known id behind it) of each hole between known ids."""
    ids = sorted(known)
    return [(a + 1, b - 1, b) for a, b in zip(ids, ids[1:]) if b > a + 1]


def without(first, last, ranges):
    """What of [first, last] no range holds; ranges sorted by their begin."""
    out = []
    for a, b in ranges:
        if b < first or a > last:
            continue
        if a > first:
            out.append((first, a - 1))
        first = b + 1
        if first > last:
            return out
    return [*out, (first, last)]


def size(ranges):
    return sum(last - first + 1 for first, last in ranges)


def proven(status, completeness, proof):
    return status != "open" and completeness in ("complete", "quiet") and proof in STRICT


PROVEN, FALSE = "proven candles", "proven candles that are false"


def of_interval(seconds):
    """The count of proven candles of that interval."""
    unit = next(u for u in "dhms" if seconds % SECONDS[u] == 0)
    return f"{PROVEN} of {seconds // SECONDS[unit]}{unit}"


class Judge:
    def __init__(self, truths, store_file, reached=None, drained=False, settle_ms=500, most=20):
        self.truths, self.reached, self.drained, self.settle_ms = truths, reached, drained, settle_ms
        self.findings, self.most = [], most
        self.counts = collections.Counter()
        self.db = sqlite3.connect(f"file:{store_file}?mode=ro", uri=True)
        self.db.row_factory = sqlite3.Row

    def find(self, kind, instrument, text):
        self.counts["findings: " + kind] += 1
        if sum(f.kind == kind for f in self.findings) < self.most:
            self.findings.append(Finding(kind, instrument, text))

    def run(self):
        with self.db:
            ids = {r["instrument"]: r["id"] for r in self.db.execute("SELECT id, instrument FROM instruments")}
            known_to_truth = {name for truth in self.truths for name in truth.happened}
            for name, number in ids.items():
                if any(flipped(name, true) for true in known_to_truth):
                    self.counts["names that the simulator flipped"] += 1
                elif name not in known_to_truth and self.db.execute("SELECT 1 FROM trades WHERE instrument_id = ? LIMIT 1", (number,)).fetchone():
                    self.find("invented", name, "has trades, but the venue had none of it")
            for truth in self.truths:
                reached = self.reached
                ended_well = truth.sent(("stopped",)) if self.drained else {}
                for name, happened in sorted(truth.happened.items()):
                    self.judge(name, ids.get(name), happened, None if reached is None else reached.get(name, set()),
                               ended_well.get(name, set()), TAPES.index(truth.tape))
        return self.findings

    # ---- one instrument

    def judge(self, name, number, happened, reached, ended_well, tape):
        self.counts["instruments"] += 1
        self.counts["happened"] += len(happened)
        if self.drained and reached is not None:
            for missing in sorted(ended_well - reached):
                self.find("unlogged", name, f"id {missing} was sent on a connection that ended well, and is not in the log")
        stored = self.trades(name, number, happened, tape)
        quarantined = {int(r["id"]): r["raw"] for r in self.db.execute("SELECT id, raw FROM quarantine WHERE instrument_id = ?", (number,)) if r["id"].isdigit()}
        # Its id is known only if its time can be read too; else it is a hole like any other.
        held = {i for i, raw in quarantined.items() if readable_time(raw)} - stored.keys()
        void = {i for i in (reached or ()) if i in happened and happened[i].void}
        self.counts["stored"] += len(stored)
        self.counts["held"] += len(held)
        if reached is not None:
            self.counts["reached the log"] += len(reached)
            for missing in sorted(reached - stored.keys() - quarantined.keys() - void):
                self.find("lost", name, f"id {missing} is in the log and not in the store")
        known = (stored.keys() | held | void) & happened.keys()
        progress = self.db.execute("SELECT frontier FROM progress WHERE instrument_id = ? AND tape = ?", (number, tape)).fetchone()
        frontier = progress["frontier"] if progress else None
        # Holes whose right neighbour is within `settle` of the frontier may still wait without a row.
        waits = (lambda right: False) if frontier is None else (lambda right: happened[right].ms + self.settle_ms > frontier // MS)
        missing = holes(known)
        pending = [(first, last) for first, last, right in missing if waits(right)]
        named = [(first, last) for first, last, right in missing if not waits(right)]
        self.gaps(name, number, tape, happened, known, named, pending)
        if known:
            self.candles(name, number, tape, happened, stored, known, frontier, pending)

    def trades(self, name, number, happened, tape):
        stored, seen = {}, collections.Counter()
        if number is None:
            return stored
        for r in self.db.execute("SELECT * FROM trades WHERE instrument_id = ?", (number,)):
            i = r["trade_order"]
            seen[i] += 1
            self.counts["rows"] += 1
            true = happened.get(i)
            if true is None or r["tape"] != tape:
                self.find("invented", name, f"id {i} of tape {TAPES[r['tape']]}, era {r['era']} never happened")
                continue
            found = (r["event_time"] // MS, amount(r["price"], r["price_scale"]), amount(r["quantity"], r["quantity_scale"]),
                     r["taker_side"], r["kind"] or "")
            wanted = (true.ms, true.price * 10**10, true.quantity * 10**10, true.side, true.kind)
            if found != wanted:
                self.find("changed", name, f"id {i} is (ms, price, quantity, side, kind) {found} and was {wanted}")
            stored[i] = true
        for r in self.db.execute("SELECT seq, ordinal FROM trades_without_id WHERE instrument_id = ?", (number,)):
            self.find("invented", name, f"a trade without id, of record {r['seq']}")
        for i, times in seen.items():
            if times > 1:
                self.find("doubled", name, f"id {i} is there {times} times")
        return stored

    def gaps(self, name, number, tape, happened, known, named, pending):
        rows = [dict(r) for r in self.db.execute("SELECT * FROM gaps WHERE instrument_id = ? AND tape = ? ORDER BY first_id", (number, tape))]
        top = max(known, default=0)
        missing = sorted(named + pending)
        live, ended, told = [], [], 0
        for row in rows:
            state, first, last = STATES[row["state"]], row["first_id"], row["last_id"]
            self.counts["gaps " + state] += 1
            if state in LIVE_STATES and last is not None:
                live.append((first, last))
                told += row["missing"]
                lacks = size(missing) - size([rest for hole in missing for rest in without(*hole, [(first, last)])])
                if row["missing"] > lacks:
                    self.find("misnamed", name, f"the gap from {first} to {last} tells {row['missing']} missing; there are {lacks}")
            elif state in LIVE_STATES and first <= top:
                self.find("misnamed", name, f"a tail from {first}, though {top} is known")
            elif state == "absent" and last is not None:
                ended.append((first, last))
            elif state == "repaired" and last is not None:
                ended += [(i, i) for i in range(first, last + 1) if i in happened and happened[i].void]
        self.counts["missing ids"] += size(missing)
        ended.sort()
        never = 0
        for hole in named:
            for first, last in without(*hole, live):
                bare = without(first, last, ended)  # the venue never had it: so it must not have happened
                never += last - first + 1 - size(bare)
                # A marker is no trade: REST does not show it, and a gap may end over it.
                there = [i for i in range(first, last + 1) if i in happened and not happened[i].void]
                if bare or there:
                    self.find("unnamed", name, f"of the ids {first} to {last}, {size(bare)} are in no gap, and {len(there)} happened, so no gap may end over them")
        least = size(named) - never
        if not least <= told <= least + size(pending):
            self.find("misnamed", name, f"all gaps that have not ended tell {told} missing ids; there are {least}" + (f", and {size(pending)} that may wait" if pending else ""))

    def candles(self, name, number, tape, happened, stored, known, frontier, pending):
        intervals = [r["interval"] for r in self.db.execute("SELECT DISTINCT interval FROM candles ORDER BY interval")]
        late = {(r["interval"], r["start"]) for r in self.db.execute("SELECT interval, start FROM late WHERE instrument_id = ? AND tape = ?", (number, tape))}
        by_time = sorted((t for t in stored.values() if t.folded), key=lambda t: (t.ms, t.id))
        times = [t.ms for t in by_time]
        top, floor = max(known), min(known)
        waiting = {i for first, last in pending for i in range(first, last + 1)}
        # Until here every window that must have closed has closed.
        end_ms = happened[top].ms
        if frontier is not None:
            end_ms = min(end_ms, frontier // MS - self.settle_ms)
        for interval in intervals:
            length = interval * 1000
            true, have = collections.defaultdict(list), collections.defaultdict(list)
            for t in happened.values():
                if t.folded:
                    true[t.ms // length].append(t)
            for t in by_time:
                have[t.ms // length].append(t)
            rows = set()
            for row in self.db.execute("SELECT * FROM candles WHERE instrument_id = ? AND tape = ? AND interval = ?", (number, tape, interval)):
                window = row["start"] // MS // length
                rows.add(window)
                before = self.counts["findings: false"] + self.counts["findings: values"]
                self.candle(name, interval, window * length, row, true.get(window, []), have.get(window, []), stored, known, top, waiting,
                            (interval, row["start"]) in late, by_time, times)
                words = STATUSES[row["status"]], COMPLETENESS[row["completeness"]], PROOFS[row["proof"]]
                if proven(*words):
                    self.counts[PROVEN] += 1
                    self.counts[PROVEN + ": {}, {} by {}".format(*words)] += 1
                    self.counts[of_interval(interval)] += 1
                    self.counts[FALSE] += self.counts["findings: false"] + self.counts["findings: values"] > before
            for window, trades in true.items():
                if window in rows or (interval, window * length * MS) in late:
                    continue
                inside = [t for t in trades if floor <= t.id <= top and t.id not in waiting]
                closed = (window + 1) * length <= end_ms
                if any(t.id in stored for t in inside) and (interval == intervals[0] or closed):
                    self.find("unmade", name, f"no candle of {interval} s at {window * length} ms, which has trades")
                elif inside and closed and interval >= 60:
                    self.find("unmade", name, f"no candle of {interval} s at {window * length} ms, whose trades are missing")

    def candle(self, name, interval, start_ms, row, true, have, stored, known, top, waiting, late, by_time, times):
        completeness, proof = COMPLETENESS[row["completeness"]], PROOFS[row["proof"]]
        where = f"the candle of {interval} s at {start_ms} ms, {completeness} by {proof},"
        self.counts[f"candles {completeness}" + (f" by {proof}" if proof != "none" else "")] += 1
        if row["status"] == 0:  # open: a later one may be on its way
            if row["trades"] is not None and row["trades"] > sum(t.count for t in have):
                self.find("values", name, f"{where} open, has {row['trades']} trades; there are {sum(t.count for t in have)}")
            return
        if completeness in ("complete", "quiet"):
            lacking = [t for t in true if t.id not in stored]
            if proof == "session":
                # What a later id does not show yet, or what came after all when nothing could be corrected any more.
                if late or all(t.id > top or t.id in waiting for t in lacking):
                    self.counts["by session, unproven"] += bool(lacking)
                    lacking = []
                true = have
            if lacking:
                return self.find("false", name, f"{where} lacks {len(lacking)} trades of the venue, id {lacking[0].id} among them")
            if proof not in STRICT and proof != "session":
                self.find("false", name, f"{where} has no proof")
            if (completeness == "quiet") != (not true):
                return self.find("false", name, f"{where} has {len(true)} trades")
            wanted = values_of(true)
            if completeness == "quiet":
                place = bisect.bisect_left(times, start_ms)
                wanted = quiet_values(by_time[place - 1] if place else None)
        else:
            wanted = values_of(have)
        if late and not proven(STATUSES[row["status"]], completeness, proof):
            return
        found = tuple(amount(row[c], row[c + "_scale"]) if c + "_scale" in row.keys() else row[c] for c in VALUE_NAMES)
        if found != wanted:
            for column, a, b in zip(VALUE_NAMES, found, wanted):
                if a != b:
                    return self.find("values", name, f"{where} has {column} {a}; right is {b}")


def judge(truths, store_file, **more):
    """The findings, and what was counted."""
    one = Judge(truths, store_file, **more)
    return one.run(), one.counts


# ---- every state that was told of a candle

DECIMALS = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume", "vwap")


def decimal(text):
    """'0.30156' -> whole number of 1e-18; None stays."""
    if text is None:
        return None
    whole, _, fraction = text.partition(".")
    if len(fraction) > 18:
        raise ValueError(f"{text} has more than 18 decimals")
    return int(whole) * 10**18 + int((fraction + "0" * 18)[:18])


def instant(text):
    """Of an RFC 3339 time in UTC: ns; None stays."""
    if text is None:
        return None
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.datetime.fromisoformat(whole + "+00:00").timestamp()) * 10**9 + int((fraction + "0" * 9)[:9])


def judge_states(truths, lines, most=20):
    """The findings, and what was counted, of the records of the topic candles in their order, as `truetape log cat candles`
    prints them. Only proven ones are judged: what happened in their window is all that they may say."""
    findings, counts = [], collections.Counter()
    happened = {name: (truth.tape, trades) for truth in truths for name, trades in truth.happened.items()}
    windows, order = {}, {}  # (instrument, interval in s) -> window -> folded trades; instrument -> all trades by id

    def find(kind, name, text):
        counts[FALSE] += 1
        if len(findings) < most:
            findings.append(Finding(kind, name, text))

    for line in lines:
        row = json.loads(line)["value"]
        counts["states"] += 1
        status, completeness, proof = row["status"], row["completeness"] or "none", row["proof"] or "none"
        if not proven(status, completeness, proof):
            continue
        name, interval = row["instrument"], row["interval"]
        length, start = int(interval[:-1]) * SECONDS[interval[-1]] * 1000, instant(row["start"]) // MS
        where = f"a state of the candle of {interval} at {start} ms, {status}, {completeness} by {proof}, revision {row['revision']},"
        counts[PROVEN] += 1
        counts[f"{PROVEN}: {status}, {completeness} by {proof}"] += 1
        counts[of_interval(length // 1000)] += 1
        tape, trades = happened.get(name, (None, {}))
        if tape != row["tape"]:
            find("false", name, f"{where} is of an instrument or tape that the venue does not have")
            continue
        if (name, interval) not in windows:
            made = windows[name, interval] = collections.defaultdict(list)
            for t in trades.values():
                if t.folded:
                    made[t.ms // length].append(t)
            order[name] = sorted(trades.values(), key=lambda t: (t.ms, t.id))
        true = windows[name, interval].get(start // length, [])
        if (completeness == "quiet") != (not true):
            find("false", name, f"{where} has {len(true)} trades")
            continue
        if true:
            wanted = values_of(true)
        else:
            place = bisect.bisect_left(order[name], start, key=lambda t: t.ms)
            before = order[name][place - 1] if place else None
            # Where no candle is made of the trade before, the price is that of an older one, which need not be known.
            wanted = quiet_values(before) if before and before.folded else None
        found = tuple(decimal(row[c]) if c in DECIMALS else instant(row[c]) if c.endswith("_time") else row[c] for c in VALUE_NAMES)
        if wanted is not None and found != wanted:
            column, a, b = next(x for x in zip(VALUE_NAMES, found, wanted) if x[1] != x[2])
            find("values", name, f"{where} has {column} {a}; right is {b}")
    return findings, counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", required=True)
    parser.add_argument("--trades", required=True)
    parser.add_argument("--store", required=True)
    parser.add_argument("--raw", help="what `truetape log cat raw` printed; -: standard input")
    parser.add_argument("--candles", help="what `truetape log cat candles` printed")
    parser.add_argument("--tape", default="trade", choices=TAPES)
    parser.add_argument("--settle-ms", type=int, default=500, help="the setting rule.settle")
    parser.add_argument("--drained", action="store_true")
    args = parser.parse_args()
    reached = None
    if args.raw:
        with sys.stdin if args.raw == "-" else open(args.raw, encoding="utf-8") as lines:
            reached = logged(lines, tape=args.tape)
    told = [Truth(args.truth, args.trades, args.tape)]
    findings, counts = judge(told, args.store, reached=reached, drained=args.drained, settle_ms=args.settle_ms)
    for what, count in sorted(counts.items()):
        print(f"{count:10} {what}")
    if args.candles:
        with open(args.candles, encoding="utf-8") as lines:
            more, counts = judge_states(told, lines)
        findings += more
        for what, count in sorted(counts.items()):
            print(f"{count:10} states ever told: {what}")
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
