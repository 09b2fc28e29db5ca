"""Starts `truetape sim` and reads what it tells. Links nothing of src/: the judge of others must not be made of them."""
import csv
import json
import os
import pathlib
import subprocess
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TRUETAPE", str(ROOT / "build/dev/truetape"))
RECORDING = ROOT / "examples/captures/binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst"


class Venue:
    """A running simulator; the `with` block's end stops it and reads its lists. `inside`: the words before the command, such
    as those that start it in another network. Without `trades` there is no list of all trades: for long runs."""

    def __init__(self, *arguments, inside=(), trades=True):
        self.folder = tempfile.TemporaryDirectory()
        self.truth_file = pathlib.Path(self.folder.name) / "truth.json"
        self.trades_file = pathlib.Path(self.folder.name) / "trades.csv"
        self.process = subprocess.Popen(
            [*inside, BINARY, "sim", "--truth", self.truth_file, *(("--trades", self.trades_file) if trades else ()), *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            raise AssertionError(f"sim did not start: {line}{self.process.stderr.read()}")
        told = dict(part.split("=", 1) for part in line.split()[1:])
        self.venue, self.rest, self.websocket, self.symbols = told["venue"], told["rest"], told["websocket"], told["symbols"].split(",")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.end(error[0] is not None)
        self.folder.cleanup()

    def end(self, failed=False):
        """Waits for the end; answers what was sent and all trades that happened."""
        out, errors = self.process.communicate(timeout=60)
        if self.process.returncode != 0 and not failed:
            raise AssertionError(f"sim failed: {out}{errors}")
        if self.truth_file.exists():
            self.truth = json.loads(self.truth_file.read_text())
        if self.trades_file.exists():
            with open(self.trades_file, newline="") as rows:
                self.trades = list(csv.DictReader(rows))
        return self

    def last_id(self, symbol):
        """Of the newest trade that happened, asked over REST."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.rest}/api/v3/trades?symbol={symbol}&limit=1", timeout=30) as answer:
            return json.load(answer)[-1]["id"]


def ids_of(ranges):
    return [i for first, last in ranges for i in range(first, last + 1)]
