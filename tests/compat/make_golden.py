#!/usr/bin/env python3
"""Makes a golden data directory of a released format: make_golden.py BINARY NAME writes golden/NAME.tar.zst beside this file.

Run once for each format, with the binary that writes it, before the format changes; an archive that is there is never made anew.
The archive holds
  data/        the data directory: recorded frames and a CSV file with holes and one bad row, imported
  more.frames  the frames that follow, for going on
  before/      what that binary says of the directory: digest.csv and each query as CSV
  after/       the same once more.frames is imported into a copy
"""
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CAPTURES = HERE.parents[1] / "examples/captures"
FRAMES = CAPTURES / "binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst"
CSV = CAPTURES / "binance-spot-ltcusdt-aggtrades-20250621.csv.zst"
LTC_OPTIONS = ["--instrument", "binance:LTCUSDT", "--tape", "agg",
               "--columns", "time=timestamp,price=price,quantity=quantity,side=side,id=tradeId"]
QUERIES = ("candles", "trades", "gaps", "quarantine", "progress")
FIRST, MORE = 300, 150  # trades
ROWS = 400


def unpacked(file):
    return subprocess.run(["zstd", "-dcq", file], check=True, capture_output=True, text=True).stdout.splitlines()


def say(binary, data, into):
    """What the binary says of the directory, as files."""
    into.mkdir()
    (into / "digest.csv").write_text(subprocess.run([binary, "digest", "--data", data, "--compare"], check=True, capture_output=True, text=True).stdout)
    for query in QUERIES:
        done = subprocess.run([binary, "query", query, "--data", data, "--format", "csv"], check=True, capture_output=True, text=True)
        (into / f"{query}.csv").write_text(done.stdout)


def make(binary, archive):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        root = scratch / "root"
        root.mkdir()
        lines = [line for line in unpacked(FRAMES) if "btcusdt@trade" in line]
        # Around midnight, so that a day's and many windows' ends are among them.
        middle = next(i for i, line in enumerate(lines) if int(line.split(" ", 1)[0]) >= 1_723_161_600_000_000_000 - 1_200_000_000)
        first, more = lines[middle - 200:middle - 200 + FIRST], lines[middle - 200 + FIRST:middle - 200 + FIRST + MORE]
        (scratch / "first.frames").write_text("".join(line + "\n" for line in first))
        (root / "more.frames").write_text("".join(line + "\n" for line in more))
        rows = unpacked(CSV)[:ROWS]
        rows[50] = rows[50].replace(",", ",x", 1)  # a price that is none
        del rows[120:125]                          # a hole
        (scratch / "ltc.csv").write_text("".join(line + "\n" for line in rows))
        data = root / "data"
        subprocess.run([binary, "import", "--data", data, "--venue", "binance", scratch / "first.frames"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([binary, "import", "--data", data, *LTC_OPTIONS, scratch / "ltc.csv"], check=True, stdout=subprocess.DEVNULL)
        say(binary, data, root / "before")
        copy = scratch / "copy"
        subprocess.run(["cp", "-r", data, copy], check=True)
        subprocess.run([binary, "import", "--data", copy, "--venue", "binance", root / "more.frames"], check=True, stdout=subprocess.DEVNULL)
        say(binary, copy, root / "after")
        for leftover in ("log/log.mdb-lock", "log/writer.lock", "process.attempt", "store.db-wal", "store.db-shm"):
            (data / leftover).unlink(missing_ok=True)
        tar = subprocess.Popen(["tar", "-c", "--sparse", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-C", root, "."], stdout=subprocess.PIPE)
        subprocess.run(["zstd", "-19", "-q", "-o", archive], check=True, stdin=tar.stdout)
        if tar.wait() != 0:
            raise SystemExit("tar failed")


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    binary, archive = pathlib.Path(sys.argv[1]).resolve(), HERE / "golden" / f"{sys.argv[2]}.tar.zst"
    if archive.exists():
        raise SystemExit(f"{archive} is there; a golden directory is never made anew")
    archive.parent.mkdir(exist_ok=True)
    make(binary, archive)
    print(f"{archive}: {archive.stat().st_size} bytes")


if __name__ == "__main__":
    main()
