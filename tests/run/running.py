"""What a live run and an import of the same recording must have in common."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/app"), str(ROOT / "tests/live")]
import tt  # noqa: E402
from live import NO_PROXY, Run, Venue, ids_of, run_command, until  # noqa: E402,F401

# The venue's clock runs ahead of ours when it plays faster than it happened.
FAST = ["rule.future.tolerance=24h"]


def import_beside(scratch, file, *options):
    """A directory into which the recording was imported."""
    data = scratch / "imported"
    tt.run("import", "--data", data, *options, file)
    return data


PROVEN = {"ids", "declared", "overlap"}
WHOLE = {"complete", "quiet"}
KEY = ["instrument", "tape", "interval", "start"]
CONTENT = ["open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume", "vwap",
           "first_id", "last_id", "first_time", "last_time", "completeness"]


def closed(data):
    return {tuple(r[k] for k in KEY): r for r in tt.rows(data, "candles") if r["status"] != "open"}


def same_content(case, data, imported):
    """A live run and an import of the same recording: what semantics section 9 promises, and no more.

    Trades: the digests of every instrument, tape and day are equal. Candles: each window that both have proven has the same
    content, to the digit; and so has each that one has proven and the other holds for whole. A window that session evidence
    closed before its next id came keeps the word session, and when evidence comes is circumstance: a recording tells each
    frame's receive time, a live connection its own, with pings. The digests count such a window once the ids prove it.
    """
    live, other = tt.digest(data, "log").splitlines(), tt.digest(imported, "log").splitlines()
    case.assertEqual(live, other)
    mine, theirs = closed(data), closed(imported)
    both = proven = 0
    for key, row in mine.items():
        beside = theirs.get(key)
        if beside is None:
            case.assertNotIn(row["proof"], PROVEN, f"{key} is proven live, and no row of the import")
            continue
        proofs = {row["proof"], beside["proof"]} & PROVEN
        if proofs and {row["completeness"], beside["completeness"]} <= WHOLE:
            both += 1
            proven += len(proofs) == 1 and row["proof"] == beside["proof"]
            case.assertEqual([row[c] for c in CONTENT], [beside[c] for c in CONTENT], key)
    for key, row in theirs.items():
        if row["proof"] in PROVEN:
            case.assertIn(key, mine, "proven by the import, and no row live")
    print(f"  {both} windows compared, {proven} of them proven by the rows of both; {len(mine)} and {len(theirs)} closed", flush=True)
    tt.run("digest", "--data", data, "--compare")
    tt.run("log", "verify", "--data", data)
    return both
