"""One trouble after the other, made from a seed: what the venue's connections, its REST interface and `truetape run` go
through, and how it must end. Links nothing of src/: what happened, and what was withheld, tell the simulator's own lists."""
import collections
import dataclasses
import json
import pathlib
import random
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/live"))
import truth  # noqa: E402
from live import BINARY, DIRECT, Run, Venue, ids_of, judged, judged_states, query, tool, until  # noqa: E402,F401

SYMBOLS = ("BTCUSDT", "ETHUSDT")
RATE = 60  # trades a second, of both
MESSAGES = 90  # a second of the one connection, prices included
# The tape begins four seconds before midnight, so that a whole minute has all the trouble and is closed when it ends.
BEGIN, LENGTH = "2025-05-31T23:59:56Z", 68
TROUBLE = (5, 36)
ENDED = ("repaired", "absent")


@dataclasses.dataclass
class Restart:
    at: float  # seconds after the first trade
    off: float
    kill: bool

    def __str__(self):
        return f"{'kill -9' if self.kill else 'SIGTERM'} at {self.at:.1f} s, off for {self.off:.1f} s"


@dataclasses.dataclass
class Story:
    seed: int
    faults: list
    restarts: list
    market: str = "binance"

    @property
    def names(self):
        return [f"{self.market}:{s}" for s in SYMBOLS]

    @property
    def calm(self):
        return dataclasses.replace(self, faults=[], restarts=[])

    def __str__(self):
        return "; ".join([*self.faults, *map(str, self.restarts)])


def story(seed, market="binance"):
    """What goes wrong, by the seed alone. Each has losses of the stream and trouble with REST; every second one restarts."""
    dice = random.Random(seed)
    faults, restarts = [], []

    def at(latest=TROUBLE[1] - 4):
        return f"at={dice.uniform(TROUBLE[0], latest) * 1000:.0f}ms"

    def all_along():
        return f"at={TROUBLE[0]}s,for={TROUBLE[1] - TROUBLE[0]}s"

    losses = [
        lambda: f"drop,rate={dice.choice([0.003, 0.02, 0.1])},streams=*@trade,{all_along()}",
        lambda: f"cut,how={dice.choice(['fin', 'reset', 'close'])},{at()}",
        lambda: f"silence,streams={dice.choice(SYMBOLS).lower()}@trade,{at()},for={dice.randint(1, 6)}s",
        lambda: f"corrupt,how={dice.choice(['html', 'binary', 'truncate'])},rate=0.01,streams=*@trade,{all_along()}",
        lambda: f"half_open,{at(TROUBLE[1] - 16)},for=6s",
    ]
    annoyances = [
        lambda: f"duplicate,rate=0.05,copies={dice.randint(1, 3)},streams=*@trade,{all_along()}",
        lambda: f"reorder,rate=0.03,distance={dice.choice([2, 20, MESSAGES * 2])},streams=*@trade,{all_along()}",
        lambda: f"delay,by={dice.randint(200, 2000)}ms,{at()},for=4s",
        lambda: f"stall,{at()},for={dice.randint(1, 4)}s",
    ]
    refusals = [
        lambda: f"refuse,how=rest,status={dice.choice([500, 503, 502])},path=*historicalTrades,rate=0.5,{all_along()}",
        lambda: f"refuse,how=html,path=*historicalTrades,{at()},for=6s",
        lambda: f"refuse,how={dice.choice(['reset', 'cut'])},path=*historicalTrades,rate=0.3,{all_along()}",
        lambda: "lag,how=answers,by=1s",
        lambda: f"lag,how=database,by={dice.randint(1, 6)}s",
    ]
    for kinds, least, most in ((losses, 1, 3), (annoyances, 1, 2), (refusals, 1, 2)):
        faults += [make() for make in dice.sample(kinds, dice.randint(least, most))]
    if seed % 2 == 0:
        for _ in range(dice.randint(1, 2)):
            restarts.append(Restart(dice.uniform(TROUBLE[0], TROUBLE[1] - 10), dice.uniform(0.5, 5), dice.random() < 0.7))
        restarts.sort(key=lambda r: r.at)
    return Story(seed, faults, restarts, market)


class Kept(Venue):
    """Whose files outlive the `with` block."""

    def __exit__(self, *error):
        self.process.terminate()
        self.end(error[0] is not None)


def venue_of(one, limits=(), keep=False):
    """The same trades at the same times for the same seed, whatever goes wrong."""
    words = [w for f in one.faults for w in ("--fault", f)] + [w for x in limits for w in ("--limit", x)]
    if one.market == "binance-usdm":
        # Ids without a trade, which REST does not show, and hidden orders. Those of ADL would be lost for good: REST has none.
        words += ["--mix", "na=5,rpi=10"]
    return (Kept if keep else Venue)("--venue", one.market, "--symbols", ",".join(SYMBOLS), "--rate", RATE, "--length", f"{LENGTH}s",
                                     "--seed", one.seed, "--shift", BEGIN, "--linger", "forever", *words)


SETS = ["backfill.enabled=yes", "rule.future.tolerance=24h"]
# USD-M allows for five pages of 500 trades a minute, so its scenarios take minutes to be filled.
SETS_OF = {"binance": SETS, "binance-usdm": [*SETS, "feed.binance-usdm.api_key=any", "backfill.share=45"]}
# What tells the last trade's id even where a scenario refuses the calls for single trades; USD-M's aggregates leave out hidden orders.
LAST_OF = {"binance": ("/api/v3/aggTrades", "l"), "binance-usdm": ("/fapi/v1/trades", "id")}


def last_ids(one, venue):
    """Of the trades that have happened so far and make candles, by name."""
    (path, member), out = LAST_OF[one.market], {}
    for symbol, name in zip(SYMBOLS, one.names):
        with DIRECT.open(f"{venue.rest}{path}?symbol={symbol}&limit=1", timeout=30) as answer:
            out[name] = json.load(answer)[-1][member]
    return out


def gaps_of(run, names):
    return [g for name in names for g in run.rows("gaps", instrument=name)]


def play(one, data, limits=(), extra=(), settled=lambda gaps: all(g["state"] in ENDED for g in gaps), keep=False):
    """Runs the story to its end; the venue, which has ended too. `settled`: what the gaps must come to. `keep`: its files stay
    until its folder is cleaned up."""
    sets = SETS_OF[one.market]
    with venue_of(dataclasses.replace(one, faults=[*one.faults, *extra]), limits, keep) as venue:
        runs = [Run(data, *one.names, venues=[venue], sets=sets)]
        try:
            began = time.monotonic()
            for restart in one.restarts:
                time.sleep(max(0.0, began + restart.at - time.monotonic()))
                runs[-1].kill() if restart.kill else runs[-1].stop()
                time.sleep(restart.off)
                runs.append(Run(data, *one.names, venues=[venue], sets=sets))
            run = runs[-1]
            time.sleep(max(0.0, began + LENGTH - time.monotonic()))
            before = {}
            # The tape has ended when no more trades happen.
            while before != (before := last_ids(one, venue)):
                time.sleep(2)
            def done():
                run.alive()
                newest = {n: max((t["last_id"] for t in run.rows("candles", instrument=n, interval="1m") if t["last_id"]), default=0) for n in one.names}
                return newest == before and settled(gaps_of(run, one.names))
            until(f"all has come and the gaps are settled ({one})", done, guard=600, every=0.5)
            run.take_in(venue)
            run.stop()
        except BaseException:
            print(f"--- {one}\n{runs[-1].log()[-8000:]}\n---", file=sys.stderr, flush=True)
            runs[-1].kill()
            raise
        finally:
            for each in runs:
                each.process.stdout.close()
                each.told.close()
    return venue


def never_sent(venue):
    """How many trades went out on no connection, by the simulator's own list."""
    happened, sent = set(), set()
    for instrument in venue.truth["instruments"]:
        happened |= {(instrument["symbol"], i) for i in ids_of(instrument["trades"])}
    for connection in venue.truth["connections"]:
        for stream in connection["streams"]:
            symbol, _, kind = stream["stream"].partition("@")
            if kind == "trade":
                sent |= {(symbol.upper(), i) for i in ids_of(stream["sent"])}
    return len(happened - sent)


def touched(happened, stored, interval_ms):
    """(start in ms) of the windows that a hole between stored trades touches (semantics section 4, rule 3)."""
    out = set()
    for first, last, right in truth.holes(stored):
        low, high = happened[first - 1].ms, happened[right].ms
        out |= set(range((low // interval_ms) * interval_ms, high // interval_ms * interval_ms + 1, interval_ms))
    return out


# What the scenarios must have between them: kinds of the simulator's faults, and what was done to run.
KINDS = {"cut": ("cut", "half_open"), "drop": ("drop",), "duplicate": ("duplicate",), "reorder": ("reorder",), "corrupt": ("corrupt",),
         "refusal of REST": ("refuse",), "lag of REST": ("lag",), "SIGTERM": (), "kill -9": ()}


def done(one, venue):
    """kind -> how often it happened, as the simulator counted it; restarts as they were done."""
    out = collections.Counter()
    for fault in venue.truth["faults"]:
        out[fault["fault"].split(",")[0]] += fault["hits"]
    for restart in one.restarts:
        out["kill -9" if restart.kill else "SIGTERM"] += 1
    return +out


def kinds_of(counts):
    return {kind for kind, faults in KINDS.items() if any(counts[f] for f in faults or (kind,))}


def displaced(data):
    """The most, in seconds of the venue's time, by which a frame of a trade came behind a later trade of its connection."""
    newest, most = {}, 0
    with subprocess.Popen([BINARY, "log", "cat", "raw", "--data", str(data)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as cat:
        for line in cat.stdout:
            record = json.loads(line)
            if record["headers"].get("kind") != "frame":
                continue
            try:
                trade = json.loads(record["value"]).get("data")
                if trade["e"] != "trade":
                    continue
                key, at = (record["headers"]["session"], trade["s"]), int(trade["T"])
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # it was corrupted
            newest[key] = max(at, newest.get(key, at))
            most = max(most, newest[key] - at)
    if cat.returncode != 0:
        raise AssertionError(f"log cat raw: exit code {cat.returncode}")
    return most / 1000
