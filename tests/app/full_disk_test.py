#!/usr/bin/env python3
"""A disk that is full, or becomes full in the middle of an import: one sentence, and nothing is lost or doubled when there is
room again. The disk is tests/log/powercut_shim.cc, which fails writes below the data directory on order."""
import os
import sys

import tt

SHIM = os.environ.get("TRUETAPE_SHIM", "")


class FullDisk(tt.Case):
    def full(self, *arguments, word="w"):
        """Runs truetape while the disk is full."""
        switch = self.scratch / "full"
        switch.write_text(word)
        environment = dict(os.environ, LD_PRELOAD=SHIM, ASAN_OPTIONS="verify_asan_link_order=0", TRUETAPE_POWERCUT_DIR=str(self.data),
                           TRUETAPE_POWERCUT_SHADOW=str(self.scratch / "shadow"), TRUETAPE_POWERCUT_FULL=str(switch))
        return tt.run(*arguments, expect=1, env=environment)

    def test_a_full_disk_is_one_sentence_and_the_same_command_completes_the_import_later(self):
        arguments = ["import", "--data", self.data, *tt.LTC_OPTIONS, tt.LTC_CSV]
        self.data.mkdir()
        sentence = self.full(*arguments).stderr.splitlines()[-1]
        self.assertIn("its disk is full; free space on it", sentence)
        # A sync that fails may be a full disk or a failing one: both are named, with what to do.
        sentence = self.full(*arguments, word="s").stderr.splitlines()[-1]
        self.assertIn("its disk is full or failing; free space on it", sentence)
        self.assertIn("system's log", sentence)
        tt.run(*arguments)
        self.assertEqual(len(tt.rows(self.data, "trades")), 53_325)
        # Full again, with all that is there: what was durable stays readable and the same.
        before = tt.digest(self.data, "log")
        sentence = self.full(*arguments).stderr.splitlines()[-1]
        self.assertRegex(sentence, r"(?i)full|space|room")
        self.assertIn("sound", tt.run("log", "verify", "--data", self.data))
        tt.run(*arguments)
        self.assertEqual(tt.digest(self.data, "log"), before)
        self.assertEqual(tt.digest(self.data, "store"), before)


if __name__ == "__main__":
    if not os.path.exists(SHIM):
        print(f"SKIPPED: there is no shim '{SHIM}'. This is not a pass.")
        sys.exit(77)
    tt.main()
