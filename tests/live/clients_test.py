"""Clients that were written for Binance, with another base URL: ccxt and python-binance fetch candles, the time and the list of
symbols from `truetape run`, and get what the store has."""
import unittest
from decimal import Decimal

import live
from live import RECORDING, Run, Venue, query

import ccxt
from binance import Client

NAME = "binance:BTCUSDT"


class Clients(live.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = live.tempfile.TemporaryDirectory(prefix="truetape-clients-")
        data = live.pathlib.Path(cls.folder.name) / "data"
        with Venue(RECORDING, "--speed", 60, "--linger", "forever") as venue:
            with Run(data, NAME, venues=[venue], sets=["rule.future.tolerance=1h"]) as run:
                run.wait_in_candles(NAME, 19904)
                run.take_in(venue)  # venue time stands still from here
                base = f"http://127.0.0.1:{run.port}"
                cls.got = {}
                market = ccxt.binance({"options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}})
                market.urls["api"]["public"] = base + "/api/v3"
                cls.got["ccxt markets"] = market.load_markets()
                cls.got["ccxt time"] = market.fetch_time()
                for interval in ("1s", "1m", "5m"):
                    cls.got["ccxt " + interval] = market.fetch_ohlcv("BTC/USDT", interval, limit=1000, since=1723161240000)
                    cls.got["ccxt newest " + interval] = market.fetch_ohlcv("BTC/USDT", interval, limit=3)
                for name, bad in (("interval", {"symbol": "BTCUSDT", "interval": "2m"}), ("symbol", {"symbol": "NOSUCH", "interval": "1m"})):
                    try:
                        market.publicGetKlines(bad)
                        cls.got["ccxt bad " + name] = None
                    except ccxt.BaseError as error:
                        cls.got["ccxt bad " + name] = type(error)
                Client.API_URL = base + "/api"
                client = Client()
                cls.got["ping"] = client.ping()
                cls.got["time"] = client.get_server_time()["serverTime"]
                cls.got["info"] = client.get_exchange_info()
                cls.got["symbol"] = client.get_symbol_info("BTCUSDT")
                cls.got["klines"] = client.get_klines(symbol="BTCUSDT", interval="1m", limit=1000)
                cls.got["some"] = client.get_klines(symbol="BTCUSDT", interval="1m", startTime=1723161360000, endTime=1723161480000, limit=2)
                cls.got["all"] = client.get_historical_klines("BTCUSDT", "1m", "2024-08-08", "2024-08-10")
                cls.listing = [i["symbol"] for i in venue.truth["instruments"]]
        cls.candles = {interval: [[live.ms(r["start"]), *(Decimal(r[c]) for c in ("open", "high", "low", "close", "volume")), Decimal(r["quote_volume"]),
                                   int(r["trades"]), Decimal(r["taker_buy_volume"]), Decimal(r["taker_buy_quote_volume"])]
                                  for r in query(data, "candles", "--interval", interval, "--instrument", NAME)
                                  if r["completeness"] in ("complete", "quiet", None)]  # a kline cannot say that it is partial
                       for interval in ("1s", "1m", "5m")}

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_ccxt_knows_the_market_and_the_time(self):
        self.assertEqual(list(self.got["ccxt markets"]), ["BTC/USDT"])
        self.assertEqual(self.got["ccxt markets"]["BTC/USDT"]["precision"]["price"], 0.01)
        self.assertGreater(self.got["ccxt time"], 1.7e12)

    def test_ccxt_gets_the_candles_of_the_store(self):
        for interval in ("1m", "5m"):
            self.assertEqual(self.got["ccxt " + interval], [[c[0], *map(float, c[1:6])] for c in self.candles[interval]], interval)
            self.assertEqual(self.got["ccxt newest " + interval], [[c[0], *map(float, c[1:6])] for c in self.candles[interval][-3:]], interval)
        self.assertGreaterEqual(len(self.candles["1m"]), 11)

    def test_ccxt_gets_each_second_in_which_there_were_trades(self):
        """And, where it is given at all, a second without a trade is flat at the close before."""
        rows, have = self.got["ccxt 1s"], {c[0]: [c[0], *map(float, c[1:6])] for c in self.candles["1s"]}
        self.assertGreater(len(rows), 500)
        self.assertLessEqual({t for t in have if rows[0][0] <= t <= rows[-1][0]}, {r[0] for r in rows})
        for before, row in zip([None, *rows], rows):
            self.assertEqual(row, have.get(row[0]) or [row[0], *[before[4]] * 4, 0.0])

    def test_ccxt_takes_our_errors_for_binances(self):
        self.assertEqual(self.got["ccxt bad interval"], ccxt.BadRequest)
        self.assertEqual(self.got["ccxt bad symbol"], ccxt.BadSymbol)

    def test_python_binance_gets_every_value_of_the_candles(self):
        def read(rows):
            return [[r[0], *map(Decimal, r[1:6]), Decimal(r[7]), r[8], Decimal(r[9]), Decimal(r[10])] for r in rows]
        for name in ("klines", "all"):
            self.assertEqual(read(self.got[name]), self.candles["1m"], name)
        self.assertEqual(read(self.got["some"]), [c for c in self.candles["1m"] if 1723161360000 <= c[0] <= 1723161480000][:2])
        for row in self.got["klines"]:
            self.assertEqual((len(row), row[6], row[11]), (12, row[0] + 59999, "0"))

    def test_python_binance_knows_time_and_symbols(self):
        self.assertEqual(self.got["ping"], {})
        self.assertIsInstance(self.got["time"], int)
        self.assertEqual([s["symbol"] for s in self.got["info"]["symbols"]], self.listing)
        self.assertEqual(self.got["symbol"]["baseAsset"], "BTC")
        self.assertIn({"filterType": "PRICE_FILTER", "tickSize": "0.01000000"}, [{k: f[k] for k in ("filterType", "tickSize") if k in f} for f in self.got["symbol"]["filters"]])


if __name__ == "__main__":
    unittest.main(verbosity=2)
