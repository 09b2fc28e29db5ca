"""Recordings of Binance, played live and imported, have the same content. They lie outside of the repository."""
import pathlib
import sys

from running import FAST, Run, Venue, import_beside, same_content, tt

DATA = tt.ROOT.parent / "shared/data"
SPOT_2024 = DATA / "binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst"
SPOT_2021 = DATA / "binance-spot-btcusdt-ethusdt-dotusdt-ws-20210404t2003.frames.zst"
THIN = DATA / "binance-spot-thin-symbols-ws-20211012t0028.frames"
USDM = DATA / "binance-usdm-btcusdt-ws-20240718t2357-20240719t0005.frames.zst"


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


if __name__ == "__main__":
    missing = [f.name for f in (SPOT_2024, SPOT_2021, THIN, USDM) if not f.exists()]
    if missing:
        print(f"SKIPPED: no {', '.join(missing)} in {DATA}: nothing was compared")
        sys.exit(77)
    tt.main()
