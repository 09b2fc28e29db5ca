"""Drills: the store."""
import contextlib
import shutil
import sqlite3
import time

from kinds import Drill
from kinds_disk import bring
from kinds_down import backup


class Locked(Drill):
    name, alert, line = "store-locked", "TruetapeRoleInTrouble", "another program holds the store's write lock"

    def labels(self, rig):
        return {"role": "load"}

    def stage(self, rig):
        rig.begin()
        rig.colleague("annual-audit", "long_transaction", rig.data / "store.db")

    def holds(self, rig):
        return rig.metric("truetape_role_trouble", role="load") == 1

    def story(self, rig):
        return "Programs of other teams on this machine lie in opt/; they may be ended."


class Behind(Locked):
    name, alert, line = "load-behind", "TruetapeLoadBehind", "the same after an import: tens of thousands of records wait"

    def stage(self, rig):
        super().stage(rig)
        time.sleep(2)
        bring(rig, 1)

    def holds(self, rig):
        behind = rig.metric("truetape_role_behind_records", role="load") or 0
        return behind if behind > 10_000 else False

    def story(self, rig):
        return super().story(rig) + "\nIn this drill the threshold is 10,000 records instead of 100,000. A history of LTCUSDT was imported a minute ago."


class Refusing(Locked):
    name, alert, line = "store-refusing", "TruetapeStoreRefusing", "another program takes the write lock for seconds again and again"
    held, free = 12, 1.5

    def labels(self, rig):
        return {"store": "sqlite"}

    def stage(self, rig):
        rig.begin()
        rig.colleague("nightly-report", "many_transactions", rig.data / "store.db", self.held, self.free)
        rig.remember(failed=rig.metric("truetape_load_failed_batches_total") or 0)

    def holds(self, rig):
        return (rig.metric("truetape_load_failed_batches_total") or 0) - rig.fact("failed") >= 3

    def over(self, rig):
        before = rig.metric("truetape_load_failed_batches_total")
        time.sleep(20)
        return ["batches are still refused"] if rig.metric("truetape_load_failed_batches_total") != before else []


class Retries(Refusing):
    name, alert, line = "retries", "TruetapeRetries", "the same, as the count of errors that were survived"

    def labels(self, rig):
        return {"role": "load"}

    def holds(self, rig):
        return (rig.metric("truetape_role_retries_total", role="load") or 0) >= 5


class Slow(Refusing):
    name, alert, line = "store-slow", "TruetapeStoreSlow", "another program holds the store for some seconds again and again, so that rows come late"
    held, free = 6, 0.5

    def holds(self, rig):
        before = rig.buckets("truetape_load_commit_to_store_seconds")
        time.sleep(10)
        slow = rig.slow("truetape_load_commit_to_store_seconds", before)
        return slow if slow and slow >= 5 else False

    def over(self, rig):
        return ["records still reach the store late"] if self.holds(rig) else []


class Another(Drill):
    name, alert, line = "store-of-another-log", "TruetapeDown", "somebody copied another machine's store.db into the data directory"

    def stage(self, rig):
        rig.begin()
        other = rig.own / "other"
        bring_other(rig, other)
        rig.unit("stop")
        keep = rig.root / "backups/store-of-before"
        keep.mkdir()
        for file in rig.data.glob("store.db*"):
            shutil.move(file, keep / file.name)
        shutil.copy(other / "store.db", rig.data / "store.db")
        rig.remember(other=str(other))
        rig.unit("start")

    def holds(self, rig):
        return rig.status("/health/ready") != 200

    def labels(self, rig):
        return {}

    def story(self, rig):
        return ("Last evening somebody wanted to query the history of another machine here, stopped truetape, put that machine's store.db in the place of this one's\n"
                "(whose file was moved to the backups named above) and started truetape. Both machines' rows exist elsewhere too: what this machine's log holds is what counts.")

    def verdict(self, rig):
        import truths
        bad = truths.is_well(rig) or truths.is_wanted(rig, self.keep) + truths.nothing_lost(rig, same_log=False) + truths.gaps_named(rig) + truths.audited(rig)
        ids = rig.tool("log", "ls", "--data", rig.data).stdout
        return bad + ([] if rig.fact("log_id") in ids else ["the log is another one than before"])


def bring_other(rig, place):
    """A data directory of another machine."""
    from kinds_disk import COLUMNS, LTC
    done = rig.tool("import", "--data", place, "--instrument", "binance:LTCUSDT", "--tape", "agg", "--columns", COLUMNS, LTC)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


class OlderLog(Drill):
    name, alert, line = "log-put-back", "TruetapeDown", "somebody put back an older log beside the newer store"

    def stage(self, rig):
        rig.begin()
        backup(rig)
        time.sleep(20)
        rig.unit("stop")
        shutil.rmtree(rig.data / "log")
        shutil.copytree(rig.root / "backups/nightly/log", rig.data / "log")
        rig.unit("start")

    def holds(self, rig):
        return rig.status("/health/ready") != 200

    def story(self, rig):
        return "The log's folder was deleted by mistake last evening; a colleague took it from the backup and started truetape again."


class StoreDamaged(Drill):
    name, alert, line = "store-damaged", "TruetapeDown", "the store's file is damaged; the log is sound"

    def stage(self, rig):
        rig.begin(trades=60)
        rig.unit("stop")
        with contextlib.closing(sqlite3.connect(rig.data / "store.db")) as store:
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = (rig.data / "store.db").stat().st_size
        with open(rig.data / "store.db", "r+b") as file:
            for place in range(4096, size, 4096):
                file.seek(place)
                file.write(b"\xa5" * 2048)
        rig.unit("start")

    def holds(self, rig):
        return rig.status("/health/ready") != 200


class Contradiction(Drill):
    name, alert, line = "contradiction", "TruetapeContradiction", "somebody changed rows of the store by hand, and then the store was put back a little"

    def labels(self, rig):
        return {"store": "sqlite"}

    def stage(self, rig):
        rig.begin(trades=60)
        rig.unit("stop")
        with contextlib.closing(sqlite3.connect(rig.data / "store.db")) as store, store:
            store.execute("UPDATE trades SET price = price + 1 WHERE trade_order % 5 = 0")
            store.execute("UPDATE positions SET next = 0")
        rig.unit("start")
        rig.wait("ready", lambda: rig.status("/health/ready") == 200, 60)

    def holds(self, rig):
        return rig.metric("truetape_load_contradictions_total") or False
