"""What the chaos test imports: the bundled recordings, cut into many small files. The aggregates of LTCUSDT stand for eight
instruments, one in each of eight partitions, with prices and holes of their own: four as rows of a table, four as frames of
trades. BTCUSDT's session stays as it is."""
import decimal
import json
import pathlib
import subprocess

CAPTURES = pathlib.Path(__file__).resolve().parents[2] / "examples/captures"
BTC_FRAMES = CAPTURES / "binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst"
LTC_CSV = CAPTURES / "binance-spot-ltcusdt-aggtrades-20250621.csv.zst"
PARTITIONS = 8
TABLE = ["LTCUSDT", "LTAUSDT", "LTDUSDT", "LTEUSDT"]   # partitions 2, 0, 3, 4
FRAMES = ["LTVUSDT", "LTLUSDT", "LTNUSDT", "LTHUSDT"]  # partitions 1, 5, 6, 7; BTCUSDT's is 1
INSTRUMENTS = len(TABLE) + len(FRAMES) + 1
VENUE = ["--venue", "binance"]
COLUMNS = ["--tape", "agg", "--columns", "time=timestamp,price=price,quantity=quantity,side=side,id=tradeId,instrument=symbol"]


def _recorded():
    text = subprocess.run(["zstd", "-dcq", LTC_CSV], capture_output=True, text=True, check=True).stdout
    return [line.split(",") for line in text.splitlines()[1:]]


def _row(time, price, quantity, side, number, symbol):
    return f"{time},{price},{quantity},{side},{number},{symbol}\n"


def _frame(time, price, quantity, side, number, symbol):
    trade = {"e": "trade", "E": int(time), "s": symbol, "t": int(number), "p": price, "q": quantity, "T": int(time),
             "m": side == "sell", "M": True}
    return json.dumps({"stream": f"{symbol.lower()}@trade", "data": trade}, separators=(",", ":")) + "\n"


def imports(directory, count):
    """Makes the files, a table and one of frames for each of `count` slices of time, and answers the arguments of the imports
    of all that there is, in their order."""
    rows, out = _recorded(), []
    for at in range(count):
        table_file, frames_file = directory / f"{at:03}.csv", directory / f"{at:03}.jsonl"
        with open(table_file, "w", encoding="utf-8") as table, open(frames_file, "w", encoding="utf-8") as frames:
            table.write("timestamp,price,quantity,side,tradeId,symbol\n")
            for place in range(at * len(rows) // count, (at + 1) * len(rows) // count):
                time, price, quantity, side, number = rows[place]
                for own, symbol in enumerate(TABLE + FRAMES):
                    if own and place % (4001 + 2 * own) == 0:
                        continue
                    of_it = (time, str(decimal.Decimal(price) + own), quantity, side, number, symbol)
                    if symbol in TABLE:
                        table.write(_row(*of_it))
                    else:
                        frames.write(_frame(*of_it))
        out += [[*VENUE, *COLUMNS, table_file], [*VENUE, frames_file]]
    out.insert(count, [*VENUE, BTC_FRAMES])
    return out
