"""Alerts, metrics, runbook and code speak of the same things."""
import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TRUETAPE", str(ROOT / "build/dev/truetape"))
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
ALERTS = (ROOT / "deploy/prometheus/alerts.yml").read_text()
TESTS = (ROOT / "deploy/prometheus/alerts_test.yml").read_text()


def alerts():
    """Name -> the text of the rule."""
    parts = re.split(r"^ +- alert: (\w+)$", ALERTS, flags=re.M)[1:]
    names = parts[::2]
    assert len(names) == len(set(names)) and names, names
    return dict(zip(names, parts[1::2]))


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def paragraphs():
    """Heading -> its text, of the headings of the second level."""
    parts = re.split(r"^#{1,2} (.*)$", RUNBOOK, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def source_text():
    """All text literals of the program, neighbours joined as the compiler joins them."""
    text = "\n".join(f.read_text() for f in sorted((ROOT / "src").rglob("*.cc")) if not f.name.endswith("_test.cc"))
    return re.sub(r'"\s*\n\s*"', "", text).replace('\\"', '"')


class Documents(unittest.TestCase):
    def test_each_alert_has_its_paragraph_and_each_paragraph_its_alert(self):
        there = {heading for heading in paragraphs() if heading.startswith("Truetape")}
        self.assertEqual(there, set(alerts()))
        for name, rule in alerts().items():
            self.assertRegex(rule, rf"(?m)^ +runbook: docs/runbook\.md#{anchor(name)}$", name)
            for part in ("severity: (page|ticket)", "summary: '", "description: '"):
                self.assertRegex(rule, rf"(?m)^ +{part}", name)

    def test_each_paragraph_says_what_to_see_to_do_and_when_it_is_over(self):
        for name in alerts():
            text = paragraphs()[name]
            for word in ("**Means**", "**See", "**Do**", "**Over**"):
                if word == "**Do**" or word == "**Over**":
                    self.assertTrue(word in text or "**See, do, over**" in text, f"{name} has no {word}")
                else:
                    self.assertIn(word, text, name)

    def test_each_alert_uses_metrics_that_are_documented(self):
        documented = set(re.findall(r"^\| `(truetape_\w+)`", (ROOT / "docs/metrics.md").read_text(), flags=re.M))
        for name, rule in alerts().items():
            expression = re.search(r"(?m)^ +expr: '(.*)'$", rule)[1]
            used = {re.sub("_bucket$", "", m) for m in re.findall(r"\btruetape_\w+", expression)}
            self.assertTrue(used or "up{" in expression, name)
            self.assertLessEqual(used, documented, name)

    def test_each_alert_is_tested_to_fire_and_not_to(self):
        for name in alerts():
            for word, count in (("fires", 1), ("does not", 0)):
                part = re.search(rf"- name: {name} {word}\n(.*?)(?=\n  - name: |\n  # |\Z)", TESTS, flags=re.S)
                self.assertTrue(part, f"{name} {word}")
                self.assertIn(f'alertname="{name}"', part[1])
                self.assertIn(f"value: {count}}}", part[1])

    def test_links_within_the_runbook_lead_somewhere(self):
        there = {anchor(heading) for heading in paragraphs()}
        links = re.findall(r"\]\(#([^)]*)\)", RUNBOOK)
        self.assertGreater(len(links), 50)
        for link in links:
            self.assertIn(link, there)

    def test_metrics_that_the_runbook_names_are_documented(self):
        document = (ROOT / "docs/metrics.md").read_text()
        for name in set(re.findall(r"`(truetape_\w+)`", RUNBOOK)):
            self.assertIn(f"| `{name}` |", document)

    def test_the_lines_that_the_runbook_explains_are_said_by_the_program(self):
        said = source_text()
        rows = re.findall(r"^\| ([\w, ]+) \| (warning|error) \| `([^`]+)` \|", RUNBOOK, flags=re.M)
        self.assertGreater(len(rows), 30)
        self.assertEqual([words for _, _, words in rows if words not in said], [])

    def test_commands_that_the_runbook_gives_are_there(self):
        lists = {"log", "control", "query", "readers", "config"}  # of commands of their own
        text = RUNBOOK + (ROOT / "docs/deploy.md").read_text()
        found = {(first, second if first in lists else "") for first, second in re.findall(r"[`;] ?truetape ([a-z]+)(?: ([a-z]+))?", text)}
        self.assertGreater(len(found), 12)
        for words in sorted(found):
            done = subprocess.run([BINARY, *filter(None, words), "--help"], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, f"truetape {' '.join(words)}: {done.stderr}")

    def test_settings_that_the_runbook_names_are_there(self):
        settings = (ROOT / "src/app/settings.cc").read_text() + (ROOT / "src/market/rules.cc").read_text()
        for key in set(re.findall(r"`((?:log|serve|rule)[._][\w.]+)(?: = [^`]*)?`", RUNBOOK)):
            self.assertTrue(f'"{key}"' in settings, f"there is no setting {key}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
