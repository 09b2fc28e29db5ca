#!/usr/bin/env python3
"""The commands on brokers that want TLS and a password (with_broker.py --sasl), and what they say where either is wrong."""
import concurrent.futures
import os
import sys
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))
import tt
from workers import BROKERS, GUARD, Log

CA, USER, PASSWORD = (os.environ[f"TRUETAPE_KAFKA_{name}"] for name in ("CA", "USER", "PASSWORD"))
CONNECTION = {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": USER, "ssl.ca.location": CA}


class Sasl(tt.Case):
    def setUp(self):
        super().setUp()
        self.log = Log("secured", self.scratch)
        self.log.data += "?" + urllib.parse.urlencode(self.connection(PASSWORD))
        self.store = ("--store", f"sqlite:{self.log.db}")
        self.commands = (["topics", "create"], ["topics", "check"], ["topics", "describe"], ["process", "--worker", "a", "--state", self.scratch],
                         ["import", "--venue", "binance", tt.BTC_FRAMES], ["load", *self.store], ["digest"], ["audit", *self.store])

    def connection(self, password, **other):
        """The properties of librdkafka; None takes one out."""
        file = self.scratch / "password"
        file.write_text(f"{password}\n")
        file.chmod(0o600)
        properties = CONNECTION | {"sasl.password.file": file} | {name.replace("_", "."): value for name, value in other.items()}
        return {name: value for name, value in properties.items() if value is not None}

    def test_all_commands_work_with_the_right_ones(self):
        self.log.run("topics", "create")
        self.assertIn("14 topics", self.log.run("topics", "check"))
        worker = self.log.worker("a")
        self.addCleanup(worker.kill)
        worker.ready()
        tt.run("import", "--data", self.data, "--config", self.log.config, "--venue", "binance", tt.BTC_FRAMES)
        self.log.run("import", "--venue", "binance", tt.BTC_FRAMES)
        digest = self.log.run("digest")
        self.assertEqual(digest, tt.digest(self.data, "log"))
        self.log.load()
        self.assertEqual(self.log.run("digest", "--from", "store", *self.store), digest)
        of_log, of_files = ([row | {"epoch": ""} for row in rows] for rows in (self.log.rows("candles"), tt.rows(self.data, "candles")))
        self.assertEqual(of_log, of_files)
        self.assertIn("proved", self.log.run("audit", *self.store))
        self.assertEqual(worker.end(), 0)
        shown = self.log.run("config", "check")
        self.assertIn(f'data = "kafka://{BROKERS}/secured?******"', shown)
        self.assertNotIn(PASSWORD, worker.told() + shown)

    def expect_refused(self, words, password=PASSWORD, **other):
        """By each command, with exit code 1 and one sentence that has them."""
        place = f"kafka://{BROKERS}/secured?" + urllib.parse.urlencode(self.connection(password, **other))
        self.log.db.touch()  # for who would look for the store first

        def run(command):
            return tt.run(*command, "--data", place, "--set", "kafka.patience=5s", "--set", "log_level=off", expect=1, timeout=GUARD)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for command, done in zip(self.commands, pool.map(run, self.commands)):
                self.assertRegex(done.stderr, rf"\Atruetape: .*{words}.*\n\Z", command)
                self.assertNotIn(password, done.stdout + done.stderr)

    def test_a_wrong_password_is_one_sentence(self):
        self.expect_refused("Authentication failed.*; check sasl.mechanism, sasl.username and sasl.password", password="not-the-password")

    def test_an_unknown_user_is_one_sentence(self):
        self.expect_refused("Authentication failed.*; check sasl.mechanism, sasl.username and sasl.password", sasl_username="nobody")

    def test_brokers_that_no_known_authority_vouches_for_are_one_sentence(self):
        self.expect_refused("verify failed.*; check security.protocol, ssl.ca.location and the brokers' certificates", ssl_ca_location=None)

    def test_a_file_of_authorities_that_is_not_there_is_one_sentence(self):
        self.expect_refused("Kafka's client cannot be made: ssl.ca.location failed", ssl_ca_location=self.scratch / "nothing.pem")

    def test_plain_text_where_tls_is_wanted_is_one_sentence(self):
        self.expect_refused("might be caused by incorrect security.protocol configuration .*; look whether the brokers run and can be reached",
                            security_protocol=None)


if __name__ == "__main__":
    tt.main()
