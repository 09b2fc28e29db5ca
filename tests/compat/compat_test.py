#!/usr/bin/env python3
"""Data directories that released programs left (golden/, by make_golden.py): read the same, and gone on with."""
import csv
import itertools
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "app"), str(HERE.parent / "sim")]
import tt
from beside_test import Holder

ARCHIVES = sorted((HERE / "golden").glob("*.tar.zst"))
# What takes a store file back to an older schema: the reverse of each migration.
BACK = {5: "DROP VIEW quotes_view; DROP TABLE quotes; DROP VIEW news_counts_view; DROP TABLE news_counts;",
        4: "DROP VIEW news_view; DROP TABLE news; DROP TABLE news_related;",
        3: "DROP VIEW quarantine_view; ALTER TABLE quarantine DROP COLUMN attempts; ALTER TABLE quarantine DROP COLUMN resolution;",
        2: "DROP INDEX quarantine_by_instrument;", 1: "DROP TABLE missing_records;"}


def columns_of(now, then):
    """Rows that differ in the columns that there were then: new ones may only come behind."""
    now, then = list(csv.reader(now.splitlines())), list(csv.reader(then.splitlines()))
    width = len(then[0])
    return [(a, b) for a, b in itertools.zip_longest([row[:width] for row in now], then) if a != b]


class Golden(tt.Case):
    def unpack(self, archive):
        root = self.scratch / archive.name
        root.mkdir()
        plain = subprocess.run(["zstd", "-dcq", archive], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", root], check=True, input=plain)
        return root

    def each(self):
        self.assertTrue(ARCHIVES)
        for root in map(self.unpack, ARCHIVES):
            yield root, root / "data"

    def expect(self, data, told):
        """The directory says what the program that made it said."""
        for place in ("log", "store"):
            self.assertEqual(tt.digest(data, place), (told / "digest.csv").read_text(), place)
        for query in ("candles", "trades", "gaps", "quarantine", "progress"):
            self.assertEqual(columns_of(tt.run("query", query, "--data", data, "--format", "csv"), (told / f"{query}.csv").read_text()), [], query)
        self.assertIn("the log is sound", tt.run("log", "verify", "--data", data))

    def migrate(self, data):
        """A store of an older schema is migrated by what writes to it, and refused by what only reads."""
        if tt.run("query", "trades", "--data", data, "--limit", "1", expect=None).returncode != 0:
            tt.run("import", "--data", data, "--finish")

    def test_it_is_read_as_it_was(self):
        for root, data in self.each():
            self.migrate(data)
            self.expect(data, root / "before")

    def test_an_import_goes_on(self):
        for root, data in self.each():
            tt.run("import", "--data", data, "--venue", "binance", root / "more.frames")
            self.expect(data, root / "after")

    def test_run_goes_on(self):
        for root, data in self.each():
            holder = Holder(data)
            self.addCleanup(holder.told.close)
            self.addCleanup(holder.kill)
            tt.run("import", "--data", data, "--venue", "binance", root / "more.frames")
            code, said = holder.end()
            self.assertEqual(code, 0, said)
            self.expect(data, root / "after")

    def test_it_is_rebuilt(self):
        for root, data in self.each():
            tt.run("rebuild", "--data", data)
            for place in ("log", "store"):
                self.assertEqual(tt.digest(data, place), (root / "before/digest.csv").read_text(), place)
            tt.run("import", "--data", data, "--venue", "binance", root / "more.frames")
            self.assertEqual(tt.digest(data, "store"), (root / "after/digest.csv").read_text())

    def test_it_is_backed_up_and_restored(self):
        for root, data in self.each():
            tt.run("backup", "--data", data, root / "backup")
            tt.run("restore", root / "backup", "--data", root / "restored")
            self.migrate(root / "restored")
            self.expect(root / "restored", root / "before")
            tt.run("import", "--data", root / "restored", "--venue", "binance", root / "more.frames")
            self.assertEqual(tt.digest(root / "restored", "log"), (root / "after/digest.csv").read_text())

    def test_a_store_that_was_lost_is_loaded_again(self):
        for root, data in self.each():
            (data / "store.db").unlink()
            tt.run("import", "--data", data, "--finish")
            self.expect(data, root / "before")

    def test_stores_of_older_schemas_are_migrated(self):
        for root, data in self.each():
            newest = data / "store.db"
            self.migrate(data)
            version = tt.store_rows(data, "PRAGMA user_version")[0][0]
            kept = shutil.copy(newest, root / "kept.db")
            for older in range(version - 1, 0, -1):
                for file in data.glob("store.db*"):
                    file.unlink()
                shutil.copy(kept, newest)
                db = sqlite3.connect(newest)
                for step in range(version - 1, older - 1, -1):
                    db.executescript(BACK[step] + f"PRAGMA user_version = {step};")
                db.close()
                self.assertIn("--finish", tt.run("query", "trades", "--data", data, expect=1).stderr)
                tt.run("import", "--data", data, "--finish")
                self.expect(data, root / "before")
                self.assertEqual(tt.store_rows(data, "PRAGMA user_version"), [(version,)])


if __name__ == "__main__":
    tt.main()
