#!/usr/bin/env python3
"""The commands on a log on Kafka as users and scripts meet them, beside one real broker (with_broker.py): topics, process, import,
load, query, digest and audit, and the sentences for bad input."""
import concurrent.futures
import csv
import io
import itertools
import json
import re
import socket
import subprocess
import sys
import unittest
import urllib.error
import urllib.request
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))
import chaos
import kit
import tt
from workers import BROKERS, GUARD, Log, Process, until

ALL = ("raw", "trades", "quotes", "candles", "news", "gaps", "quarantine", "late", "progress", "instruments", "control", "news_counts", "state", "meta")
NOBODY = "127.0.0.1:1"  # nobody listens there
FRAMES = ["--venue", "binance", tt.BTC_FRAMES]
CSV = [*tt.LTC_OPTIONS, tt.LTC_CSV]


def together(call, items):
    """Of each item, side by side: most of the time is waiting."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(call, items))


def delete_records(log, topic, scratch):
    """All that a topic has by now, as retention does it."""
    file = scratch / "delete.json"
    file.write_text(json.dumps({"version": 1, "partitions": [{"topic": log.topic(topic), "partition": p, "offset": -1} for p in range(2)]}))
    kit._run_tool(kit.TOOLS["DeleteRecordsCommand"], "--bootstrap-server", BROKERS, "--offset-json-file", file)


def frames(first, last):
    """Lines of the recorded session."""
    with subprocess.Popen(["zstd", "-dcq", tt.BTC_FRAMES], stdout=subprocess.PIPE, text=True) as unpack:
        lines = list(itertools.islice(unpack.stdout, first, last))
        unpack.kill()
    return lines


def topic_tool(*arguments):
    return kit._run_tool(kit.TOOLS["TopicCommand"], "--bootstrap-server", BROKERS, *arguments)


class Case(tt.Case):
    def setUp(self):
        super().setUp()
        self.log = Log(f"{self.id().rpartition('.')[2][5:30]}-{uuid.uuid4().hex[:6]}", self.scratch)
        self.store = f"sqlite:{self.scratch}/market.db"
        self.every = (["process", "--state", self.scratch / "state"], ["import", *FRAMES], ["load", "--store", self.store], ["digest"])

    def worker(self, name, *more):
        process = Process("process", self.log, name, "--state", self.scratch / "state", *more)
        self.addCleanup(process.kill)
        return process

    def drain(self):
        """All of raw, by a worker of its own."""
        self.log.run("process", "--worker", "a", "--state", self.scratch / "state", "--drain")

    def load(self, store=None):
        self.log.run("load", "--store", store or self.store, "--drain")

    def loader(self, name, *more, store=None):
        store = store or self.store
        process = Process("load", self.log, name, "--store", store, *more, file=f"load.{name}.{Path(store).stem}")
        self.addCleanup(process.kill)
        return process

    def ended(self, process, code):
        self.assertEqual(process.process.wait(GUARD), code, process.told())

    def refused(self, code, words, *command, log=None):
        done = (log or self.log).run(*command, expect=code)
        self.assertRegex(done.stderr, r"(?m)^truetape: ")
        self.assertIn(words, done.stderr, command)
        return done

    def make_topics(self):
        self.log.run("topics", "create")

    def groups(self):
        return kit._run_tool(kit.TOOLS["ConsumerGroupCommand"], "--bootstrap-server", BROKERS, "--list").split()

    def of_files(self):
        """The digests of a data directory into which the same files were imported."""
        for files in (FRAMES, CSV):
            tt.run("import", "--data", self.data, "--config", self.log.config, *files)
        return tt.digest(self.data, "log")


class Topics(Case):
    def test_create_makes_what_is_missing_and_again_changes_nothing(self):
        names = [self.log.topic(name) for name in ALL]
        done = self.log.run("topics", "check", expect=3)
        self.assertEqual(sorted(re.findall(r"missing: (\S+)", done.stdout)), sorted(names))
        made = self.log.run("topics", "create")
        self.assertEqual(sorted(re.search(r"^made (.*)$", made, re.M)[1].split(", ")), sorted(names))
        again = self.log.run("topics", "create")
        self.assertNotIn("made", again)
        self.assertIn("14 topics were there already", again)
        self.assertEqual(re.search(r"^log (\S+)", made, re.M)[1], re.search(r"^log (\S+)", again, re.M)[1])
        self.assertIn("14 topics", self.log.run("topics", "check"))
        rows = {row["topic"]: row for row in csv.DictReader(io.StringIO(self.log.run("topics", "describe", "--format", "csv")))}
        self.assertEqual(sorted(rows), sorted(names))
        raw, candles, gaps = (rows[self.log.topic(name)] for name in ("raw", "candles", "gaps"))
        self.assertEqual((raw["partitions"], raw["cleanup"], raw["retention"], raw["differs"]), ("2", "delete", "7d", ""))
        self.assertEqual((candles["cleanup"], candles["retention"], gaps["cleanup"]), ("compact,delete", "30d", "compact"))
        objects = [json.loads(line) for line in self.log.run("topics", "describe", "--format", "json").splitlines()]
        self.assertEqual([row["partitions"] for row in objects if row["topic"] == self.log.topic("meta")], [1])

    def test_what_differs_is_named_and_nothing_is_made_or_changed(self):
        self.make_topics()
        raw = self.log.topic("raw")
        self.refused(1, f"{raw} has the partition count 2, not 3; nothing was made: the number never changes, so leave log.partitions out", "topics", "create", "--set", "log.partitions=3")
        done = self.log.run("topics", "check", "--set", "log.retain.raw=3d", expect=3)
        self.assertEqual(done.stdout, f"differs: {raw} has retention.ms {7 * 86_400_000}, not {3 * 86_400_000}\n")
        self.assertIn("retention.ms", self.log.run("topics", "describe", "--set", "log.retain.raw=3d"))
        topic_tool("--delete", "--topic", self.log.topic("gaps"))
        until("the topic is gone", lambda: self.log.run("topics", "check", expect=None).returncode == 3)
        self.assertIn(f"missing: {self.log.topic('gaps')}\n", self.log.run("topics", "check", expect=3).stdout)
        for done in together(lambda command: self.refused(1, self.log.topic("gaps"), *command), self.every):
            self.assertIn(f"make them: truetape topics create --data {self.log.data}", done.stderr)
        self.assertIn(f"made {self.log.topic('gaps')}\n", self.log.run("topics", "create"))

    def test_another_partition_count_is_refused_by_whoever_works_there(self):
        self.make_topics()
        topic_tool("--alter", "--topic", self.log.topic("raw"), "--partitions", "3")
        words = f"the topic {self.log.topic('raw')} has 3 partitions, the log 2"
        self.refused(1, words, "process", "--state", self.scratch / "state")
        self.refused(1, words, "import", *FRAMES)
        self.refused(1, "the number is fixed when its topics are made", "digest", "--set", "log.partitions=7",
                     log=self.other())

    def other(self):
        log = Log(f"other-{uuid.uuid4().hex[:6]}", self.scratch)
        log.run("topics", "create")
        return log


class BadInput(Case):
    def test_before_the_topics_exist_each_command_says_what_makes_them(self):
        together(lambda command: self.refused(1, f"truetape topics create --data {self.log.data}", *command), self.every)
        self.assertFalse((self.scratch / "market.db").exists())

    def test_an_unreachable_broker_is_one_sentence_within_the_patience(self):
        place = f"kafka://{NOBODY}/market?sasl.password=geheim"
        quick = ["--data", place, "--set", "kafka.patience=1s", "--set", "log_level=off"]
        for done in together(lambda command: tt.run(*command, *quick, expect=1, timeout=GUARD), self.every):
            self.assertRegex(done.stderr, rf"^truetape: .*{NOBODY}.*look whether the brokers run and can be reached\n$")
            self.assertNotIn("geheim", done.stdout + done.stderr)

    def test_a_wrong_url_is_exit_code_2_and_keeps_its_secrets(self):
        for url, words in ((f"kafka://{BROKERS}", "the prefix of the topics is missing"),
                           (f"kafka://{BROKERS}/", "is no prefix of topics"),
                           (f"kafka://{BROKERS}/m?group.id=geheim", '"group.id" cannot be set there'),
                           (f"kafka://{BROKERS}/m?sasl.password.file=/nothing", "the password of Kafka cannot be read from /nothing")):
            for command in (["import", tt.BTC_FRAMES], ["digest"], ["topics", "check"]):
                done = tt.run(*command, "--data", url, expect=2)
                self.assertRegex(done.stderr, r"^truetape: [^\n]*\n$")
                self.assertIn(words, done.stderr)
                self.assertNotIn("geheim", done.stderr)
        printed = tt.run("config", "check", "--data", f"{self.log.data}?sasl.password=geheim")
        self.assertIn(f'data = "{self.log.data}?******"', printed)

    def test_commands_of_a_directory_refuse_kafka_and_those_of_kafka_a_directory(self):
        for command in (["run"], ["demo"], ["backup", "x"], ["restore", "x"], ["rebuild"], ["log", "ls"], ["log", "verify"], ["readers", "ls"],
                        ["control", "ls"], ["explain", "binance:BTCUSDT", "1m", "2024-08-09"]):
            done = tt.run(*command, "--data", self.log.data, expect=2)
            self.assertEqual(done.stderr, f"truetape: this command works on a data directory, and {self.log.data} is a log on Kafka; there are "
                             "topics, process, load, import, query, digest and audit for it (docs/kafka.md)\n", command)
        for command in (["process"], ["load", "--store", self.store], ["topics", "create"]):
            done = tt.run(*command, "--data", self.data, expect=2)
            self.assertIn("there truetape run does all in one process, and truetape import --data DIR --finish", done.stderr)
        for option, words in (("--finish", "truetape process --drain"), ("--adopt", "truetape load --adopt")):
            files = [] if option == "--finish" else FRAMES
            self.refused(2, words, "import", option, *files)
        self.assertIn("--no-wait is for a log on Kafka", tt.run("import", "--data", self.data, "--no-wait", *FRAMES, expect=2).stderr)
        self.assertFalse(self.data.exists())

    def test_what_needs_a_store_wants_it_named(self):
        for command in (["load"], ["query", "trades"], ["audit"], ["digest", "--from", "store"], ["digest", "--compare"]):
            self.refused(2, "name the one that it is loaded into: --store sqlite:FILE", *command)
        self.refused(2, "write sqlite:FILE", "load", "--store", "market.db")
        self.refused(1, f"truetape load --data {self.log.data} --store {self.store}", "query", "trades", "--store", self.store)

    def test_an_import_that_no_worker_processes_says_what_starts_one(self):
        self.make_topics()
        done = self.refused(1, "no worker has got on for 2s: ", "import", *FRAMES, "--set", "kafka.patience=2s")
        self.assertIn(f"what was imported stays, and workers process it once one runs: truetape process --data {self.log.data}", done.stderr)
        self.worker("a", "--drain").process.wait(GUARD)
        self.assertIn("binance:BTCUSDT,trade,trades", self.log.run("digest"))


class Whole(Case):
    def test_from_nothing_to_a_proved_store(self):
        self.make_topics()
        worker = self.worker("a").ready()
        said = self.log.run("import", *FRAMES)
        self.assertRegex(said, r"imported +99,574 rows of 1 file")
        self.assertIn("processed   by workers; none of it is in quarantine", said)
        self.assertRegex(self.log.run("load", "--store", self.store, "--drain"), r"loaded [\d,]+ rows into \S+market.db, [\d,]+ of them new")
        self.log.run("digest", "--compare", "--store", self.store)
        self.log.run("import", *CSV)
        self.refused(1, "records are not in it yet", "digest", "--compare", "--store", self.store)
        digests = self.log.run("digest")
        self.assertEqual(digests, self.of_files())
        self.log.run("load", "--store", self.store, "--drain")
        self.assertEqual(self.log.run("digest", "--from", "store", "--store", self.store), digests)
        self.log.run("digest", "--compare", "--store", self.store)
        days = list(csv.DictReader(io.StringIO(self.log.run("audit", "--store", self.store, "--format", "csv"))))
        self.assertEqual({day["verdict"] for day in days}, {"proved"}, days)
        candles = list(csv.DictReader(io.StringIO(
            self.log.run("query", "candles", "--store", self.store, "--instrument", "binance:BTCUSDT", "--interval", "5m", "--format", "csv"))))
        self.assertEqual([(c["start"], c["trades"]) for c in candles[:2]], [("2024-08-08T23:50:00Z", "875"), ("2024-08-08T23:55:00Z", "8863")])

        self.log.run("import", *FRAMES)  # once more
        self.assertEqual(self.log.run("digest"), digests)
        self.log.run("load", "--store", self.store, "--drain")
        self.log.run("digest", "--compare", "--store", self.store)
        self.assertEqual(worker.end(), 0, worker.told())

    def test_several_workers_and_a_loader_give_the_same(self):
        self.make_topics()
        workers = [self.worker(name).ready() for name in "ab"]
        loader = self.loader("a")
        for files in (FRAMES, CSV):
            self.log.run("import", "--no-wait", *files)
        self.log.run("import", *CSV)  # waits for all that is before it
        for worker in workers:
            self.assertRegex(until("each has a part", lambda w=worker: re.search(r"has the partitions \d of 2", w.told()), worker)[0], r"\d of 2")
        until("all is loaded", lambda: self.log.run("digest", "--compare", "--store", self.store, expect=None).returncode == 0, loader)
        self.assertEqual(self.log.run("digest", "--from", "store", "--store", self.store), self.of_files())
        self.log.run("audit", "--store", self.store)
        self.assertEqual([process.end() for process in (*workers, loader)], [0, 0, 0])

    def test_drain_ends_when_all_is_processed_whoever_did_it(self):
        self.make_topics()
        self.ended(self.worker("a", "--drain"), 0)  # there is nothing
        self.log.run("import", "--no-wait", *FRAMES)
        drains = [self.worker(name, "--drain") for name in "ab"]
        for process in drains:
            self.ended(process, 0)
        tt.run("import", "--data", self.data, "--config", self.log.config, *FRAMES)
        self.assertEqual(self.log.run("digest"), tt.digest(self.data, "log"))

    def test_a_store_of_another_log_is_refused_until_it_is_adopted(self):
        self.make_topics()
        other = Log(f"another-{uuid.uuid4().hex[:6]}", self.scratch)
        other.run("topics", "create")
        for log in (self.log, other):
            log.run("import", "--no-wait", *FRAMES)
            log.run("process", "--worker", "a", "--state", self.scratch / "state", "--drain")
        self.log.run("load", "--store", self.store, "--drain")
        done = self.refused(1, "holds the rows of log", "load", "--store", self.store, "--drain", log=other)
        self.assertIn(f"truetape load --data {other.data} --store {self.store} --drain --adopt", done.stderr)
        self.refused(3, "the store holds the rows of log", "audit", "--store", self.store, log=other)
        self.log.run("audit", "--store", self.store)
        other.run("load", "--store", self.store, "--drain", "--adopt")
        other.run("audit", "--store", self.store)

    def test_two_stores_of_one_log_each_have_all_of_it(self):
        self.make_topics()
        worker, other = self.worker("a").ready(), f"sqlite:{self.scratch}/other.db"
        loaders = [self.loader("a").ready(), self.loader("b", store=other)]
        self.log.run("import", *FRAMES)
        for store, loader in zip((self.store, other), loaders):
            until(store, lambda s=store: self.log.run("digest", "--compare", "--store", s, expect=None).returncode == 0, loader)
        self.log.run("import", *CSV)
        self.assertEqual([loader.end() for loader in loaders], [0, 0])
        # One name for both: they share no group, so neither fences the other.
        loaders = [self.loader("c").ready(), self.loader("c", store=other)]
        self.assertEqual({f"{self.log.prefix}.load:sqlite:{socket.gethostname()}:{file}.trades" for file in (self.scratch / "market.db", self.scratch / "other.db")},
                         {group for group in self.groups() if group.startswith(f"{self.log.prefix}.load:") and group.endswith(".trades")})
        for store, loader in zip((self.store, other), loaders):
            until(store, lambda s=store: self.log.run("digest", "--compare", "--store", s, expect=None).returncode == 0, loader)
        self.assertEqual([process.end() for process in (worker, *loaders)], [0, 0, 0])
        self.assertNotIn("fenced", loaders[0].told() + loaders[1].told())

    def test_a_store_goes_on_where_retention_has_emptied_what_it_had(self):
        self.make_topics()
        self.log.run("import", "--no-wait", *FRAMES)
        self.drain()
        self.load()
        for topic in ("trades", "candles", "quarantine"):
            delete_records(self.log, topic, self.scratch)
        self.load()
        self.log.run("import", "--no-wait", *CSV)
        self.drain()
        self.load()
        self.assertEqual(self.log.run("digest", "--from", "store", "--store", self.store), self.of_files())
        self.log.run("audit", "--store", self.store)

    def test_raw_that_was_deleted_before_it_was_processed_is_told_counted_and_a_gap(self):
        self.make_topics()
        parts = [self.scratch / f"{name}.frames" for name in ("first", "lost", "last")]
        for part, lines in zip(parts, ((0, 30_000), (30_000, 40_000), (40_000, 50_000))):
            part.write_text("".join(frames(*lines)))
        for part in parts[:2]:
            self.log.run("import", "--no-wait", "--venue", "binance", part)
            if part == parts[0]:
                self.drain()
        delete_records(self.log, "raw", self.scratch)
        self.log.run("import", "--no-wait", "--venue", "binance", parts[2])
        worker = self.worker("a", "--listen", "127.0.0.1:0").ready()
        said = re.compile(r"raw/(\d): the records (\d+) to (\d+) were deleted before they were processed; their ids become gaps. "
                          r"Raw must be kept longer than workers are behind: log.retain.raw")
        told = until("it is told", lambda: said.findall(worker.told()), worker)
        lost = sum(int(last) - int(first) + 1 for _, first, last in told)
        self.assertGreaterEqual(lost, 10_000)
        self.assertEqual(worker.metric("truetape_process_lost_records_total"), lost)
        self.assertEqual(worker.metric("truetape_process_partitions"), 2)
        self.assertEqual(worker.end(), 0, worker.told())
        self.drain()
        self.load()
        missing = {json.loads(line.split(" ", 1)[1])["data"]["t"] for line in parts[1].read_text().splitlines() if '"e":"trade"' in line}
        [gap] = csv.DictReader(io.StringIO(self.log.run("query", "gaps", "--store", self.store, "--format", "csv")))
        self.assertEqual((int(gap["first_id"]), int(gap["last_id"]), int(gap["missing"])), (min(missing), max(missing), len(missing)))
        # What has the ids is imported again: nothing lacks any more.
        self.log.run("import", "--no-wait", "--venue", "binance", parts[1])
        self.drain()
        self.load()
        [gap] = csv.DictReader(io.StringIO(self.log.run("query", "gaps", "--store", self.store, "--format", "csv")))
        self.assertEqual((gap["state"], gap["missing"]), ("repaired", "0"))
        self.log.run("audit", "--store", self.store)

    def test_what_others_write_into_a_topic_stops_nothing(self):
        self.make_topics()
        self.log.run("import", "--no-wait", *FRAMES)
        self.log.run("process", "--worker", "a", "--state", self.scratch / "state", "--drain")
        digests = self.log.run("digest")
        subprocess.run(["kcat", "-b", BROKERS, "-P", "-t", self.log.topic("trades"), "-p", "0", "-k", "stranger"], input=b"hello",
                       check=True, timeout=GUARD)
        self.log.run("load", "--store", self.store, "--drain")
        self.assertEqual(self.log.run("digest"), digests)
        self.assertIn(",foreign,", self.log.run("query", "quarantine", "--store", self.store, "--format", "csv"))
        self.log.run("audit", "--store", self.store)


class Workers(Case):
    def test_while_no_broker_answers_nobody_is_ready_and_then_all_go_on(self):
        self.make_topics()
        running = [self.worker("a", "--listen", "127.0.0.1:0"), self.loader("a", "--listen", "127.0.0.1:0")]
        for process in running:
            process.ready()
        ready = {process: lambda p=process: p.ask("/health/ready") for process in running}
        chaos.control("pause 1")
        try:
            for process, role in zip(running, ("process", "load")):
                status, text = until("it is told", lambda p=process: (a := ready[p]())[0] == 503 and a, process)
                self.assertIn("no broker of kafka://", text)
                self.assertEqual(process.metric(f'truetape_role_trouble{{role="{role}"}}'), 1)
                self.assertRegex(process.told(), rf"warning {role}: no broker of kafka://\S+ answers: .*look whether the brokers run and can be reached \(tried until it works\)")
        finally:
            chaos.control("resume 1")
        for process in running:
            until("it is ready again", lambda p=process: ready[p]()[0] == 200, process)
            self.assertIn(": goes on", process.told())
        self.log.run("import", *FRAMES)
        self.load()
        self.log.run("audit", "--store", self.store)
        self.assertEqual([process.end() for process in running], [0, 0])

    def test_rules_are_changed_by_who_is_alone(self):
        self.make_topics()
        first = self.worker("a").ready()
        change = ["process", "--state", self.scratch / "state", "--worker", "b", "--drain", "--set", "rule.bound=2s", "--change-rules"]
        self.refused(1, "1 workers of ", *change, "--set", "kafka.session=6s")
        self.assertEqual(first.end(), 0)
        self.log.run(*change)

    def test_a_drain_beside_a_loader_of_its_name_leaves_it_alone(self):
        self.make_topics()
        self.log.run("import", "--no-wait", *FRAMES)
        self.drain()
        loader = self.loader("a").ready()
        for _ in range(4):
            self.log.run("load", "--store", self.store, "--worker", "a", "--drain")
            self.log.run("digest", "--compare", "--store", self.store)
        self.assertEqual(loader.end(), 0, loader.told())
        self.assertNotIn("fenced", loader.told())

    def test_all_judge_by_the_same_intervals_and_rules(self):
        self.make_topics()
        first = self.worker("a").ready()
        state = ["--state", self.scratch / "state", "--worker", "b", "--drain"]
        self.log.run("import", *FRAMES)
        self.refused(1, "go on with --set intervals=1s,1m,5m", "process", *state, "--set", "intervals=1s,1h")
        self.refused(1, "go on with --set intervals=1s,1m,5m", "import", *FRAMES, "--set", "intervals=1s,1h")
        self.refused(1, "is judged by other rules than these (rule.bound=1s)", "process", *state, "--set", "rule.bound=2s")
        self.assertEqual(first.end(), 0)
        self.log.run("process", *state, "--set", "rule.bound=2s", "--change-rules")
        self.refused(1, "is judged by other rules than these (rule.bound=2s)", "process", *state)

    def test_a_second_worker_of_the_same_name_on_this_machine_is_refused(self):
        self.make_topics()
        self.worker("a").ready()
        self.refused(1, "a worker named a runs here already", "process", "--worker", "a", "--state", self.scratch / "state")

    def test_of_two_workers_with_one_name_one_gives_up(self):
        # The lock of a name is of one machine: with state directories of their own they are as on two.
        self.make_topics()
        two = [Process("process", self.log, "a", "--state", self.scratch / f"state{i}", file=f"process.a{i}") for i in range(2)]
        for process in two:
            self.addCleanup(process.kill)
        [gone] = until("one gives up", lambda: [p for p in two if p.process.poll() is not None])
        [stays] = [p for p in two if p is not gone]
        self.assertEqual(gone.process.returncode, 1)
        self.assertRegex(gone.told(), r"truetape: worker a was fenced 3 times within a minute: another process works under the same name; "
                         r"each needs one of its own: --worker NAME \(the last time: ")
        self.log.run("import", *FRAMES)
        self.assertEqual(stays.end(), 0, stays.told())
        self.load()
        self.log.run("audit", "--store", self.store)

    def test_one_that_is_killed_goes_on_and_what_is_noted_is_kept(self):
        self.make_topics()
        self.worker("a").ready().kill()
        self.log.run("import", "--no-wait", *FRAMES)
        self.ended(self.worker("a", "--drain"), 0)
        state = sorted(file.name for file in (self.scratch / "state").iterdir())
        self.assertEqual(state, [f"{self.log.prefix}.a.attempt", f"{self.log.prefix}.a.lock"])

    def test_who_watches_a_worker_sees_how_it_is(self):
        self.make_topics()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for role, process in (("process", self.worker("a", "--listen", "127.0.0.1:0")), ("load", self.loader("a", "--listen", "127.0.0.1:0"))):
            process.ready()
            url = re.search(r"^ready .* (http://\S+)$", process.told(), re.M)[1]
            self.assertIn('"ready"', opener.open(url + "health/ready", timeout=GUARD).read().decode())
            text = opener.open(url + "metrics", timeout=GUARD).read().decode()
            self.assertIn(f'truetape_role_behind_records{{role="{role}"}} 0', text)
            self.assertIn(f'truetape_role_trouble{{role="{role}"}} 0', text)
            documented = set(re.findall(r"`(truetape_\w+?)(?:_bucket|_sum|_count)?`", (tt.ROOT / "docs/metrics.md").read_text()))
            self.assertLessEqual(set(re.findall(r"^# TYPE (\w+)", text, re.M)), documented)
            with self.assertRaises(urllib.error.HTTPError) as found:
                opener.open(url, timeout=GUARD)
            self.assertEqual(found.exception.code, 404)
            found.exception.close()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.refused(1, "port", "process", "--worker", "b", "--state", self.scratch / "state", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        self.refused(2, "set serve.read_token and serve.control_token, or listen on 127.0.0.1", "process", "--worker", "b", "--state", self.scratch / "state", "--listen", "0.0.0.0:0")
        self.refused(2, "an IP address and a port", "process", "--worker", "b", "--state", self.scratch / "state", "--listen", "here")


if __name__ == "__main__":
    tt.main()
