"""1-minute bars by DuckDB's SQL. usage: duckdb_bars.py TRADES.csv BARS.jsonl THREADS
Prints the seconds of the query on a table in memory, and of the query on the file; and the CPU time of all threads of each."""
import json
import sys
import time

import duckdb

trades, bars, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = duckdb.connect(config={"threads": threads})
columns = ("{'receive_ms': 'BIGINT', 'id': 'BIGINT', 'price': 'DECIMAL(18,8)', 'quantity': 'DECIMAL(18,8)', 'time_ms': 'BIGINT', "
           "'buyer_is_maker': 'BOOLEAN'}")
source = f"read_csv('{trades}', header = true, columns = {columns})"


def query(table):
    start, cpu = time.perf_counter(), time.process_time()
    rows = db.execute(f"""
        SELECT time_ms // 60000 * 60000 AS start, arg_min(price, id), max(price), min(price), arg_max(price, id), sum(quantity), count(*)
        FROM {table} GROUP BY 1 ORDER BY 1""").fetchall()
    return rows, time.perf_counter() - start, time.process_time() - cpu


rows, from_file, cpu_from_file = query(source)
db.execute(f"CREATE TABLE trades AS SELECT * FROM {source}")
again, from_memory, cpu_from_memory = query("trades")
assert rows == again
with open(bars, "w") as out:
    for start, o, h, l, c, volume, count in rows:
        out.write(json.dumps({"start": start, "open": str(o), "high": str(h), "low": str(l), "close": str(c), "volume": str(volume), "trades": count}) + "\n")
print(json.dumps({"seconds": from_memory, "seconds_from_file": from_file, "cpu_seconds": cpu_from_memory, "cpu_seconds_from_file": cpu_from_file}))
