"""Drills: the disk, and the log on it."""
import os
import subprocess
import time

from kinds import Drill
from rig import BINARY, ROOT, NotPossible

LTC = ROOT / "examples/captures/binance-spot-ltcusdt-aggtrades-20250621.csv.zst"
COLUMNS = "time=timestamp,price=price,quantity=quantity,side=side,id=tradeId"
MB = 1_000_000


def bring(rig, times):
    """Imports the same file beside the running process: 14 MB of log the first time, 2 MB of raw each time after; ends an import that
    waits for room. True: it waited."""
    for _ in range(times):
        process = rig.spawn("history", BINARY, "import", "--data", rig.data, "--instrument", "binance:LTCUSDT", "--tape", "agg", "--columns", COLUMNS, LTC)
        end = time.monotonic() + 60
        while process.poll() is None:
            time.sleep(0.2)
            waits = (rig.metric("truetape_log_used_bytes") or 0) >= (rig.metric("truetape_log_limit_bytes", limit="hard") or 1e18) - 64 * 1024
            if waits or time.monotonic() > end:
                time.sleep(2)
                process.kill()
                process.wait()
                return True
    return False


def forgotten_reader(rig):
    """A reader of raw that registered once and never came back."""
    program = os.environ.get("TRUETAPE_REGISTER") or BINARY.parent / "register_reader"
    if not os.path.exists(program):
        raise NotPossible("no register_reader: build it (cmake --build build/dev --target register_reader) or name it in TRUETAPE_REGISTER")
    rig.unit("stop")
    subprocess.run([program, rig.data / "log", "research:backtest-2025"], check=True)
    rig.unit("start")
    rig.wait("ready", lambda: rig.status("/health/ready") == 200, 60)


def held(rig, reader="research:backtest-2025"):
    return rig.metric("truetape_log_held_bytes", reader=reader) or 0


class DiskFull(Drill):
    name, alert, line = "disk-full", "TruetapeDiskFull", "a program of others writes its log until the disk is full"

    def stage(self, rig):
        place = rig.disk(1200, "ext4")
        for folder in ("app", "backup-jobs", "journal-archive"):
            (place / folder).mkdir()
        subprocess.run(["fallocate", "-l", "150M", place / "backup-jobs/customers.dump"], check=True)
        subprocess.run(["fallocate", "-l", "90M", place / "journal-archive/system@0001.journal"], check=True)
        rig.begin()
        rig.colleague("billing-app", "fills", place / "app/debug.log")
        rig.wait("the disk is full", lambda: os.statvfs(place).f_bavail == 0, 60)

    def holds(self, rig):
        free = rig.metric("truetape_disk_free_bytes")
        return max(free, 1) if free is not None and free < 256 << 20 else False

    def over(self, rig):
        bad = super().over(rig)
        if not (rig.root / "disk/backup-jobs/customers.dump").exists():
            bad.append("the customers' dump was deleted, which the page says must stay")
        return bad

    def story(self, rig):
        return (f"The disk is {rig.root}/disk. On it: truetape; app/, where billing-app (opt/billing-app.py, a plain process, may be ended) writes its debug log,\n"
                "which nobody needs; backup-jobs/, whose dump must stay; journal-archive/, the system's old journals.")


class DiskFilling(Drill):
    name, alert, line = "disk-filling", "TruetapeDiskFilling", "the log was allowed more than the disk has"
    keep = ("binance:BTCUSDT", "binance:ETHUSDT")

    def stage(self, rig):
        place = rig.disk(124)
        (place / "photos").mkdir()
        subprocess.run(["fallocate", "-l", "76M", place / "photos/2025.tar"], check=True)
        rig.begin(log__size="24MB")
        bring(rig, 5)
        rig.wait("all is stored", lambda: rig.metric("truetape_role_behind_records", role="load") == 0, 60)
        rig.unit("restart")
        rig.wait("ready", lambda: rig.status("/health/ready") == 200, 60)
        time.sleep(5)
        with open(place / "photos/2026.tar", "wb") as file:
            free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
            os.posix_fallocate(file.fileno(), 0, max(4096, free - 11_500_000))
        time.sleep(1)
        rig.note()

    def holds(self, rig):
        free, size = rig.metric("truetape_disk_free_bytes"), rig.metric("truetape_disk_size_bytes")
        return free if size and free < 0.1 * size else False

    def over(self, rig):
        return super().over(rig) + ([] if (rig.root / "disk/photos/2026.tar").exists() else ["photos were deleted"])

    def story(self, rig):
        return (f"The disk is {rig.root}/disk: 124 MB here, in place of as many GB, so read MB for GB. photos/ must stay. There is no larger disk.\n"
                "For the same reason TruetapeDiskFull (256 MiB) would fire here too; pass over it. What was received before today need not stay in the log, if the store has it.")


class ReaderHolds(Drill):
    name, alert, line = "reader-holds-log", "TruetapeReaderHoldsLog", "a reader that never comes back keeps half of the log"
    size, times = "16MB", 4

    def labels(self, rig):
        return {"reader": "research:backtest-2025"}

    def stage(self, rig):
        rig.begin(log__size=self.size)
        forgotten_reader(rig)
        bring(rig, self.times)
        rig.note()

    def holds(self, rig):
        size = rig.metric("truetape_log_limit_bytes", limit="size")
        return held(rig) if size and held(rig) > 0.5 * size else False

    def over(self, rig):
        bad = super().over(rig)
        listed = rig.tool("readers", "ls", "--data", rig.data).stdout
        return bad + (["the store's own reader was forgotten"] if "load:sqlite" not in listed else [])

    def story(self, rig):
        return "The research team ran backtests against this log last year; the project is over."


class NearLimit(ReaderHolds):
    name, alert, line = "log-near-limit", "TruetapeLogNearLimit", "the same, and the log has used half of its reserve"

    def labels(self, rig):
        return {}

    def stage(self, rig):
        rig.begin(log__size="24MB")
        forgotten_reader(rig)
        for times in range(20):
            bring(rig, 1)
            time.sleep(3 if times > 7 else 0)  # what is used is told every few seconds
            if self.holds(rig):
                break
        rig.note()

    def holds(self, rig):
        used, limits = rig.metric("truetape_log_used_bytes"), rig.metric("truetape_log_limit_bytes")
        return used if used and used > 0.5 * limits else False


class LogFull(NearLimit):
    name, alert, line = "log-full-reader", "TruetapeLogFull", "a reader that never comes back has filled the log"

    def stage(self, rig):
        rig.begin(log__size="8MB")
        forgotten_reader(rig)
        rig.note()
        if not bring(rig, 20):
            raise RuntimeError("the log did not fill")

    def holds(self, rig):
        used, hard = rig.metric("truetape_log_used_bytes"), rig.metric("truetape_log_limit_bytes", limit="hard")
        return used if used and used >= hard * 0.97 and rig.status("/health/ready") == 503 else False


class LogFullStore(LogFull):
    name, line = "log-full-store", "the store is locked by another program, and the log has become full behind it"

    def stage(self, rig):
        rig.begin(log__size="8MB")
        rig.colleague("annual-audit", "long_transaction", rig.data / "store.db")
        time.sleep(2)
        if not bring(rig, 20):
            raise RuntimeError("the log did not fill")

    def over(self, rig):
        return super().over(rig) + (["the store is still locked"] if rig.runs("annual-audit") else [])

    def story(self, rig):
        return "Programs of other teams on this machine lie in opt/; they may be ended."


class SlowDisk(Drill):
    name, alert, line = "commits-slow", "TruetapeCommitsSlow", "another program writes to the same disk without end"

    def stage(self, rig):
        place = rig.disk(300, "ext4")
        device = subprocess.run(["findmnt", "-no", "SOURCE", place], capture_output=True, text=True, check=True).stdout.strip()
        number = os.stat(device).st_rdev
        group = rig.share("blkio", **{"blkio__throttle__write_iops_device": f"{os.major(number)}:{os.minor(number)} 300"})
        rig.remember(unit_cgroups=[str(group)], disk_cgroups=[str(group)])
        rig.begin()
        (place / "video").mkdir()
        rig.colleague("video-archiver", "writes_much", place / "video/upload", 24, cgroups=[group])

    def holds(self, rig):
        before = rig.buckets("truetape_log_commit_seconds")
        time.sleep(8)
        slow = rig.slow("truetape_log_commit_seconds", before)
        return slow if slow and slow > 0.1 else False

    def over(self, rig):
        return ["commits still take more than 0.1 s"] if self.holds(rig) else []

    def story(self, rig):
        return f"The disk is {rig.root}/disk, shared with others, whose programs lie in opt/ (may be ended if they are in the way). iostat shows it as sdb."
