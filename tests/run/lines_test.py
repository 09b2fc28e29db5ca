"""How `truetape run` talks on standard error, and to the service manager that has started it."""
import json
import re
import signal
import socket
import subprocess

from running import FAST, NO_PROXY, Run, Venue, run_command, tt, until

BTC = "binance:BTCUSDT"
LINE = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warning|error) (run|ingest|process|load|serve|socket|log): \S.*")


class Lines(tt.Case):
    def test_every_line_has_time_level_role_and_sentence(self):
        with Venue(tt.BTC_FRAMES, "--speed", "30") as venue, \
                Run(self.data, BTC, "binance:NOPE", venues=[venue], sets=FAST) as run:
            until("the unknown symbol is told", lambda: "the venue has no symbol NOPE" in run.log())
            run.stop()
            lines = run.log().splitlines()
            venue.process.terminate()
            venue.end()
        for line in lines:
            self.assertRegex(line, LINE)
        roles = {LINE.fullmatch(line)[2] for line in lines}
        self.assertLessEqual({"ingest", "run"}, roles)

    def test_as_json_every_line_is_an_object(self):
        # Nothing is wanted: it says so. The second one is refused, in JSON too.
        with Run(self.data, sets=["log_format=json"]) as run:
            until("it is told", lambda: "no instrument is wanted" in run.log())
            done = subprocess.run(run_command(self.data, [BTC], sets=["log_format=json"]), capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, env=NO_PROXY, timeout=90)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            told = [json.loads(line) for line in done.stderr.splitlines()]
            self.assertEqual([(t["level"], t["role"]) for t in told], [("error", "run")])
            self.assertIn(f"process {run.process.pid}", told[0]["text"])
            run.stop()
            for line in run.log().splitlines():
                self.assertEqual(list(json.loads(line)), ["time", "level", "role", "text"])

    def test_the_service_manager_is_told(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            place = str(self.scratch / "notify")
            manager.bind(place)
            manager.settimeout(120)
            process = subprocess.Popen(run_command(self.data, []), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       stdin=subprocess.DEVNULL, text=True, env={**NO_PROXY, "NOTIFY_SOCKET": place})
            try:
                self.assertEqual(manager.recv(100), b"READY=1")
                self.assertTrue(process.stdout.readline().startswith("ready "))
                process.send_signal(signal.SIGTERM)
                self.assertEqual(manager.recv(100), b"STOPPING=1")
                self.assertEqual(process.wait(120), 0)
            finally:
                process.kill()
                process.stdout.close()


if __name__ == "__main__":
    tt.main()
