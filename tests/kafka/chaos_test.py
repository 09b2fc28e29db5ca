#!/usr/bin/env python3
"""The bundled recordings imported into a log on real brokers while its workers are killed, stopped past their session and started
again, and brokers that lead are killed too; at the end everything is exactly what an undisturbed import into a data directory
gives: the digests of the log and of a store that was loaded from it, each trade once, the audit's verdict. And a reader that
looks at aborted transactions too finds their copies: kills did hit open transactions.

Runs beside the brokers of with_broker.py. TRUETAPE_WORKERS ("2"; "1,2,4": a run with each), TRUETAPE_KILLS (6), TRUETAPE_ZOMBIES
(1), TRUETAPE_LEADER_KILLS (0, or 1 of three brokers): how many of each, over all runs. TRUETAPE_CHAOS_SEED says what happens
when, as far as processes let it; else it is another seed each time, which is printed. A line of JSON tells each time that was
measured on the way; none is judged."""
import collections
import contextlib
import csv
import io
import json
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

import broker_state
import chaos
import chaos_data
from chaos import BINARY, GUARD

NODES = int(os.environ.get("TRUETAPE_KAFKA_NODES", "1"))
RUNS = [int(word) for word in os.environ.get("TRUETAPE_WORKERS", "2").split(",")]
KILLS = int(os.environ.get("TRUETAPE_KILLS", "6"))
ZOMBIES = int(os.environ.get("TRUETAPE_ZOMBIES", "1"))
LEADER_KILLS = int(os.environ.get("TRUETAPE_LEADER_KILLS", "0"))
SLICES = int(os.environ.get("TRUETAPE_SLICES", "30"))
SEED = int(os.environ.get("TRUETAPE_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
SESSION = 6  # seconds; the brokers' own least
IN_FLIGHT = 0.2  # seconds in which a commit may still be the killed worker's last, and too few for a process to begin in
ALL = range(chaos_data.PARTITIONS)


def truetape(*arguments, expect=0):
    """Standard output."""
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=2 * GUARD)
    if done.returncode != expect:
        raise AssertionError(f"truetape {' '.join(map(str, arguments))}: exit code {done.returncode}, expected {expect}\n"
                             f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def expect_code(process, wanted, who):
    if process.code() != wanted:
        raise AssertionError(f"{who} has {'ended with ' + str(process.code()) if process.code() is not None else 'not ended'}; it said:\n{process.said()[-4000:]}")


def tell(what, **facts):
    load = round(os.getloadavg()[0], 1)
    print(json.dumps({"measured": what, **facts, "brokers": NODES, "load": load}), flush=True)


def shares(total, runs):
    """Of each run; the later ones have more workers and get the rest."""
    return [total // runs + (at >= runs - total % runs) for at in range(runs)]


class Run:
    """One log, its workers, and what is done to them."""

    def __init__(self, place, workers, imports, dice):
        self.place, self.dice, self.counts = place, dice, collections.Counter()
        truetape("topics", "create", "--data", place.url, "--set", f"log.partitions={chaos_data.PARTITIONS}")
        self.names = iter(f"{letter}{number}" for number in range(1, 100) for letter in "abcdefghij")
        self.workers = [chaos.Worker(place, next(self.names)) for _ in range(workers)]
        self.gone = []  # names that were given up
        self.brokers, self.watch = broker_state.Brokers(place.bootstrap), chaos.Watch(place)
        self.imports, self.last_import = chaos.Imports(place, imports[:-1]), imports[-1]
        self.load = None

    def __enter__(self):
        self.watch.start()
        self.imports.start()
        for worker in self.workers:
            worker.start()
        self.start_load()
        return self

    def __exit__(self, *error):
        self.imports.stop()
        self.load.kill()
        for worker in self.workers:
            worker.process.kill()
        self.watch.stop()
        self.brokers.close()

    # ---- waiting

    def until(self, what, condition, needs=()):
        """What the condition answers in the end, which is true; None where it cannot come, since nothing is left to do. needs:
        it comes by work on these partitions; where none waits there and no import runs, some more are let run."""
        end = time.monotonic() + GUARD
        while True:
            self.sound()
            found = condition()
            if found:
                return found
            if needs and self.imports.idle() and self.behind(needs) == 0:
                if not self.imports.left():
                    self.counts["in vain"] += 1
                    return None
                self.imports.release(2)
            if time.monotonic() > end:
                raise AssertionError(f"it did not come to this within {GUARD} s: {what}; committed {self.watch.committed()}")
            time.sleep(0.02)

    def sound(self):
        """Nothing has ended by itself, and no position went back."""
        self.imports.idle()
        for worker in self.workers:
            expect_code(worker.process, None, f"worker {worker.name}")
        expect_code(self.load, None, "load")

    def behind(self, partitions):
        """Records of raw that no commit covers; more than none where that cannot be asked for now."""
        try:
            ends = self.brokers.ends(self.place.topic("raw"))
        except OSError:
            return 1
        committed = self.watch.committed()
        return sum(ends[partition] - committed.get(partition, 0) for partition in partitions)

    def partitions(self, worker):
        """That the group has given it; none while they are divided anew."""
        with contextlib.suppress(OSError):
            return self.brokers.assignment(self.place.group, self.place.topic("raw")).get(worker.name, set())
        return set()

    def has(self, worker):
        return self.until(f"worker {worker.name} has partitions", lambda: self.partitions(worker))

    def all_commit(self, since, partitions):
        """When the last of them had its first new commit since then; None: not yet all."""
        times = [self.watch.after(since, [partition]) for partition in partitions]
        return max(times) if all(times) else None

    # ---- what is done

    def hold_within_transaction(self, worker):
        """Stops it with a transaction open that has written trades, which only a look at the brokers can tell. False: there was
        nothing left to do; it is stopped all the same."""
        mine = self.has(worker)

        def is_open():
            ongoing = self.brokers.transactions().get(worker.transactions) == "Ongoing"
            return ongoing and any(end > stable for end, stable in self.trades_ends(mine))

        def found():
            worker.process.hold()
            with contextlib.suppress(OSError):
                if is_open():
                    time.sleep(0.05)  # what it had sent before has come now, such as the end of the transaction
                    if is_open():
                        return True
            worker.process.go_on()
            time.sleep(self.dice.uniform(0, 0.03))
            return False
        if self.until(f"worker {worker.name} has a transaction open", found, mine):
            return True
        worker.process.hold()
        return False

    def trades_ends(self, partitions):
        """Pairs: the end of trades, and where read_committed readers see it."""
        topic = self.place.topic("trades")
        stable = self.brokers.ends(topic, committed=True)  # asked for first: what is committed meanwhile is no difference
        ends = self.brokers.ends(topic)
        return [(ends[p], stable[p]) for p in partitions] if all(p in ends for p in partitions) else []

    def kill_worker(self):
        worker, dice, aimed = self.dice.choice(self.workers), self.dice, self.aim_kills.pop()
        mine = self.has(worker) if aimed or dice.random() < 0.8 else self.partitions(worker)  # else also while it begins
        if aimed:
            aimed = self.hold_within_transaction(worker)
        else:
            time.sleep(dice.uniform(0, 1.5))
        self.sound()
        worker.process.kill()
        killed = time.monotonic()
        self.counts["kills"] += 1
        self.counts["kills within a transaction"] += aimed
        fresh = self.fresh_names > 0 and dice.random() < self.fresh_names / max(self.kills_left, 1)
        self.kills_left -= 1
        if fresh:
            self.fresh_names -= 1
            self.take_over(worker, mine, killed, aimed)
            return
        time.sleep(dice.choice([0, 0, 0, dice.uniform(0, 2)]))
        began = time.monotonic()
        worker.start()
        if mine and dice.random() < 0.75:  # else the next comes while it begins
            at = self.until(f"worker {worker.name} commits again", lambda: self.watch.after(began + IN_FLIGHT, mine), mine)
            if at:
                tell("restart of a killed worker to its first new commit", seconds=round(at - began, 3), within_transaction=aimed)

    def take_over(self, worker, mine, killed, aimed):
        """Never again under that name."""
        self.workers.remove(worker)
        self.gone.append(worker)
        other = chaos.Worker(self.place, next(self.names))
        self.workers.append(other)
        other.start()
        self.counts["kills for good"] += 1
        # What the dead one had sent is committed at once; who takes over can do nothing before the session has ended.
        mine = mine or ALL
        at = self.until(f"somebody takes over what {worker.name} had", lambda: self.all_commit(killed + SESSION / 2, mine), mine)
        if at:
            tell("kill to the others' first commit of each partition", seconds=round(at - killed, 3), session=SESSION, within_transaction=aimed)

    def zombie(self):
        """Stopped past its session, and woken when its partitions are others': at once, while its transaction is still open, or
        when they have worked."""
        worker = self.dice.choice(self.workers)
        helper = None
        if len(self.workers) == 1:
            helper = chaos.Worker(self.place, next(self.names))
            helper.start()
            self.workers.append(helper)
            self.has(helper)
        mine = self.has(worker)
        aimed = self.aim_zombies.pop()
        at_once = aimed and (not self.counts["zombies woken within a transaction"] or self.dice.random() < 0.5)
        if aimed:
            aimed = self.hold_within_transaction(worker)
        else:
            time.sleep(self.dice.uniform(0, 0.5))
            worker.process.hold()
        stopped, others = time.monotonic(), [w for w in self.workers if w is not worker]
        self.until(f"others have what {worker.name} had", lambda: mine <= set().union(*map(self.partitions, others)))
        at = None if at_once else self.until("they commit", lambda: self.all_commit(stopped + SESSION / 2, mine), mine)
        if at:
            tell("stop to the others' first commit of each partition", seconds=round(at - stopped, 3), session=SESSION, within_transaction=aimed)
        if at_once:
            with contextlib.suppress(OSError):
                self.counts["zombies woken within a transaction"] += self.brokers.transactions().get(worker.transactions) == "Ongoing"
        worker.process.go_on()
        woken = time.monotonic()
        self.counts["zombies"] += 1
        self.counts["zombies within a transaction"] += aimed
        again = self.has(worker)
        self.until(f"{worker.name} commits again", lambda: self.all_commit(woken + IN_FLIGHT, again), again)
        if helper:
            self.workers.remove(helper)
            self.gone.append(helper)
            helper.process.end()
            expect_code(helper.process, 0, f"worker {helper.name}")

    def leader(self):
        """What it leads, and its number."""
        raw, trades, state = (self.place.topic(name) for name in ("raw", "trades", "state"))
        worker = self.dice.choice(self.workers)
        what = self.dice.choice([raw, trades, trades, state, "transactions", "transactions", "group"])
        if what == "transactions":
            return f"transactions of {worker.name}", self.brokers.coordinator(broker_state.TRANSACTION, worker.transactions)
        if what == "group":
            return "the group", self.brokers.coordinator(broker_state.GROUP, self.place.group)
        partition = self.dice.randrange(chaos_data.PARTITIONS)
        return f"{what}/{partition}", self.brokers.leaders(what)[partition]

    def kill_leader(self, with_worker):
        what, node = self.until("somebody leads", self._leader_if_known)
        self.imports.outage(True)
        killed = time.monotonic()
        chaos.control(f"kill {node}")
        time.sleep(self.dice.uniform(0.5, 5))
        if with_worker:
            worker = self.dice.choice(self.workers)
            worker.process.kill()
            worker.start()
            self.counts["kills while a broker is away"] += 1
        time.sleep(self.dice.uniform(0.5, 5))
        chaos.control(f"start {node}")
        self.until("all brokers are in sync again", self.in_sync)
        self.imports.outage(False)
        since = time.monotonic()
        self.until("all partitions get on", lambda: self.all_commit(since, ALL), ALL)
        tell("longest silence of a partition after a leader's kill", seconds=round(self.watch.silence(killed), 3),
             led=what, with_worker=with_worker, workers=len(self.workers))
        self.counts["leader kills"] += 1

    def _leader_if_known(self):
        with contextlib.suppress(OSError):
            what, node = self.leader()
            return (what, node) if node > 0 else None

    def in_sync(self):
        try:
            topics = self.brokers.metadata().topics
        except OSError:
            return False
        return all(set(part.in_sync) == set(part.replicas) and part.leader > 0 for parts in topics.values() for part in parts.values())

    def kill_import(self):
        """Where one runs; it is repeated."""
        time.sleep(self.dice.uniform(0, 0.5))
        self.until("an import runs", self.imports.kill, ALL)

    def start_load(self):
        """Into a store of its own, beside all that happens."""
        self.load = chaos.Process(self.place.command("load", "--worker", "beside", "--store", f"sqlite:{self.place.directory}/beside.db"),
                                  self.place.directory / "beside.log")

    def kill_load(self):
        time.sleep(self.dice.uniform(0, 0.5))
        self.load.kill()
        self.start_load()
        self.counts["loads killed"] += 1

    # ---- all of it

    def aims(self, count):
        """Half of so many, or one more, are aimed at an open transaction; in any order."""
        aims = [number % 2 == 0 for number in range(count)]
        self.dice.shuffle(aims)
        return aims

    def play(self, kills, zombies, leader_kills):
        self.aim_kills, self.aim_zombies = self.aims(kills), self.aims(zombies)
        self.kills_left = kills
        self.fresh_names = max(1, kills // 8) if kills > 2 else 0  # kills after which nobody has that name again
        actions = ["kill"] * kills + ["zombie"] * zombies + ["leader"] * leader_kills
        actions += ["import", "load"] * max(1, kills // 8)
        self.dice.shuffle(actions)
        for number, action in enumerate(actions):
            self.imports.release(max(1, self.imports.left() // (len(actions) - number + 1)))
            if action == "kill":
                self.kill_worker()
            elif action == "zombie":
                self.zombie()
            elif action == "leader":
                self.kill_leader(with_worker=self.dice.random() < 0.3)
            elif action == "import":
                self.kill_import()
            else:
                self.kill_load()
        self.counts["imports left at the last action"] = self.imports.left()
        self.imports.release(self.imports.left())
        self.until("everything is imported", lambda: self.imports.idle() and not self.imports.left())
        for worker in self.workers:
            self.has(worker)
        truetape(*self.place.command("import", *self.last_import)[1:])  # which waits until workers have processed it
        self.counts |= {"imports killed": self.imports.killed, "imports repeated after an error": self.imports.repeated}
        self.expect_hits(kills, zombies, leader_kills)
        self.end()

    def expect_hits(self, kills, zombies, leader_kills):
        """What was to hit work has hit some."""
        within = self.counts["kills within a transaction"]
        if within < kills / 3:
            raise AssertionError(f"only {within} of {kills} kills hit an open transaction")
        if self.counts["in vain"] > max(1, (kills + zombies + leader_kills) // 5):
            raise AssertionError(f"too little was left to do {self.counts['in vain']} times: give TRUETAPE_SLICES more")

    def end(self):
        """Half of the times workers are told to end, and one of them drains; else all are killed, and a new one does."""
        if self.dice.random() < 0.5:
            for worker in self.workers:
                worker.process.end()
                expect_code(worker.process, 0, f"worker {worker.name}, told to end,")
            last = self.workers[0]
        else:
            for worker in self.workers:
                worker.process.kill()
            last = chaos.Worker(self.place, next(self.names))
            self.gone += self.workers
            self.workers = [last]
        last.start("--drain")
        last.process.wait()
        expect_code(last.process, 0, "process --drain")
        self.load.end()
        expect_code(self.load, 0, "load, told to end,")
        if back := self.watch.went_back():
            raise AssertionError(back)

    def errors(self):
        """How often workers had to begin anew, by what they said."""
        said = "".join(path.read_text(errors="replace") for path in self.place.directory.glob("worker-*.log"))
        return collections.Counter(line.split(": ", 1)[1][:100] for line in said.splitlines() if " process: " in line and " info " not in line)


class Judge:
    """What an undisturbed import into a data directory gives, and whether a log and a store of it give the same."""

    def __init__(self, directory, imports):
        self.data = directory / "reference"
        for arguments, files in self._together(imports):
            truetape("import", "--data", self.data, "--set", f"log.partitions={chaos_data.PARTITIONS}", *arguments, *files)
        self.digest = truetape("digest", "--data", self.data, "--from", "log")
        self.trades = sum(int(row["rows"]) for row in csv.DictReader(io.StringIO(self.digest)) if row["kind"] == "trades")
        self.gaps, self.quarantine = self._gaps("--data", self.data), self._rows("quarantine", "--data", self.data)

    @staticmethod
    def _together(imports):
        """Files of the same arguments as one import: each instrument's stay in their order."""
        by_arguments = {}
        for *arguments, file in imports:
            by_arguments.setdefault(tuple(arguments), []).append(file)
        return by_arguments.items()

    @staticmethod
    def _rows(kind, *where):
        return list(csv.DictReader(io.StringIO(truetape("query", kind, *where, "--format", "csv"))))

    def _gaps(self, *where):
        return sorted([row[c] for c in ("instrument", "tape", "era", "first_id", "last_id", "state")] for row in self._rows("gaps", *where))

    def check_digest(self, found, of):
        for ours, theirs in zip(self.digest.splitlines() + [""], found.splitlines() + [""]):
            if ours != theirs:
                raise AssertionError(f"{of}: the first row of the digest that differs:\n  undisturbed {ours or '(none)'}\n  found       {theirs or '(none)'}")
        if self.digest != found:
            raise AssertionError(f"{of}: the digest has other rows:\n{found}")

    def check_trades(self, place):
        """Each once in what is committed. Answers how many copies aborted transactions have left beside."""
        seen, twice = set(), []
        for partition, offset, value in chaos.records(place, "trades", committed=True):
            trade = chaos.trade_identity(value)
            if trade in seen:
                twice.append(f"{trade} at {partition}/{offset}")
            seen.add(trade)
        if twice or len(seen) != self.trades:
            raise AssertionError(f"{len(seen)} trades, {self.trades} of the undisturbed; {len(twice)} twice, such as {twice[:5]}")
        return sum(1 for _ in chaos.records(place, "trades", committed=False)) - len(seen)

    def check_stores(self, place, dice):
        """The one that was loaded beside all, and a fresh one, whose load is killed in its midst and started again. Whether it was."""
        fresh, log = place.directory / "fresh.db", place.directory / "fresh.log"
        load = chaos.Process(self._load(place, "fresh", fresh), log)
        until = time.monotonic() + GUARD
        while load.code() is None and not _some_rows(fresh):
            if time.monotonic() > until:
                raise AssertionError(f"load stores nothing; it said:\n{load.said()[-3000:]}")
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.5))
        in_its_midst = load.kill()
        for name, file in ("fresh", fresh), ("beside", place.directory / "beside.db"):
            load = chaos.Process(self._load(place, name, file), log)
            load.wait(2 * GUARD)
            expect_code(load, 0, "load --drain")
            self._check_store(place, file)
        return in_its_midst

    @staticmethod
    def _load(place, name, file):
        return place.command("load", "--worker", name, "--store", f"sqlite:{file}", "--drain")

    def _check_store(self, place, file):
        where = ["--data", place.url, "--store", f"sqlite:{file}"]
        self.check_digest(truetape("digest", *where, "--from", "store"), f"the store {file.name}")
        days = list(csv.DictReader(io.StringIO(truetape("audit", *where, "--format", "csv"))))
        other = [day for day in days if day["verdict"] != "proved"]
        if other or len({day["instrument"] for day in days}) != chaos_data.INSTRUMENTS:
            raise AssertionError(f"{file.name}: the audit says:\n{other or days}")
        if self._gaps(*where) != self.gaps:
            raise AssertionError(f"{file.name}: gaps {self._gaps(*where)}, of the undisturbed {self.gaps}")
        found = self._rows("quarantine", *where)
        if len(found) != len(self.quarantine):
            raise AssertionError(f"{file.name}: quarantine {found[:5]}, of the undisturbed {self.quarantine[:5]}")


def _some_rows(file):
    try:
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
            return store.execute("SELECT 1 FROM trades LIMIT 1").fetchone() is not None
    except sqlite3.OperationalError:  # it is not there yet, or being made
        return False


class ChaosTest(unittest.TestCase):
    def test_whatever_is_killed_the_content_is_that_of_an_undisturbed_import(self):
        print(f"TRUETAPE_CHAOS_SEED={SEED}", flush=True)
        directory = pathlib.Path(tempfile.mkdtemp(prefix="truetape-chaos-"))
        try:
            (directory / "files").mkdir()
            imports = chaos_data.imports(directory / "files", SLICES)
            judge, totals = Judge(directory, imports), collections.Counter()
            for number, workers in enumerate(RUNS):
                parts = [shares(total, len(RUNS))[number] for total in (KILLS, ZOMBIES, LEADER_KILLS)]
                totals += self.run_once(directory, imports, judge, workers, parts)
        except BaseException:
            print(f"what was said is kept in {directory}", file=sys.stderr, flush=True)
            raise
        shutil.rmtree(directory)
        self.assertEqual([totals["kills"], totals["zombies"], totals["leader kills"]], [KILLS, ZOMBIES, LEADER_KILLS])
        if KILLS:
            self.assertGreater(totals["imports killed"], 0)
        if ZOMBIES:
            self.assertGreater(totals["zombies within a transaction"], 0)
            self.assertGreater(totals["zombies woken within a transaction"], 0)

    def run_once(self, directory, imports, judge, workers, parts):
        dice = random.Random(f"{SEED} {workers}")
        commit = dice.choice(["50ms", "100ms", "200ms"])
        # Ten seconds are too few for a transaction to outlast the loss of a broker: it ends, and its worker begins anew.
        transaction = "20s" if NODES == 1 else "10s" if workers == 1 else "30s"
        sets = [f"kafka.session={SESSION}s", f"kafka.transaction={transaction}", f"kafka.commit={commit}"]
        place = chaos.Place(os.environ["TRUETAPE_KAFKA"], f"chaos{workers}", directory / f"chaos{workers}", sets)
        began = time.monotonic()
        with Run(place, workers, imports, dice) as run:
            run.play(*parts)
            judge.check_digest(truetape("digest", "--data", place.url, "--from", "log"), f"the log of {workers} workers")
            run.counts["copies in aborted transactions"] = judge.check_trades(place)
            if parts[0] > 3:  # a single kill may fall into a transaction that has written nothing yet
                self.assertGreater(run.counts["copies in aborted transactions"], 0)
            run.counts["loads killed"] += judge.check_stores(place, dice)
            tell("run", workers=workers, settings=sets, trades=judge.trades, seconds=round(time.monotonic() - began), **run.counts)
            print(f"what made workers begin anew: {dict(run.errors())}", flush=True)
            return run.counts


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    if "TRUETAPE_KAFKA" not in os.environ:
        print("SKIPPED: no brokers; run it beside some: tests/kafka/with_broker.py -- python3 tests/kafka/chaos_test.py")
        sys.exit(77)
    unittest.main(verbosity=2)
