#!/usr/bin/env python3
"""Renews the parts of docs/*.md and README.md that the program itself can tell, or checks that they are not stale.

A generated part stands between the lines `<!-- generated: NAME -->` and `<!-- end of NAME -->`. Names:
  help COMMAND...   what `truetape COMMAND... --help` prints, as a code block ("help" alone: `truetape --help`)
  settings          the table of all settings
  arrows            who may know whom, from tools/check_arrows.py

usage: tools/generate_docs.py [--check] TRUETAPE_BINARY
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PART = re.compile(r"(<!-- generated: ([^>]+?) -->\n)(.*?)(<!-- end of \2 -->)", re.S)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def make(name, binary):
    words = name.split()
    if words[0] == "help":
        text = run(binary, *words[1:], "--help").replace(binary, "truetape")
        return "```text\n" + "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n```\n"
    if name == "settings":
        return run(binary, "config", "settings")
    if name == "arrows":
        return run(sys.executable, str(ROOT / "tools/check_arrows.py"), "--table")
    raise SystemExit(f"generate_docs: nothing makes the part '{name}'")


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    check = "--check" in sys.argv[1:]
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    binary = str(pathlib.Path(arguments[0]).resolve())
    stale, parts = [], 0
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if not file.exists():
            continue
        old = file.read_text(encoding="utf-8")
        parts += len(PART.findall(old))
        new = PART.sub(lambda m: m[1] + make(m[2], binary) + m[4], old)
        if old.count("<!-- generated: ") != len(PART.findall(old)):
            stale.append(f"{file.relative_to(ROOT)}: a generated part has no end line")
        if new != old:
            stale.append(f"{file.relative_to(ROOT)}: a generated part is not what the program prints; run ./dev fmt")
            if not check:
                file.write_text(new, encoding="utf-8")
    if check:
        print("\n".join(stale) or f"docs: {parts} generated parts are up to date")
        return 1 if stale else 0
    print(f"docs: {parts} generated parts, {len(stale)} files renewed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
