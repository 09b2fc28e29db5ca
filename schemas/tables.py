#!/usr/bin/env python3
"""Writes the tables of fields in docs/records.md from schemas/*.avsc, between the lines <!-- fields NAME --> and <!-- end -->.
usage: schemas/tables.py [--check]        (--check: only say, by exit code 1, whether the tables are stale)"""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOC = ROOT / "docs" / "records.md"



def shown(kind):
    if isinstance(kind, list):
        return shown(kind[1]) + " or null"
    if isinstance(kind, str):
        return kind
    if kind.get("logicalType") == "decimal":
        return f"decimal({kind['precision']},{kind['scale']})"
    if kind.get("logicalType") == "timestamp-nanos":
        return "time (ns)"
    if kind["type"] == "enum":
        return " \\| ".join(f"`{s}`" for s in kind["symbols"])
    if kind["type"] == "array":
        return "list of " + shown(kind["items"])
    return kind["type"]


def enum_doc(kind):
    if isinstance(kind, dict) and kind.get("type") == "array":
        kind = kind["items"]
    return " " + kind["doc"] if isinstance(kind, dict) and kind.get("type") == "enum" else ""


def table(name):
    schema = json.loads((ROOT / "schemas" / f"{name}.avsc").read_text())
    lines = [f"<!-- fields {name} -->", "| field | type | meaning |", "|---|---|---|"]
    for field in schema["fields"]:
        assert field["doc"], f"{name}.{field['name']} has no doc"
        lines.append(f"| `{field['name']}` | {shown(field['type'])} | {field['doc']}{enum_doc(field['type'])} |")
    return "\n".join(lines + ["<!-- end -->"])


def main():
    before = DOC.read_text()
    after = re.sub(r"<!-- fields (\w+) -->.*?<!-- end -->", lambda m: table(m[1]), before, flags=re.S)
    missing = {p.stem for p in (ROOT / "schemas").glob("*.avsc")} - set(re.findall(r"<!-- fields (\w+) -->", before))
    if missing:
        sys.exit(f"docs/records.md has no table of {', '.join(sorted(missing))}: add a line <!-- fields NAME --> and one <!-- end -->")
    if "--check" in sys.argv:
        if before != after:
            sys.exit("docs/records.md is stale: run schemas/tables.py and commit what it writes")
        return
    DOC.write_text(after)


main()
