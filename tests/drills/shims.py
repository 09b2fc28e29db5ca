#!/usr/bin/env python3
"""The commands of the runbook that a drill cannot have for real: there is no systemd, no journal, no other user, and the venue is on
loopback. Each does what the runbook needs of it, and says so when it is asked for more."""
import datetime
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import rig as rigs

UNITS = ("truetape", "truetape.service")


def refuse(text, code=1):
    print(text, file=sys.stderr)
    sys.exit(code)


def real(name):
    """The true program of that name: the next one in PATH."""
    own = str(RIG.root / "bin")
    for folder in os.environ.get("PATH", "").split(":"):
        if folder and os.path.realpath(folder) != os.path.realpath(own) and os.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    refuse(f"{name}: command not found", 127)


def when(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


# ---- systemctl

def status_of_unit():
    told = RIG.unit("status")
    words = {"active": "active (running)", "activating": "activating (auto-restart) (Result: " + told["result"] + ")" if told["waits"] else "activating (start)",
             "failed": "failed (Result: " + told["result"] + ")", "inactive": "inactive (dead)"}[told["state"]]
    ago = int(time.time() - told["since"])
    print(f"● truetape.service - truetape: every trade once, every gap known\n     Loaded: loaded ({RIG.root}/etc/systemd/system/truetape.service; enabled; preset: enabled)")
    for file in sorted((RIG.root / "etc/systemd/system/truetape.service.d").glob("*.conf")):
        print(f"    Drop-In: {file}")
    print(f"     Active: {words} since {when(told['since']):%a %Y-%m-%d %H:%M:%S} UTC; {ago // 60}min {ago % 60}s ago")
    if told["pid"]:
        print(f"   Main PID: {told['pid']} (truetape)")
        limit = f" (max: {told['memory_max'] / 2**20:.1f}M)" if told["memory_max"] else ""
        print(f"     Memory: {told['memory'] / 2**20:.1f}M{limit}")
    elif told["last"] is not None:
        print(f"    Process: ExecStart=/usr/local/bin/truetape run --config /etc/truetape/truetape.toml ({'status=' + str(told['last']) if told['last'] >= 0 else 'signal=' + str(-told['last'])})")
    print()
    show_journal(entries()[-10:])
    sys.exit(0 if told["state"] == "active" else 3)


def show_property(names):
    told = RIG.unit("status")
    values = {"MainPID": told["pid"], "MemoryMax": told["memory_max"] or "infinity", "NRestarts": told["restarts"], "ActiveState": told["state"],
              "MemoryCurrent": told["memory"], "Result": told["result"], "User": "truetape", "ExecMainStatus": told["last"] or 0,
              "SubState": {"active": "running", "activating": "auto-restart", "failed": "failed", "inactive": "dead"}[told["state"]],
              "ActiveEnterTimestamp": f"{when(told['since']):%a %Y-%m-%d %H:%M:%S} UTC", "StateDirectory": "truetape"}
    for name in names or values:
        print(values.get(name, "") if names else f"{name}={values[name]}")


def edit(options):
    file = RIG.root / "etc/systemd/system/truetape.service.d/override.conf"
    if "--stdin" in options:
        file.write_text(sys.stdin.read())
    elif "EDITOR" in os.environ or "SYSTEMD_EDITOR" in os.environ:
        file.touch()
        subprocess.run(f"{os.environ.get('SYSTEMD_EDITOR', os.environ.get('EDITOR'))} '{file}'", shell=True, check=True)
    else:
        refuse(f"Here is no editor (set EDITOR): write the text into {file} yourself, or give it to `systemctl edit --stdin truetape`; then go on as after an edit.")
    print(f"Successfully installed edited file '{file}'.")


def systemctl(arguments):
    options = [a for a in arguments if a.startswith("-") and a not in ("-P", "-p")]
    words, properties, take = [], [], False
    for a in arguments:
        if take:
            properties += a.split(",")
            take = False
        elif a in ("-P", "-p"):
            take = True
        elif a.startswith("--property="):
            properties += a.split("=", 1)[1].split(",")
        elif not a.startswith("-"):
            words.append(a)
    verb, units = (words[0] if words else "status"), words[1:]
    if verb == "daemon-reload":
        return
    others = [u for u in units if u not in UNITS]
    if verb in ("enable", "start", "restart") and any("timesync" in u or "chrony" in u for u in others):
        (RIG.own / "time_service").write_text(str(time.time()))
        return
    if others or not units:
        refuse(f"systemctl {verb}: this drill has the unit truetape alone (and systemd-timesyncd). Programs of others run as plain processes: find them with ps, end them with kill.", 5)
    if verb in ("enable", "disable"):
        if "--now" not in options:
            return
        verb = {"enable": "start", "disable": "stop"}[verb]
    if verb == "status":
        status_of_unit()
    elif verb == "show":
        show_property(properties)
    elif verb in ("is-active", "is-failed"):
        state = RIG.unit("status")["state"]
        print(state)
        sys.exit(0 if state == {"is-active": "active", "is-failed": "failed"}[verb] else 3)
    elif verb in ("start", "stop", "restart", "try-restart"):
        if not RIG.unit(verb.removeprefix("try-"))["ok"]:
            refuse("Job for truetape.service failed because the control process exited with error code.\n"
                   "See \"systemctl status truetape.service\" and \"journalctl -xeu truetape.service\" for details.")
    elif verb == "kill":
        pid = RIG.unit("status")["pid"]
        number = next((o.split("=", 1)[1] for o in options if o.startswith("--signal=")), "TERM")
        if pid:
            subprocess.run([real("kill"), "-s", number.removeprefix("SIG"), str(pid)], check=False)
    elif verb == "edit":
        edit(options)
    elif verb == "cat":
        print((rigs.ROOT / "deploy/systemd/truetape.service").read_text())
        for file in sorted((RIG.root / "etc/systemd/system/truetape.service.d").glob("*.conf")):
            print(f"# {file}\n{file.read_text()}")
    elif verb == "reset-failed":
        return
    else:
        refuse(f"systemctl {verb}: not in this drill.", 1)


# ---- journalctl, dmesg

def entries(file="journal"):
    place = RIG.own / file
    found = []
    for line in place.read_text(errors="replace").splitlines() if place.exists() else ():
        seconds, ident, text = line.split("\t", 2)
        found.append((float(seconds), ident, text))
    return found


def show_journal(found, bare=False):
    for seconds, ident, text in found:
        print(text if bare else f"{when(seconds):%b %d %H:%M:%S} {os.uname().nodename} {ident}: {text}")


def time_of(text):
    """What --since and --until take of the many ways."""
    spans = {"s": 1, "sec": 1, "second": 1, "min": 60, "m": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400}
    found = re.fullmatch(r"-?\s*(\d+)\s*([a-z]+?)s?(?: ago)?", text)
    if found and (found[2] in spans or found[2] + "s" in spans):
        return time.time() - int(found[1]) * spans[found[2]]
    if text in ("today", "yesterday"):
        return time.time() // 86400 * 86400 - (86400 if text == "yesterday" else 0)
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d", "%H:%M:%S", "%H:%M"):
        try:
            at = datetime.datetime.strptime(text.removesuffix("Z").removesuffix(" UTC"), form).replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            continue
        if "%Y" not in form:
            today = when(time.time())
            at = at.replace(year=today.year, month=today.month, day=today.day)
        return at.timestamp()
    refuse(f"Failed to parse timestamp: {text}")


def journalctl(arguments):
    kernel, count, since, until, bare, backwards, follow, needle = False, None, 0, None, False, False, False, None
    left = list(arguments)
    while left:
        a = left.pop(0)
        name, equal, value = a.partition("=")
        if name.startswith("-") and not name.startswith("--") and len(name) > 2 and name[1] in "nuSUog":  # -n50
            name, equal, value = name[:2], "=", name[2:]
        take = lambda: value if equal else left.pop(0) if left else ""
        if name in ("-n", "--lines"):
            text = take()
            count = None if text == "all" else int(text)
        elif name in ("-u", "--unit"):
            if take() not in UNITS:
                print("-- No entries --")
                return
        elif name in ("-S", "--since"):
            since = time_of(take())
        elif name in ("-U", "--until"):
            until = time_of(take())
        elif name in ("-o", "--output"):
            bare = take() == "cat"
        elif name in ("-g", "--grep"):
            needle = re.compile(take(), re.I)
        elif name in ("-p", "--priority", "-t", "--identifier", "-b", "--boot"):
            if name not in ("-b", "--boot"):
                take()
        elif name in ("-k", "--dmesg"):
            kernel = True
        elif name in ("--vacuum-size", "--vacuum-time"):
            take()
            freed = sum(f.stat().st_size for f in RIG.root.glob("disk*/journal-archive/*"))
            for file in RIG.root.glob("disk*/journal-archive/*"):
                file.unlink()
            print(f"Vacuuming done, freed {freed / 2**20:.1f}M of archived journals.")
            return
        elif name == "--disk-usage":
            used = sum(f.stat().st_size for f in RIG.root.glob("disk*/journal-archive/*"))
            print(f"Archived and active journals take up {used / 2**20:.1f}M in the file system.")
            return
        elif set(name.lstrip("-")) <= set("xefrq") and name.startswith("-") and not name.startswith("--"):
            backwards, follow = "r" in name, "f" in name
            count = count or (1000 if "e" in name else 10 if "f" in name else None)
    found = [e for e in entries("kernel" if kernel else "journal") if e[0] >= since and (until is None or e[0] < until) and (needle is None or needle.search(e[2]))]
    found = found[-count:] if count is not None else found
    if not found:
        print("-- No entries --")
    show_journal(found[::-1] if backwards else found, bare)
    if follow:
        print("(-f is not in this drill: ask again)", file=sys.stderr)


def dmesg(arguments):
    print("[    0.000000] Linux version 6.1.0-23-amd64 (debian-kernel@lists.debian.org)")
    for seconds, _, text in entries("kernel"):
        print(f"[{seconds % 1e6:13.6f}] {text}")


# ---- others

def synchronized():
    return not RIG.fact("clock_off") or (RIG.own / "time_service").exists()


def timedatectl(arguments):
    good, now = synchronized(), time.time()
    print(f"               Local time: {when(now):%a %Y-%m-%d %H:%M:%S} UTC\n           Universal time: {when(now):%a %Y-%m-%d %H:%M:%S} UTC\n"
          f"                 RTC time: {when(now):%a %Y-%m-%d %H:%M:%S}\n                Time zone: Etc/UTC (UTC, +0000)\n"
          f"System clock synchronized: {'yes' if good else 'no'}\n              NTP service: {'active' if good else 'inactive'}\n          RTC in local TZ: no")


def chronyc(arguments):
    refuse("506 Cannot talk to daemon")


def sudo(arguments):
    left = list(arguments)
    while left and left[0].startswith("-"):
        option = left.pop(0)
        if option in ("-u", "-g", "-U", "-h"):
            left.pop(0)
        if option == "--":
            break
    if left:
        os.execvp(left[0], left)


def chown(arguments):
    """There is no user truetape: all of the drill is yours."""
    if any(a.split(":")[0] == "truetape" for a in arguments):
        sys.exit(0)
    os.execv(real("chown"), ["chown", *arguments])


def day_file(url):
    """The venue's file of a day, as far as the day has come: made of what the venue's REST gives."""
    found = re.search(r"/trades/([A-Z0-9]+)/\1-trades-(\d{4}-\d\d-\d\d)\.zip", url)
    if not found:
        return None
    import venue_file
    return venue_file.make(RIG, found[1], found[2], "binance-usdm" if "/futures/um/" in url else "binance")


def curl(arguments):
    """The venue's own addresses stand for the simulator's and for its files; all else is plain curl."""
    hosts = {"https://api.binance.com": "binance", "https://fapi.binance.com": "binance-usdm"}
    out = []
    for a in arguments:
        for host, venue in hosts.items():
            if a.startswith(host):
                told = RIG.state.get("venues", {}).get(venue)
                a = (told["rest"] if told else "http://127.0.0.1:9") + a[len(host):]
        if a.startswith("https://data.binance.vision/"):
            made = day_file(a)
            a = f"file://{made}" if made else "http://127.0.0.1:9/"
        out.append(a)
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1"
    os.execv(real("curl"), ["curl", *out])


def iostat(arguments):
    """As `iostat -x`: of the drill's disk. The wait is that of a write of 4 KiB which is tried now, in the same share of the disk."""
    numbers = [int(a) for a in arguments if a.isdigit()]
    pause, rounds = (numbers + [1, 1])[0], (numbers + [1, 1])[1]
    print(f"Linux 6.1.0 ({os.uname().nodename}) \t{when(time.time()):%m/%d/%Y} \t_x86_64_\t({os.cpu_count()} CPU)\n")
    try:
        for group in RIG.fact("disk_cgroups", []):
            (pathlib.Path(group) / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        pass
    place = RIG.data.parent / ".iostat"
    for number in range(rounds):
        worst, file = [], os.open(place, os.O_CREAT | os.O_RDWR)
        for i in range(3):
            began = time.monotonic()
            os.pwrite(file, os.urandom(4096), 0)
            os.fdatasync(file)
            worst.append((time.monotonic() - began) * 1000)
        os.close(file)
        wait = sum(worst) / len(worst)
        print(f"Device            w/s     wkB/s   w_await  aqu-sz  %util\n{'sdb':<12}{1000 / max(wait, 1):>10.2f}{4000 / max(wait, 1):>10.2f}{wait:>10.2f}{min(wait / 20, 40):>8.2f}{min(100, wait * 2):>7.2f}\n")
        if number + 1 < rounds:
            time.sleep(pause)
    place.unlink()


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `systemctl status | head`
    RIG = rigs.Rig(sys.argv[2])
    {"systemctl": systemctl, "journalctl": journalctl, "timedatectl": timedatectl, "chronyc": chronyc, "dmesg": dmesg, "sudo": sudo, "chown": chown, "curl": curl,
     "iostat": iostat}[sys.argv[1]](sys.argv[3:])
