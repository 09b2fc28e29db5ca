"""What `truetape run` and `truetape import` count is what docs/metrics.md says, name by name, and the other way round."""
import collections
import re

from running import FAST, ROOT, Run, Venue, tt, until

BTC = "binance:BTCUSDT"
# One id lacks, so there is a gap.
ROWS = "time,price,quantity,id\n1723161240000,1,1,1\n1723161241000,1,1,3\n"
COLUMNS = ["--instrument", "binance:ETHUSDT", "--tape", "trade", "--columns", "time=time,price=price,quantity=quantity,id=id"]

Metric = collections.namedtuple("Metric", "kind labels")


# What only a worker of a log on Kafka tells (tests/kafka/cli_test.py).
# There while a gap waits.
AT_TIMES = {"truetape_backfill_oldest_seconds"}
OF_WORKERS = {"truetape_process_partitions"}


def documented():
    """Name -> kind and label names, by the tables of docs/metrics.md."""
    found = {}
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        cells = [c.strip() for c in line.strip("| ").split(" | ")]
        if not re.fullmatch(r"`truetape_\w+`", cells[0]) or len(cells) < 4:
            continue
        name = cells[0].strip("`")
        assert name not in found, f"{name} stands in docs/metrics.md twice"
        found[name] = Metric(cells[1], frozenset() if cells[2] == "–" else frozenset(cells[2].split(", ")))
    return found


def exported(text):
    """The same of what was exported; a kind without any value has no labels yet and is left out."""
    kinds, labels = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in kinds, f"{name} has two TYPE lines"
            kinds[name] = kind
        elif line and not line.startswith("#"):
            sample = re.fullmatch(r'(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\})? (-?[0-9.]+)', line)
            assert sample, f"not a sample: {line}"
            name = sample[1]
            if name not in kinds:
                name = re.sub("_(bucket|sum|count)$", "", name)
            names = set(re.findall(r'(\w+)="', sample[2] or "")) - ({"le"} if kinds[name] == "histogram" else set())
            labels.setdefault(name, set()).add(frozenset(names))
    for name, sets in labels.items():
        assert len(sets) == 1, f"{name} has values of different labels: {sets}"
    return {name: Metric(kinds[name], next(iter(sets))) for name, sets in labels.items()}


def value(text, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(re.escape(name) + r"[ {]", line))


class Metrics(tt.Case):
    def test_what_is_counted_is_what_the_document_says(self):
        file, counted = self.scratch / "rows.csv", self.scratch / "import.prom"
        file.write_text(ROWS)
        tt.run("import", "--data", self.data, "--metrics", counted, *COLUMNS, file)
        of_import, document = exported(counted.read_text()), documented()
        with Venue(tt.BTC_FRAMES, "--speed", "30") as venue, Run(self.data, BTC, venues=[venue], sets=[*FAST, "backfill.enabled=yes"]) as run:
            def complete():
                text = run.ask("/metrics")[2].decode()
                missing = set(document) - set(exported(text)) - set(of_import) - OF_WORKERS - AT_TIMES
                hops = [f"{name}_count" for name, metric in document.items() if metric.kind == "histogram" and "push" not in name]
                self.shown = f"not exported: {sorted(missing)}; not observed: {[h for h in hops if not value(text, h)]}"
                return text if not missing and all(value(text, h) for h in hops) else None
            try:
                text = until("all documented metrics are there, and each hop was measured", complete, every=0.5)
            except AssertionError as e:
                raise AssertionError(f"{e}\n{self.shown}") from None
            self.assertEqual(value(text, "truetape_ready"), 1)
            self.assertEqual(value(text, "truetape_up"), 1)
            self.assertGreater(value(text, "truetape_memory_anonymous_bytes"), 1e6)
            self.assertGreater(value(text, "truetape_log_used_bytes"), 0)
            self.assertIn('truetape_log_limit_bytes{limit="size"} 20000000000\n', text)
            self.assertIn('truetape_log_limit_bytes{limit="hard"} 25000000000\n', text)
            self.assertGreaterEqual(value(text, "truetape_disk_size_bytes"), value(text, "truetape_disk_free_bytes"))
            self.assertIn('truetape_gaps{venue="binance",state="open"}', text)
            # Of a venue without a gap too: its first one is a rise then.
            self.assertIn('truetape_gap_missing_ids{venue="binance-usdm",state="open"} 0\n', text)
            self.assertIn('truetape_log_held_bytes{reader="load:sqlite"}', text)
            venue.process.terminate()
            venue.end()
        for where, metrics in (("run", exported(text)), ("import", of_import)):
            for name, metric in metrics.items():
                self.assertIn(name, document, f"{where} exports it, and docs/metrics.md does not say so")
                self.assertEqual(metric, document[name], f"{name} of {where}")


if __name__ == "__main__":
    tt.main()
