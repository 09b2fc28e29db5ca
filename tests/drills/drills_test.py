#!/usr/bin/env python3
"""The rig itself, by two quick drills: a drill is not resolved at its beginning, is resolved after what the runbook says, and leaves nothing
behind. The alerts of all drills are there."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import drill  # noqa: E402
import rig as rigs  # noqa: E402


class Drills(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="drills-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.environment = {**os.environ, "TRUETAPE_DRILLS": str(self.folder)}

    def drill(self, *words, expect=0):
        done = subprocess.run([sys.executable, HERE / "drill.py", *words], capture_output=True, text=True, env=self.environment, timeout=200, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, expect, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def played(self, name, remedy):
        self.addCleanup(lambda: any(self.folder.glob("drill-*")) and self.drill("stop", name))
        page = self.drill("start", name)
        root = next(self.folder.glob("drill-*"))
        self.assertIn(f"docs/runbook.md#{drill.DRILLS[name].alert.lower()}", page)
        self.assertIn("not resolved", self.drill("check", name, expect=3))
        rig = rigs.Rig(root)
        shell = {**self.environment, "PATH": f"{root}/bin:{os.environ['PATH']}", "DIR": str(rig.data), "URL": rig.url}
        done = subprocess.run(remedy, shell=True, cwd=root, env=shell, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.drill("check", name), "resolved\n")
        processes = rigs.Rig(root).state["processes"].values()
        self.drill("stop", name)
        self.assertFalse(root.exists())
        self.assertEqual([pid for pid, began in processes if began is not None and rigs.born(pid) == began], [])

    def test_a_refused_setting(self):
        self.played("down-config", "systemctl status truetape; journalctl -u truetape -n 50 --no-pager | grep 'is refused' && sed -i '/sizes/d; s/20 ms/20ms/' etc/truetape/truetape.toml && systemctl restart truetape")

    def test_a_store_of_another_log(self):
        self.played("store-of-another-log", "systemctl stop truetape && mkdir $DIR/wrong && mv $DIR/store.db* $DIR/wrong/ && truetape import --data $DIR --finish && systemctl start truetape")

    def test_each_drill_has_its_alert_and_most_alerts_a_drill(self):
        alerts = set(drill.re.findall(r"- alert: (\w+)", (rigs.ROOT / "deploy/prometheus/alerts.yml").read_text()))
        drilled = {d.alert for d in drill.DRILLS.values()}
        self.assertEqual(drilled - alerts, set())
        # Not ready is the other side of others; a frame of a venue cannot be cut while 512 KiB end its connection; a venue that
        # answers no question for half an hour takes longer than a drill (tests/trouble has one that never does).
        self.assertEqual(alerts - drilled, {"TruetapeNotReady", "TruetapeFramesCut", "TruetapeBackfillStuck"})
        answers = (HERE / "tabletop/ANSWERS.md").read_text()
        for name in drill.DRILLS:
            if name.startswith("table-"):
                self.assertIn(f"\n## {name}\n", answers)
                self.assertTrue((HERE / f"tabletop/{name.removeprefix('table-')}.txt").exists(), name)


if __name__ == "__main__":
    if not rigs.BINARY.exists():
        sys.exit(f"no {rigs.BINARY}")
    unittest.main(verbosity=2)
