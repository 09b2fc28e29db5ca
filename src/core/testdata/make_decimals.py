"""Makes decimals.csv: sums of price * quantity and their average price, computed by Python's decimal.
usage: python3 make_decimals.py > decimals.csv
Each line: price*quantity pairs joined by "+", volume, sum rounded half-even to 18 decimals, sum / volume likewise."""
import decimal
import random

decimal.getcontext().prec = 120
UNIT = decimal.Decimal(1).scaleb(-18)
rng = random.Random(20240808)


def text(value):
    out = format(value, "f")
    out = out.rstrip("0").rstrip(".") if "." in out else out
    return out or "0"


def round18(value):
    return value.quantize(UNIT, rounding=decimal.ROUND_HALF_EVEN)


def line(pairs):
    total = sum((p * q for p, q in pairs), decimal.Decimal(0))
    volume = sum((q for _, q in pairs), decimal.Decimal(0))
    if round18(total) >= 10**20 - 1 or volume >= 10**20:
        return
    average = round18(total / volume) if volume else ""
    if average != "" and average >= 10**20:
        return
    print("+".join(f"{text(p)}*{text(q)}" for p, q in pairs), text(volume), text(round18(total)), text(average) if average != "" else "", sep=",")


D = decimal.Decimal
# Ties: exactly half a unit of 10^-18, to the even side both ways.
for whole in (0, 1, 2, 3):
    line([(D("1e-10"), D("5e-9")), (D(whole), D("1e-18"))] if whole else [(D("1e-10"), D("5e-9"))])
line([(D("1e-10"), D("5e-9")), (D("1e-18"), D("1e-18"))])  # a hair above the tie
line([(D("1e-18"), D("1e-18"))])
line([(D("0.999999999999999999"), D("0.999999999999999999"))])
line([(D("9223372036.854775807"), D("9223372036.854775807"))])
line([(D("9.223372036854775807"), D("9.223372036854775807"))] * 3)
line([(D("61837.64"), D("0.00042")), (D("61837.65"), D("0.1")), (D("61830"), D("12.5"))])
for _ in range(400):
    pairs = []
    for _ in range(rng.randint(1, 12)):
        p = D(rng.randrange(1, 1 << rng.randint(1, 63))).scaleb(-rng.randint(0, 18))
        q = D(rng.randrange(1, 1 << rng.randint(1, 63))).scaleb(-rng.randint(0, 18))
        pairs.append((p, q))
    line(pairs)
