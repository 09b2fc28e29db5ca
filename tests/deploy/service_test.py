"""The service's unit and its configuration."""
import configparser
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TRUETAPE", str(ROOT / "build/dev/truetape"))
PLACE = ROOT / "deploy/systemd"
UNIT = (PLACE / "truetape.service").read_text()


class Service(unittest.TestCase):
    def test_systemd_takes_the_unit(self):
        tool = shutil.which("systemd-analyze")
        if not tool:
            self.skipTest("no systemd-analyze; the unit is only parsed")
        with tempfile.TemporaryDirectory() as folder:
            unit = pathlib.Path(folder) / "truetape.service"
            unit.write_text(re.sub("^ExecStart=/usr/local/bin/truetape", f"ExecStart={BINARY}", UNIT, flags=re.M))
            done = subprocess.run([tool, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=120)
            own = [line for line in (done.stdout + done.stderr).splitlines() if "truetape" in line]
            self.assertEqual((done.returncode, own), (0, []), done.stdout + done.stderr)

    def test_the_unit_says_what_the_documents_promise(self):
        parsed = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
        parsed.optionxform = str
        parsed.read_string(UNIT)
        service = parsed["Service"]
        self.assertRegex(service["ExecStart"], r"^/\S+/truetape run --config /etc/truetape/truetape\.toml$")
        for key, value in {"Type": "notify", "User": "truetape", "StateDirectory": "truetape", "Restart": "always", "KillSignal": "SIGTERM",
                           "LimitNOFILE": "65536", "NoNewPrivileges": "yes", "ProtectSystem": "strict"}.items():
            self.assertEqual(service[key], value, key)
        self.assertEqual(parsed["Unit"]["StartLimitIntervalSec"], "0")

    def test_the_configuration_is_taken(self):
        done = subprocess.run([BINARY, "config", "check", "--config", PLACE / "truetape.toml"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('data = "/var/lib/truetape"', done.stdout)
        # With what is commented out, too, as the environment file gives it.
        with tempfile.TemporaryDirectory() as folder:
            whole = pathlib.Path(folder) / "truetape.toml"
            whole.write_text(re.sub(r"^# (\w+_token = )", r"\1", (PLACE / "truetape.toml").read_text(), flags=re.M))
            names = re.findall(r"^#(TRUETAPE_\w+)=", (PLACE / "environment").read_text(), flags=re.M)
            self.assertEqual(len(names), 2)
            done = subprocess.run([BINARY, "config", "check", "--config", whole], capture_output=True, text=True, timeout=60,
                                  env={**os.environ, **{name: "0123456789abcdef" for name in names}})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r'control_token = "\*+"')


if __name__ == "__main__":
    unittest.main(verbosity=2)
