"""Compares the codec with fastavro, an Avro implementation that shares nothing with it, record by record and byte by byte.

Ours to fastavro: records that codec_roundtrip encodes are read by fastavro with schemas/*.avsc and must have the values
that codec_roundtrip told beside them; written again by fastavro they must be the same bytes (but see longer()).
fastavro to ours: random records that fastavro encodes must be read by codec_roundtrip with the same values.

usage: fastavro_check.py CODEC_ROUNDTRIP SCHEMAS_DIRECTORY
"""
import decimal
import io
import json
import pathlib
import random
import subprocess
import sys

import fastavro

COUNT = 2000
IDS = {"trade": 1, "quote": 2, "candle": 3, "news": 4, "gap": 5, "late": 6, "progress": 7, "instrument": 8, "news_count": 9}
# Fields that hold sums, of up to 38 digits; other decimals have a mantissa of 63 bits.
AMOUNTS = {("candle", f) for f in ("volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume", "vwap")}
LONGEST = {("trade", "id"): 40, ("trade", "kind"): 20, ("trade", "source"): 40}
RANGES = {"era": (0, 2**32 - 1), "ordinal": (0, 2**32 - 1), "interval_seconds": (1, 86400)}
INSTRUMENTS = ["binance:BTCUSDT", "binance-usdm:TRXUSDT", "finnhub:BINANCE:BTCUSDT", "kucoin:BTC-USDT"]
decimal.getcontext().prec = 60


def run(program, *words, text=None):
    done = subprocess.run([program, *words], input=text, capture_output=True, text=True, check=True, encoding="utf-8")
    return done.stdout.split("\n")[:-1]  # not splitlines(): records hold other line ends


def plain(decimal_value):
    """As truetape writes decimals: no exponent, no trailing zeros."""
    text = format(decimal_value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def rendered(value):
    """A record of fastavro as codec_roundtrip renders it."""
    if isinstance(value, decimal.Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {k: rendered(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rendered(v) for v in value]
    assert value is None or isinstance(value, (bool, int, str)), f"fastavro gives a {type(value)}: it would lose nanoseconds"
    return value


def some(topic, field, kind, rng):
    name = field["name"]
    if isinstance(kind, list):
        return None if rng.random() < 0.4 else some(topic, field, kind[1], rng)
    if isinstance(kind, dict):
        if kind.get("logicalType") == "decimal":
            if (topic, name) in AMOUNTS:
                units = rng.randrange(10 ** rng.randint(1, 38))
                return decimal.Decimal(rng.choice((1, -1)) * units).scaleb(-18)
            mantissa = rng.randrange(1 << rng.randint(1, 63))
            return decimal.Decimal(rng.choice((1, -1)) * mantissa).scaleb(-rng.randint(0, 18))
        if kind["type"] == "enum":
            return rng.choice(kind["symbols"])
        if kind["type"] == "array":
            if isinstance(kind["items"], dict):
                return [s for s in kind["items"]["symbols"] if rng.random() < 0.5]
            return rng.choices(INSTRUMENTS, k=rng.randint(0, 4))
        kind = kind["type"]
    if kind == "long":
        low, high = RANGES.get(name, (-(2**63), 2**63 - 1))
        if name in RANGES:
            return rng.choice((low, high, rng.randint(low, high)))
        return rng.choice((low, high, 0, rng.randint(low, high) >> rng.randint(0, 63)))
    if kind == "boolean":
        return rng.random() < 0.5
    assert kind == "string", kind
    if name == "instrument":
        return rng.choice(INSTRUMENTS)
    text, longest = "", rng.randint(0, LONGEST.get((topic, name), 200))
    while True:
        piece = rng.choice(("a", "ß", "€", "😀", "\n", '"', "\\", "\t", "7", " "))
        if len((text + piece).encode()) > longest:
            return text
        text += piece


def longer(value):
    """Does fastavro spend a byte more than needed? It does for -128, -32768, …: ff80, where Java's BigInteger gives 80."""
    if not isinstance(value, decimal.Decimal) or value >= 0:
        return False
    units = -int(value.scaleb(18))
    return units & (units - 1) == 0 and units.bit_length() % 8 == 0


def frame(topic, body):
    return b"\0" + IDS[topic].to_bytes(4, "big") + body


def check(program, topic, path):
    raw = json.loads(path.read_text())
    schema = fastavro.parse_schema(raw)
    # Ours to fastavro and back to bytes.
    for n, line in enumerate(run(program, "make", topic, "20240808", str(COUNT))):
        value, told = line.split("\t", 1)
        value = bytes.fromhex(value)
        assert value[:5] == frame(topic, b""), f"{topic} {n}: frame {value[:5].hex()}"
        stream = io.BytesIO(value[5:])
        record = fastavro.schemaless_reader(stream, schema)
        assert stream.read() == b"", f"{topic} {n}: fastavro leaves bytes over"
        assert rendered(record) == json.loads(told), f"{topic} {n}:\nfastavro {rendered(record)}\nours     {told}"
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, record)
        same = out.getvalue() == value[5:] or any(longer(v) for v in record.values())
        assert same, f"{topic} {n}:\nfastavro {out.getvalue().hex()}\nours     {value[5:].hex()}"
    # fastavro to ours.
    rng = random.Random(f"{topic} 7")
    records = [{f["name"]: some(topic, f, f["type"], rng) for f in raw["fields"]} for _ in range(COUNT)]
    lines = []
    for record in records:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, record)
        lines.append(frame(topic, out.getvalue()).hex())
    answers = run(program, "read", topic, text="\n".join(lines) + "\n")
    assert len(answers) == COUNT, f"{topic}: {len(answers)} answers to {COUNT} records"
    for n, (record, answer) in enumerate(zip(records, answers)):
        assert not answer.startswith("refused"), f"{topic} {n}: {answer} {record}"
        assert json.loads(answer) == rendered(record), f"{topic} {n}:\nours     {answer}\nfastavro {rendered(record)}"
    print(f"{topic}: {COUNT} records ours → fastavro → the same bytes, {COUNT} records fastavro → ours, all equal")


def main():
    program, schemas = sys.argv[1], pathlib.Path(sys.argv[2])
    found = {path.stem for path in schemas.glob("*.avsc")}
    assert found == set(IDS), f"schemas: {sorted(found)}"
    print(f"fastavro {fastavro.__version__}")
    for topic in IDS:
        check(program, topic, schemas / f"{topic}.avsc")


main()
