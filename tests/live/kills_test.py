#!/usr/bin/env python3
"""`truetape run` under load from a venue that misbehaves, killed with SIGKILL at random instants and started again, at last
stopped by SIGTERM. Then truth.py judges: each trade that reached the log is in the store once, what was missed is a named
gap, no candle is falsely complete or quiet.

TRUETAPE_KILLS (5) kills; TRUETAPE_KILL_SEED says at which instants, else it is another seed each time, which is printed."""
import os
import random
import time

import live

KILLS = int(os.environ.get("TRUETAPE_KILLS", "5"))
SEED = int(os.environ.get("TRUETAPE_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
SYMBOLS = 6
# Everything small and often, so that whatever is under way when the kill comes, something else is under way too.
FAULTS = ["drop,rate=0.0002,streams=*@trade", "duplicate,rate=0.002", "reorder,rate=0.001,distance=3", "corrupt,rate=0.0001,streams=*@trade",
          "corrupt,rate=0.0001,how=html,streams=*@trade", "corrupt,rate=0.0001,how=flip,streams=*@trade", "silence,at=3s,for=1s,every=11s,streams=eth*@trade",
          "stall,at=5s,for=700ms,every=13s", "cut,at=7s,every=9s,how=reset", "refuse,rate=0.1,path=*", "lag,how=answers,by=50ms"]


class KillsTest(live.Case):
    @staticmethod
    def accepted(run):
        try:
            return run.accepted()
        except (OSError, live.http.client.HTTPException):
            return 0  # it does not listen yet

    def run_it(self, venue_name, rate, *more, seed):
        dice = random.Random(f"{seed} {venue_name}")
        options = [option for fault in FAULTS for option in ("--fault", fault)]
        with live.Venue("--venue", venue_name, "--symbols", SYMBOLS, "--rate", rate, "--seed", seed, "--shift", "now", *more, *options) as venue:
            wanted = [f"{venue_name}:{symbol}" for symbol in venue.symbols]
            started = {"venues": [venue], "sets": ["log.partitions=3"]}
            at_work = 0  # kills of a process that had trades
            for number in range(KILLS):
                run = live.Run(self.data, *wanted, ready=False, **started)
                with run:
                    # By turns from its first milliseconds on, and in the midst of its work.
                    if number % 2 == 0:
                        live.until("trades", lambda: run.alive() and self.accepted(run) > 0, every=0.01)
                        at_work += 1
                        time.sleep(dice.uniform(0, 2.5))
                    else:
                        time.sleep(dice.uniform(0, 1))
                    run.alive()
                    run.kill()
                time.sleep(dice.choice([0, 0, dice.uniform(0, 1.5)]))
            with live.Run(self.data, *wanted, **started) as run:
                for name in wanted:  # each lives again
                    live.until(f"{name} has trades again", lambda n=name: any(r["instrument"] == n and not r["stale"] for r in run.get("/api/v1/instruments")["rows"]))
                run.wait_more(4 * rate)
                run.take_in(venue)
            ends = [c["end"] for c in venue.truth["connections"]]
            counts = live.judged([venue], self.data, drained=True)
            print(f"{venue_name}: {KILLS} kills, at least {at_work} of them with trades under way; {len(ends)} connections; {dict(counts)}", flush=True)
            self.assertEqual(counts["instruments"], SYMBOLS)
            self.assertGreater(counts["reached the log"], 500)
            self.assertGreater(counts["missing ids"], 0)
            self.assertGreater(counts["gaps open"], 0)
            self.assertGreater(counts["candles complete by ids"], 0)
            self.assertGreaterEqual(at_work, KILLS // 2)

    def test_spot(self):
        print(f"TRUETAPE_KILL_SEED={SEED}", flush=True)
        self.run_it("binance", 3000, seed=SEED)

    def test_usdm(self):
        print(f"TRUETAPE_KILL_SEED={SEED}", flush=True)
        self.run_it("binance-usdm", 1000, "--mix", "na=5,rpi=10,adl=5", seed=SEED)


if __name__ == "__main__":
    live.main()
