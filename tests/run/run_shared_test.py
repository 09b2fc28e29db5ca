"""Recordings of Binance, KuCoin and Finnhub, played live and imported, have the same content. They lie outside of the repository."""
import collections
import pathlib
import sys

from running import FAST, Run, Venue, import_beside, same_content, tt

DATA = tt.ROOT.parent / "shared/data"
SPOT_2024 = DATA / "binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst"
SPOT_2021 = DATA / "binance-spot-btcusdt-ethusdt-dotusdt-ws-20210404t2003.frames.zst"
THIN = DATA / "binance-spot-thin-symbols-ws-20211012t0028.frames"
USDM = DATA / "binance-usdm-btcusdt-ws-20240718t2357-20240719t0005.frames.zst"
KUCOIN = DATA / "kucoin-spot-10-symbols-ws-20210425t1918.frames.zst"
FINNHUB = DATA / "finnhub-aapl-trade-ws-20230331t1815.jsonl"


class Recordings(tt.Case):
    def compare(self, file: pathlib.Path, venue_name, tape, trades, windows):
        with Venue(file, "--venue", venue_name, "--speed", "max") as venue:
            wanted = [f"{venue_name}:{symbol}" for symbol in venue.symbols]
            with Run(self.data, *wanted, venues=[venue], sets=[*FAST, f"feed.{venue_name}.tape={tape}"]) as run:
                run.wait_end(venue)
        imported = import_beside(self.scratch, file, "--venue", venue_name)
        self.assertGreaterEqual(same_content(self, self.data, imported), windows)
        self.assertEqual(tt.store_rows(self.data, "SELECT count(*) FROM trades"), [(trades,)])

    def test_spot_2024_on_tape_trade(self):
        self.compare(SPOT_2024, "binance", "trade", 19_904, 640)

    def test_usdm_2024_on_tape_trade(self):
        self.compare(USDM, "binance-usdm", "trade", 10_701, 300)

    def test_spot_2021_on_tape_agg(self):
        self.compare(SPOT_2021, "binance", "agg", 1_910, 100)

    def test_thin_symbols_on_tape_agg(self):
        self.compare(THIN, "binance", "agg", 2, 0)

    def without_ids(self, file, venue_name, counts, sets=()):
        """Of a venue whose trades have no contiguous ids: the digests are equal, and every trade is there once."""
        with Venue(file, "--venue", venue_name, "--speed", "10", "--lead", "5s", "--linger", "20s") as venue:
            with Run(self.data, *counts, venues=[venue], sets=[*FAST, *sets]) as run:
                run.wait_end(venue)
        imported = import_beside(self.scratch, file, "--venue", venue_name)
        same_content(self, self.data, imported)
        self.assertEqual(collections.Counter(row["instrument"] for row in tt.rows(self.data, "trades")), counts)

    def test_kucoin_2021(self):
        self.without_ids(KUCOIN, "kucoin", {"kucoin:DAPPT-BTC": 12, "kucoin:BCHSV-USDT": 5, "kucoin:FET-BTC": 1})

    def test_finnhub_2023(self):
        self.without_ids(FINNHUB, "finnhub", {"finnhub:AAPL": 61}, sets=["feed.finnhub.token=key"])


if __name__ == "__main__":
    missing = [f.name for f in (SPOT_2024, SPOT_2021, THIN, USDM, KUCOIN, FINNHUB) if not f.exists()]
    if missing:
        print(f"SKIPPED: no {', '.join(missing)} in {DATA}: nothing was compared")
        sys.exit(77)
    tt.main()
