"""The part `tickers` of bench/live/measure.py: all symbols of a venue by `binance:*`, and nothing but prices, 20,000 updates a second.

The simulator generates best prices and 24 h tickers of 3,000 symbols; the trades that it makes them of are withheld by a fault. Before a
number is given: each price that the simulator sent is a record of the topic `quotes`, and the live row of each symbol is the venue's
last."""
import json
import statistics
import time

from live.measure import Run, Sim, Used, ask, fail, load_average, resident, shares

SYMBOLS, UPDATES = 3000, 20_000
FILLS = 1.6  # trades of an order of the simulator's, which has one best price


def prices(listing):
    return {row["symbol"]: tuple(float(row[k]) for k in ("bidPrice", "bidQty", "askPrice", "askQty")) for row in listing}


def live_rows(run):
    rows = json.loads(run.get("/api/v1/quotes"))["rows"]
    return {r["instrument"].split(":", 1)[1]: tuple(float(r[k]) for k in ("bid", "bid_quantity", "ask", "ask_quantity")) for r in rows if r["kind"] == "best"}


def stored(live, data):
    """Records of the topic quotes; rows of the store's table of the last prices by instrument, None if it has no such table."""
    lines = live.tool("log", "stats", "--data", data, "--format", "json").splitlines()
    records = next(json.loads(line)["records"] for line in lines if json.loads(line)["part"] == "quotes")
    return records, live.rows_of(data, "SELECT count(DISTINCT instrument_id) FROM quotes")


def one(live, symbols, updates, seconds):
    """One repetition; `updates` are asked for, what came is told."""
    tickers = min(symbols, updates // 2)  # one a second of each symbol that changed
    told = live.scratch / "tickers.json"
    with Sim(live, "--symbols", symbols, "--rate", (updates - tickers) * FILLS, "--seed", 7, "--shift", "now", "--length", f"{seconds + 45}s", "--linger", "forever",
                  "--keep", 1000, "--truth", told, "--fault", "silence,streams=*@trade,at=0s,for=100h") as sim:
        data = live.data("tickers")
        with Run(live, sim, ["binance:*"], data, ["backfill.enabled=no"]) as run:
            def came():
                return run.metric("truetape_items_total", 'outcome="not_a_trade"')

            began = time.monotonic()
            while run.metric("truetape_ingest_streams_confirmed") < 3 * symbols:
                run.alive()
                time.sleep(0.5)
                if time.monotonic() - began > 60:
                    fail(f"only {run.metric('truetape_ingest_streams_confirmed'):.0f} of {3 * symbols} streams are confirmed after a minute")
            time.sleep(5)
            used = Used(run=run, sim=sim)
            before, at = came(), time.monotonic()
            time.sleep(seconds)
            came_rate = (came() - before) / (time.monotonic() - at)
            spent = used.end()
            behind = {role: run.metric("truetape_role_behind_records", f'role="{role}"') for role in ("process", "load", "serve")}
            memory = resident(run.pid)
            venue = None
            while venue != (venue := prices(ask(sim.rest + "/api/v3/ticker/bookTicker"))):  # until the tape has ended
                run.alive()
                time.sleep(3)
            began = time.monotonic()
            while venue != (shown := live_rows(run)):
                time.sleep(0.5)
                if time.monotonic() - began > 60:
                    differ = [s for s, found in venue.items() if shown.get(s) != found]
                    fail(f"of {len(venue)} symbols {len(differ)} have another live row than the venue's last best price, {differ[:3]} among them")
            failures = run.metric("truetape_ingest_failures_total") + run.metric("truetape_ingest_waits_for_room_total")
            sim.stop()
        if failures:
            fail(f"{failures:.0f} connections failed, or waited for room")
        streams = [s for c in json.loads(told.read_text())["connections"] for s in c["streams"]]
        sent = sum(s["messages"] for s in streams if not s["stream"].endswith("@trade"))
        records, rows = stored(live, data)
        if records != sent:
            fail(f"{sent} updates were sent, {records} are in the topic quotes")
    return {"rate": came_rate, "cores": sum(spent["run"].values()), "used": spent, "behind": behind, "memory": memory, "sent": sent, "symbols": len(shown), "rows": rows}


def measure(live):
    symbols, updates, seconds = (300, 2_000, 15) if live.bench.args.quick else (SYMBOLS, UPDATES, 60)
    found, loads = [], []
    for _ in live.bench.repeated():
        loads.append(load_average())
        found.append(one(live, symbols, updates, seconds))
    last, came = found[-1], min(f["rate"] for f in found)
    full = came >= 0.95 * updates  # else the machine was too busy for the load itself, and nothing is judged
    note = (("" if full else f"**only {came:.0f} updates/s came**; ") + f"{came:.0f} updates/s over {seconds} s; {last['sent']} sent, all of them in the log, and each symbol's live row is the venue's last; "
            f"{shares(last['used']['run'])}; simulator {sum(last['used']['sim'].values()):.2f}; RssAnon {last['memory']:.0f} MB; behind: {', '.join(f'{k} {v:.0f}' for k, v in last['behind'].items())} records")
    cores = [f["cores"] for f in found]
    live.run.add(f"CPU of run, prices of {symbols} symbols by binance:*, {updates / 1000:g} k updates/s", cores, "cores", "≤ 0.5", note, loads,
                 statistics.median(cores) <= 0.5 if full else None)
    live.run.add(f"live rows of {symbols} symbols, served", [last["symbols"]], "rows", f"{symbols}", "", loads, last["symbols"] == symbols)
    live.run.add(f"live rows of {symbols} symbols, in the store", [last["rows"] or 0], "rows", f"{symbols}", "" if last["rows"] is not None else "the store has no table of last prices", loads,
                 last["rows"] == symbols)
