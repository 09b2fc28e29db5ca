#!/usr/bin/env python3
"""Stores and logs that do not fit each other or this program: one sentence each, whose command resolves it."""
import contextlib
import ctypes
import ctypes.util
import re
import shutil
import sqlite3

import tt
from cli_test import COLUMNS, ROWS


class Meta:
    """The table `meta` of a log, past truetape (docs/log-format.md)."""

    class Value(ctypes.Structure):
        _fields_ = [("size", ctypes.c_size_t), ("data", ctypes.c_char_p)]

    @classmethod
    def set(cls, file, name, text):
        lib = ctypes.CDLL(ctypes.util.find_library("lmdb") or "liblmdb.so.0")

        def call(function, *arguments):
            code = getattr(lib, function)(*arguments)
            if code != 0:
                raise OSError(f"{function}: {code}")

        env, txn, dbi = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint()
        call("mdb_env_create", ctypes.byref(env))
        call("mdb_env_set_maxdbs", env, 2)
        call("mdb_env_open", env, str(file).encode(), 0x4000, 0o644)  # MDB_NOSUBDIR
        call("mdb_txn_begin", env, None, 0, ctypes.byref(txn))
        call("mdb_dbi_open", txn, b"meta", 0, ctypes.byref(dbi))
        pair = [cls.Value(len(t), t) for t in (name.encode(), text.encode())]
        call("mdb_put", txn, dbi, ctypes.byref(pair[0]), ctypes.byref(pair[1]), 0)
        call("mdb_txn_commit", txn)
        lib.mdb_env_close(env)


class Fit(tt.Case):
    def setUp(self):
        super().setUp()
        self.first, self.more = self.scratch / "first.csv", self.scratch / "more.csv"
        lines = ROWS.splitlines(keepends=True)
        self.first.write_text("".join(lines[:3]))
        self.more.write_text("".join([lines[0], *lines[3:]]))
        self.grow(self.first)

    def grow(self, file, data=None):
        tt.run("import", "--data", data or self.data, *COLUMNS, file)

    def resolve(self, sentence):
        """Runs the command that a sentence ends with. What only the store has stays there."""
        command = re.search(r"truetape (import --data )(\S+)( --finish --adopt)\s*$", sentence)
        self.assertTrue(command, sentence)
        tt.run(*(command[1] + str(self.data) + command[3]).split())

    def said(self, *arguments, expect=1):
        """The last line: before it stands what was tried."""
        done = tt.run(*arguments, "--data", self.data, expect=expect)
        return done.stderr.splitlines()[-1]

    def test_a_store_of_another_log(self):
        other = self.scratch / "other"
        self.grow(self.more, other)
        for file in self.data.glob("store.db*"):
            file.unlink()
        shutil.copy(other / "store.db", self.data / "store.db")
        for arguments in (["import", "--finish"], ["run", "--set", "serve.port=0"]):
            sentence = self.said(*arguments)
            self.assertRegex(sentence, r"store\.db holds the rows of log [0-9a-f-]{36}, but this log is [0-9a-f-]{36}; ")
        self.resolve(sentence)
        self.assertEqual(len(tt.rows(self.data, "trades")), 3)

    def test_a_store_that_is_ahead_of_its_log(self):
        copy = self.scratch / "copy"
        tt.run("backup", "--data", self.data, copy)
        self.grow(self.more)
        shutil.copy(copy / "log/log.mdb", self.data / "log/log.mdb")
        (self.data / "log/log.mdb-lock").unlink(missing_ok=True)
        for arguments in (["import", "--finish"], ["run", "--set", "serve.port=0"], ["digest", "--compare"]):
            sentence = self.said(*arguments)
            self.assertRegex(sentence, r"up to offset \d+, (but|and) the log ends at \d+", arguments)
        self.resolve(self.said("import", *COLUMNS, self.more))
        self.assertEqual(len(tt.rows(self.data, "trades")), 3)
        self.grow(self.more)
        tt.run("digest", "--data", self.data, "--compare")

    def test_a_log_or_store_of_a_newer_program(self):
        for name, newer in (("format", "9"), ("state_version", "9")):
            data = self.scratch / name
            self.grow(self.first, data)
            before = tt.rows(data, "trades")
            Meta.set(data / "log/log.mdb", name, newer)
            for arguments in (["import", "--finish"], ["digest"], ["log", "verify"], ["rebuild"], ["backup", self.scratch / "b"]):
                self.assertRegex(tt.run(*arguments, "--data", data, expect=1).stderr,
                                 rf"has {name.split('_')[0]} version 9, this program knows up to \d; use a newer truetape", arguments)
            self.assertEqual(tt.rows(data, "trades"), before)  # the store is not concerned
        with contextlib.closing(sqlite3.connect(self.data / "store.db")) as db:
            db.execute("PRAGMA user_version = 99")
        for arguments in (["import", "--finish"], ["query", "trades"], ["backup", self.scratch / "b"]):
            self.assertIn("newer than this program's", self.said(*arguments), arguments)

    def test_another_number_of_partitions(self):
        sentence = self.said("import", "--finish", "--set", "log.partitions=3")
        self.assertIn("has 8 partitions, not 3", sentence)
        setting = re.search(r"--set (log\.partitions=\d+)", sentence)[1]
        tt.run("import", "--data", self.data, "--finish", "--set", setting)


if __name__ == "__main__":
    tt.main()
