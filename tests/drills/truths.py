"""What every drill's end is judged by: truetape works, as a service, and nothing was thrown away on the way there."""
import contextlib
import sqlite3
import time


def rows(rig, sql, *values):
    with contextlib.closing(sqlite3.connect(f"file:{rig.data}/store.db?mode=ro", uri=True, timeout=5)) as store:
        return store.execute(sql, values).fetchall()


def ids(rig):
    """Of each instrument the ids that the store has."""
    found = {}
    for instrument, order in rows(rig, "SELECT i.instrument, t.trade_order FROM trades t JOIN instruments i ON i.id = t.instrument_id"):
        found.setdefault(instrument, set()).add(order)
    return found


def log_id(rig):
    told = rows(rig, "SELECT value FROM meta WHERE name = 'log_id'")
    return told[0][0] if told else None


def treasures(rig):
    """What was there when the fault began."""
    return {"ids": {name: sorted(has) for name, has in ids(rig).items()}, "log_id": log_id(rig)}


def is_well(rig, flow=("binance",)):
    """It is up, ready, kept by the unit; trades come."""
    told = rig.unit("status")
    if told["state"] != "active":
        return [f"the unit truetape is {told['state']}, not active"]
    bad = []
    for _ in range(100):  # just after a start it reads the recent past
        status, text = rig.get("/health/ready")
        if status == 200:
            break
        time.sleep(0.2)
    else:
        return [f"/health/ready answers {status or 'nothing'}: {text[:300]}"]
    if rig.metric("truetape_up") != 1:
        bad.append("truetape_up is not 1")
    pipeline = rig.pipeline()
    if not pipeline or pipeline["state"] != "started":
        bad.append(f"ingest is {pipeline['state'] if pipeline else 'unknown'}, not started")
    before = {venue: rig.metric("truetape_items_total", venue=venue, outcome="accepted") or 0 for venue in flow}
    for _ in range(100):
        now = {venue: rig.metric("truetape_items_total", venue=venue, outcome="accepted") or 0 for venue in flow}
        if all(now[v] > before[v] for v in flow):
            break
        time.sleep(0.2)
    else:
        bad += [f"no trade of {v} was accepted within 20 s" for v in flow if now[v] <= before[v]]
    return bad


def is_wanted(rig, instruments):
    pipeline = rig.pipeline()
    wanted = set(pipeline["wanted"]) if pipeline else set()
    wanted = {w["instrument"] if isinstance(w, dict) else w for w in wanted}
    return [f"{name} is not wanted" for name in instruments if name not in wanted]


def nothing_lost(rig, same_log=True, but=()):
    """What the store had at the beginning it has now; `but`: instruments that may go."""
    bad, now = [], ids(rig)
    for name, had in rig.fact("ids", {}).items():
        gone = set(had) - now.get(name, set())
        if gone and name not in but:
            bad.append(f"{len(gone)} trades of {name} that were in the store are not there any more ({min(gone)} to {max(gone)})")
    if same_log and log_id(rig) != rig.fact("log_id"):
        bad.append(f"the data directory is another one: log {log_id(rig)}, it was {rig.fact('log_id')}")
    return bad


def gaps_named(rig):
    """Each id that lacks between two that are there lies in a gap."""
    def look():
        holes = {}
        for name, has in ids(rig).items():
            order = sorted(has)
            for a, b in zip(order, order[1:]):
                if b != a + 1:
                    holes.setdefault(name, []).append((a + 1, b - 1))
        named = {}
        for name, first, last in rows(rig, "SELECT i.instrument, g.first_id, g.last_id FROM gaps g JOIN instruments i ON i.id = g.instrument_id"):
            named.setdefault(name, []).append((first, last))
        return [f"ids {a} to {b} of {name} lack and no gap names them" for name, found in holes.items() for a, b in found
                if not any(f <= a and (l is None or b <= l) for f, l in named.get(name, []))]
    for _ in range(20):
        if not (bad := look()):
            return []
        time.sleep(0.5)
    return bad[:5]


def audited(rig):
    for attempt in range(3):
        done = rig.tool("audit", "--data", rig.data)
        if done.returncode == 0:
            return []
        time.sleep(2)
    return [f"truetape audit answers {done.returncode}: {(done.stdout + done.stderr).strip()[-400:]}"]


def all_of(rig, keep, flow=("binance",), same_log=True, audit=True, but=()):
    bad = is_well(rig, flow)
    if bad and any(word in bad[0] for word in ("unit", "ready")):
        return bad
    bad += is_wanted(rig, keep)
    try:
        bad += nothing_lost(rig, same_log, but) + gaps_named(rig)
    except sqlite3.Error as error:
        bad.append(f"the store cannot be read: {error}")
    return bad + (audited(rig) if audit else [])
