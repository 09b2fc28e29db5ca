#!/usr/bin/env python3
"""truetape schemas: the real binary against the test registry."""
import csv
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import server

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TRUETAPE", str(ROOT / "build/dev/truetape"))
TOPICS = ["trades", "quotes", "candles", "news", "gaps", "late", "progress", "instruments", "news_counts"]
SUBJECTS = [f"market.{topic}-value" for topic in TOPICS]
# A trade of somebody else, whose values our trades cannot be read from: it has no field that ours needs.
FOREIGN = json.dumps({"type": "record", "name": "Trade", "namespace": "truetape", "fields": [{"name": "px", "type": "double"}]})


def schema_of(topic):
    name = {"trades": "trade", "quotes": "quote", "candles": "candle", "gaps": "gap", "instruments": "instrument", "news_counts": "news_count"}.get(topic, topic)
    return (ROOT / f"schemas/{name}.avsc").read_text()


class Schemas(unittest.TestCase):
    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="truetape-test-"))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.config = self.scratch / "t.toml"
        running = server.running()
        self.registry = running.__enter__()
        self.addCleanup(running.__exit__, None, None, None)
        self.configure(f'registry = "{self.registry.url}"')

    def configure(self, *lines):
        self.config.write_text("[kafka]\n" + "\n".join(lines) + "\n")

    def run_schemas(self, command, *more, expect=0, prefix="market"):
        done = subprocess.run([BINARY, "schemas", command, "--prefix", prefix, "--config", self.config, *map(str, more)],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, expect, f"{command}: {done.stdout}{done.stderr}")
        if expect == 0:
            self.assertEqual(done.stderr, "")
        else:
            self.assertRegex(done.stderr, r"\Atruetape: [^\n]+\n\Z")
        return done

    def told(self, text):
        """subject -> (id, version, words) of the lines that tell of one."""
        out = {}
        for line in text.splitlines():
            words = line.split()
            if words[0].endswith("-value") and words[1] == "id":
                self.assertEqual(words[3], "version")
                out[words[0]] = (int(words[2]), int(words[4]), " ".join(words[5:]))
        return out

    def listed(self, *more):
        return list(csv.DictReader(io.StringIO(self.run_schemas("ls", "--format", "csv", *more).stdout)))

    def writes(self):
        return [target for method, target in self.registry.requests if target.startswith("/subjects") and target.endswith("/versions")]

    def test_the_way_of_a_new_log(self):
        missing = self.run_schemas("check", expect=3)
        self.assertIn("lacks 9 of 9 schemas; register them: truetape schemas register --prefix market", missing.stderr)
        self.assertEqual([line.split() for line in missing.stdout.splitlines()], [[subject, "missing"] for subject in SUBJECTS])
        self.assertEqual({row["state"] for row in self.listed()}, {"missing"})
        self.assertEqual(self.registry.store.subjects, {}, "check and ls change nothing")

        new = self.told(self.run_schemas("register").stdout)
        self.assertEqual({words for _, _, words in new.values()}, {"new"})
        self.assertEqual(list(new), SUBJECTS)
        self.assertEqual(len({number for number, _, _ in new.values()}), 9)
        for topic, subject in zip(TOPICS, SUBJECTS):
            self.assertEqual(self.registry.store.version(subject, "latest")["schema"], schema_of(topic))

        self.registry.requests.clear()
        again = self.told(self.run_schemas("register").stdout)
        self.assertEqual({subject: (number, version, "known") for subject, (number, version, _) in new.items()}, again)
        self.assertEqual(again, self.told(self.run_schemas("check").stdout))
        self.assertEqual(self.writes(), [], "what is known is not registered again")
        rows = self.listed()
        self.assertEqual([row["subject"] for row in rows], SUBJECTS)
        self.assertEqual({row["subject"]: (int(row["id"]), int(row["version"])) for row in rows},
                         {subject: told[:2] for subject, told in new.items()})

        other = self.told(self.run_schemas("register", prefix="test.market").stdout)
        self.assertEqual([told[:2] for told in other.values()], [told[:2] for told in new.values()], "one schema has one id")

    def test_other_descriptions_are_the_same_schema(self):
        self.run_schemas("register")
        old = json.loads(schema_of("news"))
        old["doc"] = "As an older version described it."
        self.registry.store.subjects["market.news-value"] = [self.registry.store.register("elsewhere", {"schema": json.dumps(old)})["id"]]
        self.assertEqual(self.told(self.run_schemas("check").stdout)["market.news-value"][2], "known, with other descriptions")
        self.assertEqual(self.told(self.run_schemas("register").stdout)["market.news-value"][2], "known, with other descriptions")
        self.assertEqual(len(self.registry.store.subjects["market.news-value"]), 1)

    def test_an_incompatible_schema_stops_all(self):
        self.registry.store.register("market.trades-value", {"schema": FOREIGN})
        for command in ("register", "check"):
            refused = self.run_schemas(command, expect=3)
            self.assertIn("has an incompatible schema under 1 subject; use the version of truetape that registered it", refused.stderr)
            self.assertIn("READER_FIELD_MISSING_DEFAULT_VALUE", refused.stdout)
            self.assertIn("another schema; ours is refused as incompatible", refused.stdout)
        self.assertEqual(list(self.registry.store.subjects), ["market.trades-value"], "none is registered")
        states = {row["subject"]: row["state"] for row in self.listed()}
        self.assertEqual((states["market.trades-value"], states["market.news-value"]), ("another schema", "missing"))

    def test_a_registry_that_refuses_only_when_asked_to_register(self):
        # Its level is stricter than what the latest version alone tells.
        store = self.registry.store
        store.register("market.late-value", {"schema": FOREIGN.replace("Trade", "LateWindow")})
        store.levels["market.late-value"] = "NONE"
        store.register("market.late-value", {"schema": json.dumps({"type": "record", "name": "LateWindow", "namespace": "truetape", "fields":
                                             [field for field in json.loads(schema_of("late"))["fields"]] + [{"name": "more", "type": "long", "default": 0}]})})
        store.levels["market.late-value"] = "BACKWARD_TRANSITIVE"
        refused = self.run_schemas("register", expect=3)
        self.assertIn("subject market.late-value: it refuses our schema as incompatible", refused.stderr)
        self.assertIn("READER_FIELD_MISSING_DEFAULT_VALUE", refused.stderr)

    def test_a_compatible_schema_is_added_as_a_new_version(self):
        first = json.loads(schema_of("late"))
        first["fields"].append({"name": "more", "type": "long", "default": 0})
        self.run_schemas("register")
        store = self.registry.store
        store.subjects["market.late-value"] = [store.register("elsewhere", {"schema": json.dumps(first)})["id"]]
        missing = self.run_schemas("check", expect=3)
        self.assertIn("another schema; ours is compatible", missing.stdout)
        self.assertIn("lacks 1 of 9 schemas", missing.stderr)
        self.assertEqual(self.told(self.run_schemas("register").stdout)["market.late-value"][1:], (2, "new"))
        self.run_schemas("check")

    def test_a_file_of_ids_for_work_without_a_registry(self):
        file = self.scratch / "ids.json"
        file.write_text('{"other.trades-value": [5, 4], "market.trades-value": 99}')
        told = self.told(self.run_schemas("register", "--ids", file).stdout)
        wanted = {subject: number for subject, (number, _, _) in told.items()}
        self.assertEqual(json.loads(file.read_text()), {"other.trades-value": [5, 4], **wanted})
        self.configure(f'schema_ids = "{file}"')
        before = len(self.registry.requests)
        self.assertEqual({row["subject"]: int(row["id"]) for row in self.listed()}, wanted)
        self.assertEqual({row["state"] for row in self.listed()}, {"in the file"})
        self.assertIn(f"id {wanted['market.gaps-value']} ", self.run_schemas("check").stdout)
        self.assertEqual(len(self.registry.requests), before, "the registry is not asked")
        # Both: they must agree.
        self.configure(f'registry = "{self.registry.url}"', f'schema_ids = "{file}"')
        self.run_schemas("check")
        file.write_text(json.dumps({**wanted, "market.gaps-value": 4711}))
        differs = self.run_schemas("check", expect=3)
        self.assertIn(f"4711   in {file}, but {wanted['market.gaps-value']} in the registry", differs.stdout)
        self.assertIn(f"{file}: 1 id is not the registry's", differs.stderr)
        # What is wrong with it is named with file and key.
        self.configure(f'schema_ids = "{file}"')
        file.write_text('{"market.trades-value": 1}')
        self.assertIn(f'{file}: "market.quotes-value" is missing', self.run_schemas("check", expect=3).stderr)
        file.write_text('{"market.trades-value": "1"}')
        for command in ("check", "ls"):
            self.assertIn(f'{file}: "market.trades-value" is neither an id', self.run_schemas(command, expect=1).stderr)
        file.unlink()
        self.assertIn(f"{file}: there is no such file of schema ids", self.run_schemas("check", expect=1).stderr)

    def test_without_registry_and_file_the_ids_are_our_own(self):
        self.configure()
        self.assertEqual([(row["subject"], row["id"], row["state"]) for row in self.listed()],
                         [(subject, str(i + 1), "own") for i, subject in enumerate(SUBJECTS)])
        self.assertIn("kafka.registry", self.run_schemas("register", expect=2).stderr)
        self.assertIn("there is nothing to check", self.run_schemas("check", expect=2).stderr)

    def test_a_registry_that_is_down(self):
        self.registry.stop()
        for command in ("register", "check", "ls"):
            down = self.run_schemas(command, expect=1)
            self.assertIn(f"schema registry {self.registry.url}, subject market.trades-value: ", down.stderr)
            self.assertIn("check the address, the network, and whether the server runs", down.stderr)

    def test_a_registry_that_fails_for_a_while(self):
        self.registry.fail = 2
        self.run_schemas("register")
        self.registry.fail = 10 ** 6
        failing = self.run_schemas("check", expect=1)
        self.assertIn("it answers 500 (Error in the backend data store); look at the registry's own log", failing.stderr)

    def test_what_is_no_registry(self):
        self.configure(f'registry = "{self.registry.url}/elsewhere"')
        self.assertIn("which is no answer of a schema registry; check kafka.registry", self.run_schemas("check", expect=1).stderr)
        for wrong in ("localhost:8081", "ftp://localhost", "http://localhost/?x=1"):
            self.configure(f'registry = "{wrong}"')
            self.assertIn("kafka.registry", self.run_schemas("check", expect=2).stderr)
        self.configure(f'registry = "{self.registry.url}"')
        for prefix in ("", "a/b", "x" * 101):
            done = subprocess.run([BINARY, "schemas", "ls", "--prefix", prefix, "--config", self.config], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, prefix)

    def test_user_and_password(self):
        (self.scratch / "password").write_text("s@:/cret\n")
        with server.running(user="alice:s@:/cret") as registry:
            host = registry.url.removeprefix("http://")
            self.configure(f'registry = "http://alice@{host}"', 'registry_password = "${file:password}"')
            self.run_schemas("register")
            self.configure(f'registry = "http://alice:s%40%3A%2Fcret@{host}"')
            self.run_schemas("check")
            for lines in ([f'registry = "http://alice@{host}"', 'registry_password = "wrong-one"'], [f'registry = "http://{host}"']):
                self.configure(*lines)
                refused = self.run_schemas("check", expect=1)
                self.assertIn("it does not take this user and password; check kafka.registry and kafka.registry_password", refused.stderr)
                self.assertNotIn("wrong-one", refused.stderr)
            self.configure(f'registry = "http://{host}"', 'registry_password = "s@:/cret"')
            self.assertIn("but no user", self.run_schemas("check", expect=1).stderr)

    def test_tls_with_an_authority_of_ones_own(self):
        key, certificate = self.scratch / "key.pem", self.scratch / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=registry",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        with server.running(certificate=certificate, key=key) as registry:
            self.configure(f'registry = "{registry.url}"', f'registry_ca_file = "{certificate}"')
            self.run_schemas("register")
            self.configure(f'registry = "{registry.url}"')
            self.assertIn("its certificate is not to be trusted", self.run_schemas("check", expect=1).stderr)
            self.configure(f'registry = "{registry.url}"', 'registry_ca_file = "/nowhere.pem"')
            self.assertIn("/nowhere.pem", self.run_schemas("check", expect=1).stderr)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(verbosity=2)
