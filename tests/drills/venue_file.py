"""The venue's file of a day, BTCUSDT-trades-2024-08-08.zip: all trades of that day that the simulator still knows, as it tells them
over REST, which says nothing of what it withheld from its streams."""
import datetime
import json
import pathlib
import zipfile

from rig import DIRECT


def trades(rest, symbol):
    """All that REST gives, oldest first."""
    with DIRECT.open(f"{rest}/api/v3/trades?symbol={symbol}&limit=1", timeout=30) as answer:
        newest = json.load(answer)
    if not newest:
        return []
    found, end = [], newest[0]["id"]
    first = 0
    while True:
        with DIRECT.open(f"{rest}/api/v3/historicalTrades?symbol={symbol}&limit=1000&fromId={first}", timeout=30) as answer:
            rows = json.load(answer)
        rows = [r for r in rows if r["id"] >= first]
        if not rows:
            return found
        found += rows
        first = rows[-1]["id"] + 1
        if first > end:
            return found


def make(rig, symbol, day):
    """Where the file lies then; None: there are no trades of that day."""
    begin = datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.timezone.utc).timestamp() * 1000
    rows = [r for r in trades(f"http://127.0.0.1:{rig.state['venues']['binance']['front']['backend']}", symbol) if begin <= r["time"] < begin + 86_400_000]
    if not rows:
        return None
    name = f"{symbol}-trades-{day}"
    place = pathlib.Path(rig.own) / f"{name}.zip"
    truth = lambda word: "True" if word else "False"
    lines = "".join(f"{r['id']},{r['price']},{r['qty']},{r['quoteQty']},{r['time'] * 1000},{truth(r['isBuyerMaker'])},{truth(r['isBestMatch'])}\n" for r in rows)
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"{name}.csv", lines)
    return place
