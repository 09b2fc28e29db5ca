"""KuCoin and Finnhub, simulated, as clients meet them: ccxt takes the one for KuCoin, with nothing but its address changed, and a plain
WebSocket client follows both. What came is compared with the simulator's own lists."""
import asyncio
import collections
import json
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from decimal import Decimal

from venue import Venue, ids_of

import ccxt.pro
import websockets

QUIET = {"open_timeout": 30, "ping_interval": None}


def call(url, method="GET"):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, method=method), timeout=30) as answer:
        return json.load(answer)


async def listen(address, messages):
    """All frames until the end of the connection, after these messages were sent; numbers with all their digits."""
    frames = []
    async with websockets.connect(address, **QUIET) as socket:
        for message in messages:
            await socket.send(json.dumps(message))
        try:
            async for frame in socket:
                frames.append(json.loads(frame, parse_float=Decimal))
        except websockets.ConnectionClosedError:
            pass
    return frames


def kucoin_address(venue):
    data = call(venue.rest + "/api/v1/bullet-public", "POST")["data"]
    return data["instanceServers"][0]["endpoint"] + "?" + urllib.parse.urlencode({"token": data["token"], "connectId": "test"})


def subscribe(number, topic):
    return {"id": number, "type": "subscribe", "topic": topic, "privateChannel": False, "response": True}


class Kucoin(unittest.TestCase):
    def follow(self, *arguments):
        with Venue("--venue", "kucoin", "--symbols", "3", "--rate", "200", "--length", "5s", "--speed", "5", "--linger", "1s", *arguments) as venue:
            topic = "/market/match:" + ",".join(venue.symbols)
            frames = asyncio.run(listen(kucoin_address(venue), [subscribe(7, topic), subscribe(8, "/market/ticker:all")]))
            venue.end()
        self.assertEqual(frames[0], {"id": "test", "type": "welcome"})
        self.assertEqual([f["id"] for f in frames if f["type"] == "ack"], ["7", "8"])
        trades = [f["data"] for f in frames if f.get("subject") == "trade.l3match"]
        self.assertGreater(sum(f.get("topic") == "/market/ticker:all" for f in frames), 20)
        return venue, trades

    def test_every_trade_comes_once_with_its_digits(self):
        venue, trades = self.follow()
        wanted = [(r["symbol"], r["trade_id"], r["id"], r["price"], r["quantity"], r["time_ns"], "sell" if r["buyer_is_maker"] == "true" else "buy")
                  for r in venue.trades]
        self.assertGreater(len(wanted), 500)
        self.assertEqual([(t["symbol"], t["tradeId"], t["sequence"], t["price"], t["size"], t["time"], t["side"]) for t in trades], wanted)

    def test_what_is_withheld_is_told_though_ids_have_holes(self):
        venue, trades = self.follow("--fault", "drop,rate=0.1,streams=/market/match:*", "--older-fields")
        streams = {s["stream"]: s for s in venue.truth["connections"][0]["streams"]}
        for instrument in venue.truth["instruments"]:
            stream = streams["/market/match:" + instrument["symbol"]]
            got = {int(t["sequence"]) for t in trades if t["symbol"] == instrument["symbol"]}
            gone = set(ids_of(stream["withheld"]["drop"]["ids"]))
            self.assertTrue(gone)
            self.assertEqual(got, set(ids_of(stream["sent"])))
            self.assertEqual(got | gone, set(ids_of(instrument["trades"])))
        self.assertEqual({len(t["tradeId"]) for t in trades}, {24})

    def test_ccxt_takes_it_for_kucoin(self):
        async def watch(rest):
            exchange = ccxt.pro.kucoin({"options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "uta": False}})
            try:
                exchange.has["fetchCurrencies"] = False
                for name in ("public", "private"):
                    exchange.urls["api"][name] = rest
                markets = await exchange.load_markets()
                seen = {}
                while len(seen) < 50:
                    for trade in await exchange.watch_trades("BTC/USDT"):
                        seen[trade["id"]] = trade
                return markets, list(seen.values()), await exchange.fetch_trades("BTC/USDT"), await exchange.fetch_time()
            finally:
                await exchange.close()

        with Venue("--venue", "kucoin", "--symbols", "2", "--rate", "100", "--length", "1h") as venue:
            markets, watched, listed, told = asyncio.run(asyncio.wait_for(watch(venue.rest), 120))
            venue.process.terminate()
            venue.end()
        self.assertEqual(sorted(markets), ["BTC/USDT", "ETH/USDT"])
        rows = {r["trade_id"]: r for r in venue.trades if r["symbol"] == "BTC-USDT"}
        for trade in watched:
            row = rows[trade["id"]]
            self.assertEqual((trade["timestamp"], trade["side"]), (int(row["time_us"]) // 1000, "sell" if row["buyer_is_maker"] == "true" else "buy"))
            self.assertEqual((trade["price"], trade["amount"]), (float(row["price"]), float(row["quantity"])))
        self.assertTrue(listed)
        self.assertLessEqual(len(listed), 100)
        self.assertLess(abs(told - int(venue.trades[-1]["time_us"]) // 1000), 60_000)


class Finnhub(unittest.TestCase):
    def follow(self, *arguments, news=False):
        with Venue("--venue", "finnhub", "--symbols", "AAPL,BINANCE:BTCUSDT,OANDA:EUR_USD", "--rate", "100", "--length", "6s", "--speed", "3",
                   "--linger", "1s", *arguments) as venue:
            messages = [{"type": "subscribe", "symbol": s} for s in [*venue.symbols, "NOSUCH"]]
            if news:
                messages.append({"type": "subscribe-news", "symbol": "AAPL"})
            async def follow():
                return await asyncio.gather(listen(venue.websocket + "/?token=key", messages), asyncio.to_thread(self.poll, venue) if news else asyncio.sleep(0))

            frames, self.polled = asyncio.run(follow())
            venue.end()
        return venue, frames

    @staticmethod
    def poll(venue):
        """News of the market, asked for until there are some; never more often than the key may."""
        for _ in range(50):
            if found := call(venue.rest + "/api/v1/news?category=general&minId=0&token=key"):
                return found
            time.sleep(0.1)
        return []

    @staticmethod
    def by_symbol(frames):
        got = collections.defaultdict(list)
        for frame in frames:
            for item in frame.get("data", []) if frame["type"] == "trade" else []:
                got[item["s"]].append((Decimal(item["p"]), Decimal(item["v"]), item["t"]))
        return got

    @staticmethod
    def rows(venue, symbol):
        return [(Decimal(r["price"]), Decimal(r["quantity"]), int(r["time_us"]) // 1000) for r in venue.trades if r["symbol"] == symbol]

    def test_every_trade_comes_in_order_and_equal_ones_stay(self):
        venue, frames = self.follow()
        got = self.by_symbol(frames)
        self.assertEqual(sorted(got), sorted(venue.symbols))
        for symbol in venue.symbols:
            self.assertEqual(got[symbol], self.rows(venue, symbol))
        trades = [f["data"] for f in frames if f["type"] == "trade"]
        self.assertLessEqual(max(map(len, trades)), 10)
        self.assertGreater(max(len({t["s"] for t in frame}) for frame in trades), 1, "one message holds several symbols")
        aapl = [t for frame in trades for t in frame if t["s"] == "AAPL"]
        self.assertTrue(any(a == b for a, b in zip(aapl, aapl[1:])), "equal trades")
        self.assertTrue(any(t["v"] == 0 for frame in trades for t in frame))

    def test_what_is_withheld_is_told_by_ordinal(self):
        venue, frames = self.follow("--fault", "drop,rate=0.2")
        got = self.by_symbol(frames)
        streams = {s["stream"]: s for s in venue.truth["connections"][0]["streams"]}
        lost = 0
        for symbol in venue.symbols:
            rows, stream = self.rows(venue, symbol), streams[symbol]
            self.assertEqual(got[symbol], [rows[i - 1] for i in ids_of(stream["sent"])])
            gone = ids_of(stream["withheld"].get("drop", {"ids": []})["ids"])
            lost += len(gone)
            self.assertEqual(sorted(ids_of(stream["sent"]) + gone), list(range(1, len(rows) + 1)))
        self.assertGreater(lost, 0)

    def test_news_come_by_stream_and_by_polling(self):
        venue, frames = self.follow("--news", "600", "--limit", "premium=true", news=True)
        streamed = [item["id"] for f in frames if f["type"] == "news" for item in f["data"]]
        happened = set(ids_of(venue.truth["news"]))
        self.assertTrue(streamed)
        self.assertLessEqual(set(streamed), happened)
        polled = [item["id"] for item in self.polled]
        self.assertTrue(polled)
        self.assertEqual(polled, sorted(polled, reverse=True))
        self.assertLessEqual(set(polled), happened - set(streamed))

    def test_one_connection_per_key(self):
        async def two(address):
            async with websockets.connect(address + "/?token=key", **QUIET):
                with self.assertRaises(websockets.InvalidStatus) as refused:
                    async with websockets.connect(address + "/?token=key", **QUIET):
                        pass
            return refused.exception.response.status_code

        with Venue("--venue", "finnhub", "--symbols", "1") as venue:
            self.assertEqual(asyncio.run(two(venue.websocket)), 429)
            with self.assertRaises(urllib.error.HTTPError) as refused:
                call(venue.rest + "/api/v1/quote?symbol=AAPL")
            self.assertEqual(refused.exception.code, 401)
            self.assertEqual(json.load(refused.exception), {"error": "Please use an API key."})


if __name__ == "__main__":
    unittest.main()
