"""`truetape run` on a simulated venue, over real sockets."""
import json
import socket
import subprocess

from running import FAST, NO_PROXY, Run, Venue, ids_of, import_beside, run_command, same_content, tt, until

BTC = "binance:BTCUSDT"


def refused(data, *instruments, sets=(), expect=1):
    done = subprocess.run(run_command(data, instruments, sets=sets), capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env=NO_PROXY, timeout=90)
    if done.returncode != expect or done.stdout:
        raise AssertionError(f"exit code {done.returncode}, expected {expect}: {done.stdout}{done.stderr}")
    return done.stderr


def stored_ids(data):
    return [i for (i,) in tt.store_rows(data, "SELECT trade_order FROM trades ORDER BY trade_order")]


class Live(tt.Case):
    def judge(self, venue, data):
        """Every trade is there once, and what is missing between the first and the last is in the gaps, exactly."""
        tt.run("digest", "--data", data, "--compare")
        ids = stored_ids(data)
        self.assertEqual(len(ids), len(set(ids)), "a trade is there twice")
        happened = set(ids_of(next(i for i in venue.truth["instruments"] if i["symbol"] == "BTCUSDT")["trades"]))
        self.assertLessEqual(set(ids), happened)
        missing = set(range(min(ids), max(ids) + 1)) - set(ids)
        named = set()
        for gap in tt.rows(data, "gaps"):
            if gap["last_id"] and gap["reason"] != "tail":
                named |= set(range(int(gap["first_id"]), int(gap["last_id"]) + 1))
        self.assertEqual(missing, named)
        return ids, missing

    def test_the_recording_live_equals_its_import(self):
        with Venue(tt.BTC_FRAMES, "--speed", "max") as venue:
            with Run(self.data, BTC, venues=[venue], sets=FAST) as run:
                self.assertIn("instruments=1 binance:BTCUSDT", run.ready)
                run.wait_end(venue)
        self.assertEqual([f.name for f in self.data.glob("store.db*")], ["store.db"], "all of the store is in one file")
        imported = import_beside(self.scratch, tt.BTC_FRAMES, "--venue", "binance")
        self.assertGreater(same_content(self, self.data, imported), 600)
        self.assertEqual(tt.rows(self.data, "gaps"), [])

    def test_a_candle_is_explained_over_rest_as_by_the_command_beside(self):
        with Venue(tt.BTC_FRAMES, "--speed", "max") as venue:
            with Run(self.data, BTC, venues=[venue], sets=FAST) as run:
                run.wait_end(venue)

                def same():
                    rest = run.get("/api/v1/explain?instrument=binance:BTCUSDT&interval=1m&start=2024-08-08T23:59:00Z")
                    beside = json.loads(tt.run("explain", "--data", self.data, BTC, "1m", "2024-08-08T23:59", "--format", "json"))
                    return rest if rest == beside and rest["stores"][0]["verdict"] == "same" else None

                told = until("the store has it, and both say the same", same)
                self.assertEqual(told["says"], "Complete: every trade of the window is in the row.")
                self.assertEqual((told["row"]["trades"], told["trades"]["records"], told["edges"]["between"]), (1312, 1312, 1312))
                self.assertEqual([s["way"] for s in told["trades"]["sources"]], ["stream"])
                self.assertEqual(told["revisions"][-1]["row"], told["row"])
                self.assertEqual(run.ask("/api/v1/explain?instrument=binance:BTCUSDT&interval=1m&start=2024-08-08T23:59:30Z")[0], 400)

    def test_a_kill_makes_a_named_gap_and_loses_nothing_that_reached_the_log(self):
        with Venue(tt.BTC_FRAMES, "--speed", "30") as venue:
            with Run(self.data, BTC, venues=[venue], sets=FAST) as run:
                run.wait_more(2000)
                run.kill()
                self.assertNotIn("Error", run.log())
            with Run(self.data, venues=[venue], sets=FAST) as run:  # goes on with what was wanted
                self.assertIn("instruments=1 binance:BTCUSDT", run.ready)
                run.wait_more(2000)
            venue.process.terminate()
            venue.end()
            ids, missing = self.judge(venue, self.data)
            self.assertGreater(len(missing), 0, "the tape went on while nobody listened")
            in_log = [r for r in tt.run("log", "cat", "trades", "--data", self.data).splitlines() if r]
            self.assertEqual(len(in_log), len(ids))

    def test_stop_and_start_leave_a_named_gap_and_stay_over_a_restart(self):
        with Venue(tt.BTC_FRAMES, "--speed", "30") as venue:
            with Run(self.data, BTC, venues=[venue], sets=FAST) as run:
                run.wait_more(1000)
                self.assertEqual(run.ask("/stop", "POST")[0], 202)
                until("the feed has ended", lambda: not run.feeds()["binance"]["running"])
                until("all is processed", lambda: run.get("/api/v1/pipeline")["rows"][0]["behind"]["process"] == 0)
                before, last = run.accepted(), venue.last_id("BTCUSDT")
                until("the venue trades on", lambda: venue.last_id("BTCUSDT") > last + 50)
                self.assertEqual(run.accepted(), before)
            with Run(self.data, venues=[venue], sets=FAST) as run:
                until("it says that it is stopped", lambda: "ingest is stopped" in run.log())
                self.assertEqual(run.ask("/start", "POST")[0], 202)
                run.wait_more(1000)
            venue.process.terminate()
            venue.end()
            _, missing = self.judge(venue, self.data)
            self.assertGreater(len(missing), 0)

    def test_a_second_run_is_refused_with_one_sentence(self):
        with Venue(tt.BTC_FRAMES, "--speed", "1") as venue, Run(self.data, BTC, venues=[venue]) as run:
            told = refused(self.data, BTC)
            self.assertIn(f"process {run.process.pid}", told)
            self.assertEqual(told.count("\n"), 1, told)

    def test_a_port_in_use_is_told_and_nothing_is_wanted_then(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            told = refused(self.data, BTC, sets=[f"serve.port={port}"])
            self.assertIn(f"port {port}: another program has it", told)
            self.assertFalse(self.data.exists(), "a new data directory was left behind")
            # One that is there stays as it is.
            tt.run("import", "--data", self.data, "--finish", expect=1)
            file = self.scratch / "rows.csv"
            file.write_text("time,price,quantity,id\n1723161240000,1,1,1\n")
            tt.run("import", "--data", self.data, "--instrument", BTC, "--tape", "trade", "--columns",
                   "time=time,price=price,quantity=quantity,id=id", file)
            self.assertIn(f"port {port}: another program has it", refused(self.data, BTC, sets=[f"serve.port={port}"]))
        self.assertIn("wanted    nothing", tt.run("control", "ls", "--data", self.data))

    def test_a_wrong_configuration_is_refused_before_anything_is_made(self):
        for instruments, sets, sentence in [
                (["BTCUSDT"], [], "write VENUE:SYMBOL"),
                (["nyse:IBM"], [], "there are feeds of binance, binance-usdm, "),
                ([BTC], ["feed.binance.stream_url=https://host"], "allowed: an address without a path"),
                ([BTC], ["serve.address=0.0.0.0"], "serve.read_token"),
                ([BTC, "finnhub:AAPL"], [], "feed.finnhub.token is empty, but finnhub:AAPL is wanted"),
                ([BTC], ["rule.off_tick@binanc=mark"], 'there is no venue "binanc"'),
                ([BTC], ["serve.tls.key=k.pem"], "serve.tls")]:
            told = refused(self.data, *instruments, sets=sets, expect=2)
            self.assertIn(sentence, told)
            self.assertFalse(self.data.exists())

    def test_an_unreadable_authority_is_told(self):
        self.assertIn("none.pem", refused(self.data, BTC, sets=["net.ca_file=none.pem"]))

    def test_another_logs_store_is_refused(self):
        tt.run("import", "--data", self.data, *tt.LTC_OPTIONS, tt.LTC_CSV)
        other = self.scratch / "other"
        other.mkdir()
        (self.data / "store.db").rename(other / "store.db")
        self.assertIn("--adopt", refused(other, BTC))
        self.assertIn("wanted    nothing", tt.run("control", "ls", "--data", other))

    def test_without_an_instrument_it_says_what_to_do(self):
        with Run(self.data) as run:
            self.assertIn("instruments=0", run.ready)
            until("the sentence", lambda: "truetape control add" in run.log())

    def test_another_intervals_are_refused(self):
        with Venue(tt.BTC_FRAMES, "--speed", "30") as venue, Run(self.data, BTC, venues=[venue], sets=FAST) as run:
            run.wait_more(10)
        self.assertIn("--set intervals=1s,1m,5m,15m,1h,4h,1d", refused(self.data, sets=["intervals=1s,1m"]))

    def test_the_demo_comes_to_its_end(self):
        done = subprocess.run([tt.BINARY, "demo", "--once", "--data", self.data, str(tt.BTC_FRAMES)], capture_output=True,
                              text=True, env=NO_PROXY, timeout=90)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("== gaps: 0", done.stdout)
        self.assertRegex(done.stdout, r"2024-08-08T23:55:00Z +61828 +61860.8 +61780 +61782.25 +15.07702 +1255  complete +ids")
        self.assertIn(tt.run("digest", "--data", self.data), done.stdout)
        again = subprocess.run([tt.BINARY, "demo", "--once", "--data", self.data, str(tt.BTC_FRAMES)], capture_output=True,
                               text=True, env=NO_PROXY, timeout=90)
        self.assertEqual(again.returncode, 2)
        self.assertIn("holds data already", again.stderr)


if __name__ == "__main__":
    tt.main()
