#!/usr/bin/env python3
"""Backup, restore and rebuild: also beside a process that writes, killed at random instants, and on a full disk."""
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import tt
from beside_test import Holder
from cli_test import COLUMNS, ROWS

SHIM = os.environ.get("TRUETAPE_SHIM", "")
BTC = ["--venue", "binance", tt.BTC_FRAMES]
LTC = [*tt.LTC_OPTIONS, tt.LTC_CSV]
SMALL = [*COLUMNS[:-1], "binance:ETHUSDT"]  # no instrument of the captures


def start(*arguments, **more):
    return subprocess.Popen([tt.BINARY, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, **more)


class Case(tt.Case):
    def setUp(self):
        super().setUp()
        self.target = self.scratch / "backup"
        self.restored = self.scratch / "restored"

    def small(self, data=None):
        """A data directory of three trades."""
        rows = self.scratch / "rows.csv"
        rows.write_text(ROWS)
        tt.run("import", "--data", data or self.data, *SMALL, rows)
        return data or self.data

    def refused(self, *arguments, **more):
        done = tt.run(*arguments, expect=1, **more)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.stderr

    def expect_sound(self, data):
        self.assertIn("the log is sound", tt.run("log", "verify", "--data", data))
        self.assertEqual(tt.store_rows(data, "PRAGMA integrity_check"), [("ok",)])

    def names(self, directory):
        return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())


class Backup(Case):
    def test_what_is_restored_is_what_was(self):
        tt.run("import", "--data", self.data, *LTC)
        self.small()
        (self.data / "reconcile").mkdir()
        (self.data / "reconcile/x.json").write_text("{}")
        before = tt.digest(self.data, "log")
        said = tt.run("backup", "--data", self.data, self.target)
        self.assertIn(f"truetape restore {self.target} --data DIR", said)
        self.assertEqual(self.names(self.target), ["backup.json", "log/log.mdb", "reconcile/x.json", "store.db"])
        manifest = json.loads((self.target / "backup.json").read_text())
        self.assertEqual((manifest["format"], manifest["store_schema"], [f["name"] for f in manifest["files"]]),
                         (1, tt.store_rows(self.data, "PRAGMA user_version")[0][0], ["log/log.mdb", "store.db", "reconcile/x.json"]))
        # A backup is read as it stands, and stays what it was.
        self.assertEqual(tt.digest(self.target, "log"), before)
        self.assertEqual(tt.digest(self.target, "store"), before)
        self.expect_sound(self.target)
        epoch = manifest["epoch"]
        tt.run("restore", self.target, "--data", self.restored)
        for place in ("log", "store"):
            self.assertEqual(tt.digest(self.restored, place), before, place)
        self.expect_sound(self.restored)
        self.assertEqual(self.names(self.restored / "reconcile"), ["x.json"])
        now = int(tt.run("log", "ls", "--data", self.restored).split("epoch ")[1].split(",")[0])
        self.assertGreater(now, epoch)
        # Both go on alike.
        for data in (self.data, self.restored):
            tt.run("import", "--data", data, *BTC)
        self.assertEqual(tt.digest(self.restored, "log"), tt.digest(self.data, "log"))
        tt.run("digest", "--data", self.restored, "--compare")

    def test_beside_an_import_and_beside_run(self):
        self.small()
        writer = start("import", "--data", self.data, *LTC)
        copies = []
        while writer.poll() is None:
            target = self.scratch / f"backup{len(copies)}"
            tt.run("backup", "--data", self.data, target)
            copies.append(target)
        self.assertEqual(writer.wait(), 0, writer.communicate()[1])
        after = tt.digest(self.data, "log")
        self.assertGreaterEqual(len(copies), 1)
        for n, target in enumerate(copies[-4:]):
            self.expect_sound(target)
            restored = self.scratch / f"restored{n}"
            tt.run("audit", "--data", target)
            tt.run("restore", target, "--data", restored)
            tt.run("audit", "--data", restored)
            tt.run("import", "--data", restored, "--finish")
            tt.run("audit", "--data", restored)
            tt.run("digest", "--data", restored, "--compare")
            tt.run("import", "--data", restored, *LTC)
            self.assertEqual(tt.digest(restored, "store"), after)
        holder = Holder(self.data)
        self.addCleanup(holder.told.close)
        self.addCleanup(holder.kill)
        tt.run("backup", "--data", self.data, self.target)
        self.assertEqual(tt.digest(self.target, "log"), after)
        self.assertEqual(holder.end()[0], 0)

    def test_a_store_that_was_copied_before_its_log(self):
        """As in a backup between whose two copies the loader went on: its position in the log is the later one."""
        self.small()
        older = self.scratch / "older.db"
        shutil.copy(self.data / "store.db", older)
        tt.run("import", "--data", self.data, *LTC)
        after = tt.digest(self.data, "store")
        for file in self.data.glob("store.db*"):
            file.unlink()
        shutil.copy(older, self.data / "store.db")
        tt.run("backup", "--data", self.data, self.target)
        tt.run("audit", "--data", self.target)
        tt.run("restore", self.target, "--data", self.restored)
        done = tt.run("audit", "--data", self.restored, expect=None)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        tt.run("import", "--data", self.restored, "--finish")
        tt.run("audit", "--data", self.restored)
        self.assertEqual(tt.digest(self.restored, "store"), after)

    def test_a_target_that_does_not_fit_is_one_sentence(self):
        self.assertIn("import something first", self.refused("backup", "--data", self.data, self.target))
        self.small()
        self.assertIn("is there already", self.refused("backup", "--data", self.data, self.scratch))
        self.assertIn("one inside the other", self.refused("backup", "--data", self.data, self.data / "backup"))
        self.assertIn("there is no directory", self.refused("backup", "--data", self.data, self.scratch / "x/backup"))
        self.assertEqual(tt.run("backup", "--data", self.data, self.target, "--rate", "fast", expect=2).stdout, "")
        (self.scratch / "backup.partial").mkdir()
        (self.scratch / "backup.partial/mine").write_text("mine")
        self.assertIn("in the way", self.refused("backup", "--data", self.data, self.target))
        self.assertEqual(self.names(self.scratch / "backup.partial"), ["mine"])

    def test_without_a_store_the_log_is_enough(self):
        self.small()
        before = tt.digest(self.data, "log")
        (self.data / "store.db").unlink()
        tt.run("backup", "--data", self.data, self.target)
        tt.run("restore", self.target, "--data", self.restored)
        self.assertIn("--finish", self.refused("query", "trades", "--data", self.restored))
        tt.run("import", "--data", self.restored, "--finish")
        self.assertEqual(tt.digest(self.restored, "store"), before)

    def test_a_killed_backup_leaves_what_the_next_one_removes(self):
        tt.run("import", "--data", self.data, *LTC)
        partial = self.scratch / "backup.partial"
        killed = 0
        for seed in range(6):
            process = start("backup", "--data", self.data, "--rate", "8", self.target)
            while not partial.exists() and process.poll() is None:
                time.sleep(0.002)
            time.sleep(random.Random(seed).uniform(0, 0.6))
            process.kill()
            process.communicate()
            if self.target.exists():
                shutil.rmtree(self.target)
            killed += partial.exists()
        self.assertGreaterEqual(killed, 1)
        self.assertIn("half a backup", self.refused("query", "trades", "--data", partial))
        done = tt.run("backup", "--data", self.data, self.target, expect=None)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"removed {partial}", done.stderr)
        self.assertFalse(partial.exists())
        self.expect_sound(self.target)

    def test_a_disk_that_fills_leaves_nothing(self):
        if not os.path.exists(SHIM):
            self.skipTest(f"there is no shim {SHIM}")
        tt.run("import", "--data", self.data, *LTC)
        switch = self.scratch / "full"
        partial = self.scratch / "backup.partial"
        environment = dict(os.environ, LD_PRELOAD=SHIM, ASAN_OPTIONS="verify_asan_link_order=0", TRUETAPE_POWERCUT_DIR=str(partial),
                           TRUETAPE_POWERCUT_SHADOW=str(self.scratch / "shadow"), TRUETAPE_POWERCUT_FULL=str(switch))
        process = start("backup", "--data", self.data, "--rate", "4", self.target, env=environment)
        while not (partial / "log/log.mdb").exists() and process.poll() is None:
            time.sleep(0.01)
        switch.write_text("w")
        said = process.communicate()[1]
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("free space there, or choose another place", said)
        self.assertFalse(partial.exists() or self.target.exists())
        # From the beginning on.
        self.assertRegex(self.refused("backup", "--data", self.data, self.target, env=environment), "free space")
        self.assertFalse(partial.exists() or self.target.exists())
        switch.unlink()
        tt.run("backup", "--data", self.data, self.target, env=environment)


class Restore(Case):
    def setUp(self):
        super().setUp()
        self.small()
        tt.run("backup", "--data", self.data, self.target)

    def test_what_does_not_fit_is_one_sentence_and_leaves_nothing(self):
        self.assertIn("is not empty", self.refused("restore", self.target, "--data", self.data))
        self.assertIn("is no backup", self.refused("restore", self.data, "--data", self.restored))
        self.assertIn("there is no directory", self.refused("restore", self.target, "--data", self.scratch / "x/y"))
        manifest = self.target / "backup.json"
        whole = manifest.read_text()
        for words, text in (("is of format 9", whole.replace('"format": 1', '"format": 9')), ("damaged", whole[:100]), ("damaged", whole.replace("store.db", "../x")),
                            ("damaged", whole.replace("log/log.mdb", "log/log.mdx"))):
            manifest.write_text(text)
            self.assertIn(words, self.refused("restore", self.target, "--data", self.restored))
        manifest.write_text(whole)
        file = self.target / "store.db"
        bytes = file.read_bytes()
        file.write_bytes(bytes[:5000] + b"?" + bytes[5001:])
        self.assertIn("is not what was backed up", self.refused("restore", self.target, "--data", self.restored))
        file.unlink()
        self.assertIn("store.db failed", self.refused("restore", self.target, "--data", self.restored))
        self.assertIn("is a backup that is not whole: store.db", self.refused("query", "trades", "--data", self.target))
        self.assertEqual(sorted(p.name for p in self.scratch.iterdir()), ["backup", "data", "rows.csv"])
        file.write_bytes(bytes)
        self.restored.mkdir()  # an empty one is as good as none
        tt.run("restore", self.target, "--data", self.restored)
        self.assertEqual(len(tt.rows(self.restored, "trades")), 3)

    def test_nothing_is_written_into_a_backup(self):
        before = {name: (self.target / name).stat().st_size for name in self.names(self.target)}
        for arguments in (["import", "--finish"], ["rebuild"], ["control", "stop"], ["run"], ["import", *LTC]):
            self.assertIn(f"truetape restore {self.target} --data", tt.run(*arguments, "--data", self.target, expect=1).stderr, arguments)
        self.assertEqual({name: (self.target / name).stat().st_size for name in before}, before)

    def test_a_killed_restore_is_told_by_every_command(self):
        partial = self.scratch / "restored.partial"
        partial.mkdir()
        (partial / "restore.unfinished").write_text(f"{self.target}\n")
        (partial / "log").mkdir()
        for data in (self.restored, partial):
            for arguments in (["query", "trades"], ["digest"], ["log", "ls"], ["log", "verify"], ["import", "--finish"], ["import", *LTC], ["run"],
                              ["control", "ls"], ["rebuild"], ["backup", self.scratch / "other"]):
                self.assertIn(f"truetape restore {self.target} --data {self.restored}\n", tt.run(*arguments, "--data", data, expect=1).stderr, arguments)
            self.assertFalse(self.restored.exists())
        done = tt.run("restore", self.target, "--data", self.restored, expect=None)
        self.assertEqual((done.returncode, partial.exists()), (0, False), done.stderr)
        self.assertIn(f"removed {partial}", done.stderr)
        self.assertEqual(len(tt.rows(self.restored, "trades")), 3)


    def test_killed_at_its_end_it_is_told_and_repeated(self):
        tt.run("restore", self.target, "--data", self.restored)
        (self.restored / "restore.unfinished").write_text(f"{self.target}\n")  # the last thing that a restore removes
        for arguments in (["query", "trades"], ["run"], ["import", "--finish"]):
            self.assertIn(f"truetape restore {self.target} --data {self.restored}\n", self.refused(*arguments, "--data", self.restored))
        done = tt.run("restore", self.target, "--data", self.restored, expect=None)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"removed what was in {self.restored}", done.stderr)
        self.assertEqual(len(tt.rows(self.restored, "trades")), 3)
        # A backup as well.
        (self.target / "backup.unfinished").write_text(f"{self.data}\n")
        self.assertIn("half a backup", self.refused("query", "trades", "--data", self.target))
        tt.run("backup", "--data", self.data, self.target)
        self.assertEqual(len(tt.rows(self.target, "trades")), 3)

    def test_onto_a_disk_of_its_own(self):
        """A mount point can neither be renamed nor replaced."""
        disk = self.scratch / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "truetape-test", disk], capture_output=True, text=True)
        if mounted.returncode != 0:
            print(f"test_onto_a_disk_of_its_own: skipped, nothing can be mounted here ({mounted.stderr.strip()})", file=sys.stderr)
            self.skipTest("nothing can be mounted")
        try:
            (disk / "lost+found").mkdir(mode=0o700)
            for seed in range(4):  # killed at whatever instant: nothing yet, half restored and repeatable, or whole
                process = start("restore", self.target, "--data", disk)
                time.sleep(random.Random(seed).uniform(0, 0.2))
                process.kill()
                process.communicate()
                names = {p.name for p in disk.iterdir()}
                if "restore.unfinished" in names:
                    self.assertIn("is half restored", self.refused("query", "trades", "--data", disk))
                elif names != {"lost+found"}:
                    self.assertEqual(len(tt.rows(disk, "trades")), 3)
                    (disk / "restore.unfinished").write_text(f"{self.target}\n")
            tt.run("restore", self.target, "--data", disk)
            self.assertLessEqual({p.name for p in disk.iterdir()}, {"log", "lost+found", "store.db"})
            self.expect_sound(disk)
            self.assertEqual(len(tt.rows(disk, "trades")), 3)
            self.assertIn("is not empty", self.refused("restore", self.target, "--data", disk))
            self.assertFalse((self.scratch / "disk.partial").exists())
        finally:
            subprocess.run(["umount", "-l", disk], check=True)


class Rebuild(Case):
    def candle_rows(self):
        """Of the store: what must not change."""
        return sorted((c["instrument"], c["interval"], c["start"], c["close"], c["volume"], c["status"]) for c in tt.rows(self.data, "candles"))

    def test_everything_is_made_anew_and_the_same(self):
        tt.run("import", "--data", self.data, *LTC)
        self.small()
        before, candles, gaps = tt.digest(self.data, "log"), self.candle_rows(), tt.rows(self.data, "gaps")
        trades = tt.store_rows(self.data, "SELECT count(*) FROM trades")
        for _ in range(2):
            said = tt.run("rebuild", "--data", self.data)
            self.assertRegex(said, r"rebuilt from [0-9,]+ raw records: 53,328 trades")
            tt.run("digest", "--data", self.data, "--compare")
            tt.run("audit", "--data", self.data)
            self.assertEqual(tt.digest(self.data, "log"), before)
            self.assertEqual(tt.digest(self.data, "store"), before)
            self.assertEqual((self.candle_rows(), tt.rows(self.data, "gaps")), (candles, gaps))
            self.assertEqual(tt.store_rows(self.data, "SELECT count(*) FROM trades"), trades)
            self.expect_sound(self.data)
        # A fresh store has all of it, and misses nothing.
        (self.data / "store.db").unlink()
        done = tt.run("import", "--data", self.data, "--finish", expect=None)
        self.assertNotIn("missing", done.stdout + done.stderr)
        self.assertEqual(tt.digest(self.data, "store"), before)
        self.assertEqual(tt.store_rows(self.data, "SELECT count(*) FROM missing_records"), [(0,)])
        # And more may come.
        tt.run("import", "--data", self.data, *BTC)
        tt.run("digest", "--data", self.data, "--compare")

    def test_killed_at_any_instant_it_goes_on(self):
        tt.run("import", "--data", self.data, *LTC)
        before = tt.digest(self.data, "log")
        trades = tt.store_rows(self.data, "SELECT count(*) FROM trades")
        for seed in range(8):
            process = start("rebuild", "--data", self.data)
            time.sleep(random.Random(seed).uniform(0.01, 0.5))
            process.kill()
            process.communicate()
            if seed % 3 == 2:  # else killed again and again
                tt.run("import", "--data", self.data, "--finish")
                self.assertEqual(tt.digest(self.data, "log"), before, seed)
        tt.run("import", "--data", self.data, "--finish")
        tt.run("digest", "--data", self.data, "--compare")
        self.assertEqual(tt.digest(self.data, "log"), before)
        self.assertEqual(tt.digest(self.data, "store"), before)
        self.assertEqual(tt.store_rows(self.data, "SELECT count(*) FROM trades"), trades)
        self.expect_sound(self.data)

    def test_not_beside_run(self):
        self.small()
        holder = Holder(self.data)
        self.addCleanup(holder.told.close)
        self.addCleanup(holder.kill)
        self.assertIn("is being written by process", self.refused("rebuild", "--data", self.data))
        self.assertEqual(holder.end()[0], 0)

    def test_a_store_that_was_behind_misses_nothing(self):
        tt.run("import", "--data", self.data, *LTC)
        older = self.scratch / "older.db"
        self.small()
        shutil.copy(self.data / "store.db", older)
        tt.run("import", "--data", self.data, *BTC)
        before = tt.digest(self.data, "log")
        for file in self.data.glob("store.db*"):
            file.unlink()
        shutil.copy(older, self.data / "store.db")
        tt.run("rebuild", "--data", self.data)
        self.assertEqual(tt.digest(self.data, "store"), before)
        self.assertEqual(tt.store_rows(self.data, "SELECT count(*) FROM missing_records"), [(0,)])


if __name__ == "__main__":
    tt.main()
