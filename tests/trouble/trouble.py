"""One trouble after the other, made from a seed: what the venue's connections, its REST interface and `truetape run` go
through, and how it must end. Links nothing of src/: what happened, and what was withheld, tell the simulator's own lists."""
import dataclasses
import json
import pathlib
import random
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/live"))
import truth  # noqa: E402
from live import DIRECT, Run, Venue, ids_of, judged, query, tool, until  # noqa: E402,F401

SYMBOLS = ("BTCUSDT", "ETHUSDT")
NAMES = [f"binance:{s}" for s in SYMBOLS]
RATE = 60  # trades a second, of both
LENGTH = 44  # seconds of the tape; trouble is over eight seconds before its end, so that the last ids show what is missing
TROUBLE = (3, 34)
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

    def __str__(self):
        return "; ".join([*self.faults, *map(str, self.restarts)])


def story(seed):
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
        lambda: f"reorder,rate=0.03,distance={dice.choice([2, 20, RATE * 2])},streams=*@trade,{all_along()}",
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
    for kinds, least, most in ((losses, 1, 3), (annoyances, 0, 2), (refusals, 1, 2)):
        faults += [make() for make in dice.sample(kinds, dice.randint(least, most))]
    if seed % 2 == 0:
        for _ in range(dice.randint(1, 2)):
            restarts.append(Restart(dice.uniform(TROUBLE[0], TROUBLE[1] - 10), dice.uniform(0.5, 5), dice.random() < 0.7))
        restarts.sort(key=lambda r: r.at)
    return Story(seed, faults, restarts)


class Kept(Venue):
    """Whose files outlive the `with` block."""

    def __exit__(self, *error):
        self.process.terminate()
        self.end(error[0] is not None)


def venue_of(seed, faults, limits=(), keep=False):
    """The same trades at the same times for the same seed, whatever goes wrong."""
    words = [w for f in faults for w in ("--fault", f)] + [w for x in limits for w in ("--limit", x)]
    return (Kept if keep else Venue)("--symbols", ",".join(SYMBOLS), "--rate", RATE, "--length", f"{LENGTH}s", "--seed", seed, "--shift", "2025-06-01T00:00:00Z",
                 "--linger", "forever", *words)


SETS = ["backfill.enabled=yes", "rule.future.tolerance=24h"]


def last_ids(venue):
    """Of the trades that have happened so far, by name."""
    out = {}
    for symbol in SYMBOLS:
        with DIRECT.open(f"{venue.rest}/api/v3/aggTrades?symbol={symbol}&limit=1", timeout=30) as answer:
            out[f"binance:{symbol}"] = json.load(answer)[-1]["l"]
    return out


def gaps_of(run):
    return [g for name in NAMES for g in run.rows("gaps", instrument=name)]


def play(one, data, limits=(), extra=(), settled=lambda gaps: all(g["state"] in ENDED for g in gaps), keep=False):
    """Runs the story to its end; the venue, which has ended too. `settled`: what the gaps must come to. `keep`: its files stay
    until its folder is cleaned up."""
    with venue_of(one.seed, [*one.faults, *extra], limits, keep) as venue:
        runs = [Run(data, *NAMES, venues=[venue], sets=SETS)]
        try:
            began = time.monotonic()
            for restart in one.restarts:
                time.sleep(max(0.0, began + restart.at - time.monotonic()))
                runs[-1].kill() if restart.kill else runs[-1].stop()
                time.sleep(restart.off)
                runs.append(Run(data, *NAMES, venues=[venue], sets=SETS))
            run = runs[-1]
            time.sleep(max(0.0, began + LENGTH - time.monotonic()))
            before = {}
            # The tape has ended when no more trades happen.
            while before != (before := last_ids(venue)):
                time.sleep(2)
            def done():
                run.alive()
                newest = {n: max((t["last_id"] for t in run.rows("candles", instrument=n, interval="1m") if t["last_id"]), default=0) for n in NAMES}
                return newest == before and settled(gaps_of(run))
            until(f"all has come and the gaps are settled ({one})", done, guard=300, every=0.5)
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
