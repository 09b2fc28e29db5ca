"""`truetape sim` as its users run it: what it prints, how it ends, what it refuses. Python's standard library only."""
import json
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

from venue import BINARY, RECORDING, ROOT, Venue


def get(venue, path):
    with urllib.request.urlopen(venue.rest + path, timeout=10) as answer:
        return json.load(answer)


def refused(*arguments):
    done = subprocess.run([BINARY, "sim", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


class Command(unittest.TestCase):
    def test_a_tape_ends_by_itself(self):
        with Venue("--symbols", "2", "--rate", "1000", "--length", "5s", "--speed", "max", "--no-wait") as venue:
            self.assertEqual(venue.symbols, ["BTCUSDT", "ETHUSDT"])
            venue.end()
            self.assertEqual(venue.process.returncode, 0)
            self.assertEqual(venue.truth["ended"], "end of tape")
            self.assertEqual(sum(i["published_trades"] for i in venue.truth["instruments"]), len(venue.trades))
            self.assertGreater(len(venue.trades), 4500)

    def test_the_same_seed_is_the_same_tape(self):
        def trades(seed):
            with Venue("--symbols", "3", "--rate", "500", "--length", "4s", "--speed", "max", "--no-wait", "--shift", "none",
                       "--seed", seed) as venue:
                return venue.end().trades
        self.assertEqual(trades(1), trades(1))
        self.assertNotEqual(trades(1), trades(2))

    def test_signals_end_it_with_its_list(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Venue(RECORDING) as venue:
                self.assertEqual(get(venue, "/api/v3/ping"), {})
                venue.process.send_signal(number)
                venue.end()
                self.assertEqual(venue.truth["ended"], "stopped by a signal")

    def test_time_ends_it(self):
        with Venue("--symbols", "1", "--for", "300ms", "--no-wait") as venue:
            venue.end()
            self.assertEqual(venue.truth["ended"], "time is over")

    def test_it_speaks_for_the_asked_time(self):
        for shift, wanted in (("none", 1723161255343 - 1000), ("2026-01-01T00:00", 1767225600000 - 1000), ("now-5m", None)):
            with Venue(RECORDING, "--shift", shift) as venue:
                told = get(venue, "/api/v3/time")["serverTime"]
                if wanted is None:
                    self.assertLess(abs(told - (time.time() - 300) * 1000), 20_000)
                else:
                    self.assertLess(abs(told - wanted), 5)

    def test_futures_have_their_own_paths(self):
        with Venue("--venue", "binance-usdm", "--symbols", "1") as venue:
            self.assertIn("serverTime", get(venue, "/fapi/v1/time"))
            with self.assertRaises(urllib.error.HTTPError) as wrong:
                get(venue, "/api/v3/time")
            self.assertEqual(wrong.exception.code, 404)

    def test_tls_where_a_certificate_is_given(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = pathlib.Path(folder) / "key.pem", pathlib.Path(folder) / "certificate.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                           check=True, capture_output=True)
            with Venue("--symbols", "1", "--certificate", certificate, "--key", key) as venue:
                import ssl
                self.assertTrue(venue.rest.startswith("https://") and venue.websocket.startswith("wss://"))
                context = ssl.create_default_context(cafile=certificate)
                with urllib.request.urlopen(venue.rest + "/api/v3/ping", timeout=10, context=context) as answer:
                    self.assertEqual(json.load(answer), {})

    def test_what_cannot_be_done_is_refused_with_a_sentence(self):
        with tempfile.TemporaryDirectory() as folder:
            scenario = pathlib.Path(folder) / "x.toml"
            scenario.write_text('[[fault]]\nkind = "drip"\n')
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                taken.listen()
                port = taken.getsockname()[1]
                for arguments, code, sentence in (
                        (["/nowhere.frames"], 1, "/nowhere.frames"),
                        ([ROOT / "README.md"], 1, "README.md is no recording that is known"),
                        ([ROOT / "README.md"], 1, "say with --columns"),
                        (["--symbols", "1", "--port", port], 1, str(port)),
                        (["--symbols", "1", "--trades", "/nowhere/x.csv"], 1, "/nowhere/x.csv"),
                        (["--symbols", "0"], 2, "--symbols"),
                        (["--speed", "-1"], 2, "a number above 0, or max"),
                        (["--shift", "soon"], 2, "--shift"),
                        (["--for", "ten"], 2, "--for"),
                        (["--venue", "kraken"], 2, "kraken"),
                        (["--mix", "na=x"], 2, "na=N"),
                        (["--limit", "life=soon"], 2, "limits.life"),
                        (["--fault", "drop,rate=7"], 2, "a number above 0, up to 1"),
                        (["--scenario", scenario], 2, "x.toml:1"),
                        (["--scenario", "/nowhere.toml"], 2, "/nowhere.toml")):
                    got, out, errors = refused(*arguments)
                    self.assertEqual((got, out), (code, ""), f"{arguments}: {errors}")
                    self.assertIn(sentence, errors)
                    self.assertLess(len(errors.strip().splitlines()), 3, errors)


if __name__ == "__main__":
    unittest.main()
