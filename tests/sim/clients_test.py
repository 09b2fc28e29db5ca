"""Clients that were written for Binance take the simulator for it: ccxt and python-binance fetch candles and trades and
follow streams, with nothing but addresses changed. What they get is compared with the simulator's own list of trades, by
arithmetic of Python."""
import asyncio
import collections
import json
import time
import unittest
from decimal import Decimal

from venue import RECORDING, Venue, ids_of

import ccxt
import ccxt.pro
import websockets
from binance import AsyncClient, BinanceSocketManager, Client

MINUTE = 60_000


def candles_of(trades):
    """Minute candles [start, open, high, low, close, volume, quote volume, count] of the rows of --trades."""
    made = {}
    for row in trades:
        if row["kind"] not in ("MARKET", "RPI"):
            continue
        start = int(row["time_us"]) // 1000 // MINUTE * MINUTE
        price, quantity = Decimal(row["price"]), Decimal(row["quantity"])
        c = made.setdefault(start, [start, price, price, price, price, Decimal(0), Decimal(0), 0])
        c[2], c[3], c[4] = max(c[2], price), min(c[3], price), price
        c[5] += quantity
        c[6] += price * quantity
        c[7] += int(row["last_id"]) - int(row["first_id"]) + 1
    return [made[start] for start in sorted(made)]


def point_ccxt(exchange, venue):
    exchange.options["fetchMarkets"] = {"types": ["linear" if "usdm" in exchange.id else "spot"]}
    exchange.options["fetchCurrencies"] = False
    for name, path in (("public", "/api/v3"), ("fapiPublic", "/fapi/v1")):
        exchange.urls["api"][name] = venue.rest + path
    return exchange


class Rest(unittest.TestCase):
    """A whole recording has happened; all of it is asked for."""

    @classmethod
    def setUpClass(cls):
        cls.venue = Venue(RECORDING, "--speed", "max", "--no-wait", "--linger", "forever", "--limit", "weight=1000000")
        cls.got = {}
        market = point_ccxt(ccxt.binance(), cls.venue)
        while market.fetch_time() < 1723161905800:  # the recording plays as fast as it can
            time.sleep(0.05)
        cls.got["markets"] = market.load_markets()
        cls.got["ohlcv"] = market.fetch_ohlcv("BTC/USDT", "1m", limit=100)
        cls.got["last"] = market.fetch_trades("BTC/USDT", limit=500)
        cls.got["ticker"] = market.fetch_ticker("BTC/USDT")
        with unittest.TestCase().assertRaises(ccxt.BadRequest):
            market.publicGetKlines({"symbol": "BTCUSDT", "interval": "2m"})
        Client.API_URL = cls.venue.rest + "/api"
        client = Client()
        cls.got["klines"] = client.get_klines(symbol="BTCUSDT", interval="1m")
        cls.got["all_klines"] = client.get_historical_klines("BTCUSDT", "1m", "2024-08-08")
        cls.got["aggregates"] = list(client.aggregate_trade_iter("BTCUSDT", start_str=1723161200000))
        cls.got["trades"] = []
        first = 3735683259
        while page := client.get_historical_trades(symbol="BTCUSDT", limit=1000, fromId=first):
            cls.got["trades"] += page
            first = page[-1]["id"] + 1
        cls.venue.process.terminate()
        cls.venue.end()
        cls.candles = candles_of(cls.venue.trades)

    @classmethod
    def tearDownClass(cls):
        cls.venue.folder.cleanup()

    def test_ccxt_knows_the_market(self):
        self.assertEqual(list(self.got["markets"]), ["BTC/USDT"])
        self.assertEqual(self.got["markets"]["BTC/USDT"]["precision"]["price"], 0.01)

    def test_ccxt_gets_the_candles(self):
        self.assertEqual(self.got["ohlcv"], [[c[0], *map(float, c[1:6])] for c in self.candles])
        self.assertEqual(len(self.candles), 12)

    def test_ccxt_gets_the_last_trades(self):
        ours = self.venue.trades[-500:]
        # ccxt asks for aggregates
        self.assertEqual(self.got["last"][-1]["timestamp"], int(ours[-1]["time_us"]) // 1000)
        self.assertEqual(self.got["ticker"]["last"], float(ours[-1]["price"]))

    def test_python_binance_gets_the_candles_to_the_character(self):
        for name in ("klines", "all_klines"):
            self.assertEqual([[row[0], *map(Decimal, row[1:6]), Decimal(row[7]), row[8]] for row in self.got[name]], self.candles)

    def test_python_binance_gets_every_trade(self):
        self.assertEqual([(t["id"], t["price"], t["qty"], t["time"], t["isBuyerMaker"]) for t in self.got["trades"]],
                         [(int(r["id"]), r["price"], r["quantity"], int(r["time_us"]) // 1000, r["buyer_is_maker"] == "true")
                          for r in self.venue.trades])
        self.assertEqual(len(self.got["trades"]), 19904)

    def test_python_binance_gets_aggregates_that_hold_every_trade_once(self):
        aggregates = self.got["aggregates"]
        self.assertEqual([i for a in aggregates for i in range(a["f"], a["l"] + 1)], [int(r["id"]) for r in self.venue.trades])
        self.assertEqual(sum(Decimal(a["q"]) for a in aggregates), sum(Decimal(r["quantity"]) for r in self.venue.trades))


class Futures(unittest.TestCase):
    def test_ccxt_gets_the_candles(self):
        with Venue("--venue", "binance-usdm", "--symbols", "BTCUSDT", "--rate", "50", "--length", "10m", "--seed", "5",
                   "--shift", "2024-06-01T00:00", "--mix", "na=20,rpi=20,adl=10", "--speed", "max", "--no-wait",
                   "--linger", "forever") as venue:
            market = point_ccxt(ccxt.binanceusdm(), venue)
            while market.fetch_time() < 1717200600000:
                time.sleep(0.05)
            got = market.fetch_ohlcv("BTC/USDT:USDT", "1m", limit=100, params={"until": 1717200599999})
            venue.process.terminate()
            venue.end()
            self.assertEqual({r["kind"] for r in venue.trades}, {"MARKET", "RPI", "NA", "ADL"})
            self.assertEqual(got, [[c[0], *map(float, c[1:6])] for c in candles_of(venue.trades)])


class Streams(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # each of many thousand messages would be traced

    async def test_python_binance_follows_a_recording_to_its_end(self):
        with Venue(RECORDING, "--speed", "100", "--linger", "forever") as venue:
            AsyncClient.API_URL = venue.rest + "/api"
            BinanceSocketManager.STREAM_URL = venue.websocket + "/"
            client = await AsyncClient.create()
            got = []
            async with BinanceSocketManager(client, max_queue_size=100_000).trade_socket("BTCUSDT") as socket:
                while len(got) < 19904:
                    message = await asyncio.wait_for(socket.recv(), 30)
                    self.assertEqual(message.get("e"), "trade", message)
                    got.append(message)
            await client.close_connection()
            venue.process.terminate()
            venue.end()
            self.assertEqual([(m["t"], m["p"], m["q"], m["T"], m["m"]) for m in got],
                             [(int(r["id"]), r["price"], r["quantity"], int(r["time_us"]) // 1000, r["buyer_is_maker"] == "true")
                              for r in venue.trades])

    async def test_ccxt_watches_trades(self):
        with Venue("--symbols", "BTCUSDT", "--rate", "200", "--seed", "9") as venue:
            market = point_ccxt(ccxt.pro.binance({"options": {"tradesLimit": 100_000}}), venue)
            market.urls["api"]["ws"]["spot"] = venue.websocket + "/ws"
            market.options["watchTrades"] = {"name": "trade"}
            got = {}
            while len(got) < 300:
                for trade in await asyncio.wait_for(market.watch_trades("BTC/USDT"), 30):
                    got[int(trade["id"])] = (str(trade["price"]), trade["timestamp"], trade["side"])
            await market.close()
            venue.process.terminate()
            venue.end()
            ids = sorted(got)
            self.assertEqual(ids, list(range(ids[0], ids[0] + len(ids))), "every trade since the first")
            told = {int(r["id"]): (str(float(r["price"])), int(r["time_us"]) // 1000,
                                   "sell" if r["buyer_is_maker"] == "true" else "buy") for r in venue.trades}
            self.assertEqual(got, {i: told[i] for i in ids})

    async def test_the_list_of_what_was_sent_is_what_came(self):
        """Faults of all kinds by seed, two connections, one cut: each client's own account equals the simulator's."""
        with Venue("--symbols", "BTCUSDT,ETHUSDT", "--rate", "2000", "--seed", "11", "--length", "20s", "--speed", "5",
                   "--fault", "drop,rate=0.01", "--fault", "duplicate,rate=0.01", "--fault", "reorder,rate=0.01,distance=5",
                   "--fault", "corrupt,rate=0.005,how=truncate", "--fault", "silence,at=5s,for=1s,streams=eth*",
                   "--fault", "stall,at=8s,for=2s", "--fault", "cut,at=15s,connection=2") as venue:
            streams = [s.lower() + "@trade" for s in venue.symbols]

            async def follow():
                got, broken = {s: collections.Counter() for s in streams}, 0
                try:
                    async with websockets.connect(venue.websocket + "/stream?streams=" + "/".join(streams)) as socket:
                        async for message in socket:
                            try:
                                event = json.loads(message)
                                got[event["stream"]][event["data"]["t"]] += 1
                            except json.JSONDecodeError:
                                broken += 1
                except websockets.ConnectionClosed:
                    pass
                return got, broken

            accounts = await asyncio.gather(follow(), follow())
            venue.end()
            happened = {i["symbol"]: ids_of(i["trades"]) for i in venue.truth["instruments"]}
            self.assertEqual({s: sum(r["symbol"] == s for r in venue.trades) for s in venue.symbols},
                             {s: len(ids) for s, ids in happened.items()})
            self.assertEqual([c["end"] for c in sorted(venue.truth["connections"], key=lambda c: c["number"])], ["stopped", "cut"])
            told = [{s["stream"]: s for s in c["streams"]} for c in venue.truth["connections"]]
            # Which client is which connection is not known beforehand; the cut one has less.
            accounts.sort(key=lambda account: -sum(sum(c.values()) for c in account[0].values()))
            for (got, broken), log in zip(accounts, told):
                withheld = 0
                for stream, counter in got.items():
                    self.assertEqual(sorted(counter), ids_of(log[stream]["sent"]), stream)
                    self.assertEqual(sum(counter.values()) - len(counter), log[stream]["duplicated"], stream)
                    for reason, those in log[stream]["withheld"].items():
                        if reason == "corrupt":
                            withheld += those["messages"]
                        self.assertFalse(set(ids_of(those["ids"])) & set(counter), reason)
                self.assertEqual(broken, withheld)
            whole = told[0]
            for symbol, stream in zip(venue.symbols, streams):
                known = ids_of(whole[stream]["sent"]) + [i for w in whole[stream]["withheld"].values() for i in ids_of(w["ids"])]
                self.assertEqual(sorted(known), happened[symbol], "each trade was sent or withheld, for a reason")


if __name__ == "__main__":
    unittest.main()
