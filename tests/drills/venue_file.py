"""The venue's file of a day, BTCUSDT-trades-2024-08-08.zip: all trades of that day that the simulator still knows, as it tells them
over REST, which says nothing of what it withheld from its streams."""
import datetime
import json
import pathlib
import urllib.request
import zipfile

from rig import DIRECT


PATHS = {"binance": "/api/v3", "binance-usdm": "/fapi/v1"}


def ask(url):
    with DIRECT.open(urllib.request.Request(url, headers={"X-MBX-APIKEY": "drill"}), timeout=30) as answer:  # USD-M wants one
        return json.load(answer)


def trades(rest, symbol):
    """All that REST, with its path, gives; oldest first."""
    newest = ask(f"{rest}/trades?symbol={symbol}&limit=1")
    if not newest:
        return []
    found, end = [], newest[0]["id"]
    first = 0
    while True:
        rows = ask(f"{rest}/historicalTrades?symbol={symbol}&limit=1000&fromId={first}")
        rows = [r for r in rows if r["id"] >= first]
        if not rows:
            return found
        found += rows
        first = rows[-1]["id"] + 1
        if first > end:
            return found


def make(rig, symbol, day, venue="binance"):
    """Where the file lies then; None: there are no trades of that day, or no such venue."""
    if venue not in rig.state["venues"]:
        return None
    rest = f"http://127.0.0.1:{rig.state['venues'][venue]['front']['backend']}{PATHS[venue]}"
    begin = datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.timezone.utc).timestamp() * 1000
    rows = [r for r in trades(rest, symbol) if begin <= r["time"] < begin + 86_400_000]
    if not rows:
        return None
    name = f"{symbol}-trades-{day}"
    place = pathlib.Path(rig.own) / f"{name}.zip"
    if venue == "binance":
        truth = {True: "True", False: "False"}
        lines = [f"{r['id']},{r['price']},{r['qty']},{r['quoteQty']},{r['time'] * 1000},{truth[r['isBuyerMaker']]},{truth[r['isBestMatch']]}" for r in rows]
    else:
        truth = {True: "true", False: "false"}
        lines = ["id,price,qty,quote_qty,time,is_buyer_maker", *(f"{r['id']},{r['price']},{r['qty']},{r['quoteQty']},{r['time']},{truth[r['isBuyerMaker']]}" for r in rows)]
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"{name}.csv", "\n".join(lines) + "\n")
    return place
