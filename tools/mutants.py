#!/usr/bin/env python3
"""Flips one rule of the heart at a time and expects the property tests to notice.

usage: tools/mutants.py [--build DIR] [--seeds N] [--jobs N] [--only TEXT] [--list FILE]

The list (tests/model/mutants/list.toml) names for each mutant the rule, the file, a piece of its text that occurs there
exactly once, and what is put in its place. Each mutant is compiled beside an ordinary build (default build/dev, made if
missing): only the changed file, or for a header every source of its folder; nothing in the checkout is touched. A mutant is
killed if reference_test fails, survives if it passes. Exit code 1: a mutant survived, or its text was not found once.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = "reference_test"


def run(command, **kwargs):
    return subprocess.run(command, cwd=kwargs.pop("cwd", ROOT), text=True, capture_output=True, **kwargs)


def must(command, what, **kwargs):
    done = run(command, **kwargs)
    if done.returncode != 0:
        sys.exit(f"mutants: {what} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


class Build:
    """An ordinary build, and how it compiles the heart and links the tests."""

    def __init__(self, directory, jobs):
        self.dir = directory
        if not (directory / "build.ninja").exists():
            must(["cmake", "--preset", "dev", "-B", str(directory)], "configure")
        must(["cmake", "--build", str(directory), "--target", TARGET, "-j", str(jobs)], "the build without mutants")
        self.compile = {}
        for entry in json.loads((directory / "compile_commands.json").read_text()):
            source = pathlib.Path(entry["file"])
            if source.is_relative_to(ROOT / "src/market") and not source.name.endswith("_test.cc"):
                self.compile[source] = shlex.split(entry["command"])
        link = [l for l in must(["ninja", "-C", str(directory), "-t", "commands", TARGET], "ninja").splitlines() if f"-o {TARGET}" in l]
        if not link:
            sys.exit(f"mutants: no command links {TARGET}")
        self.link = link[-1].removeprefix(": && ").removesuffix(" && :")

    def objects(self):
        return {source: self.dir / command[command.index("-o") + 1] for source, command in self.compile.items()}


def mutate(build, number, mutant, seeds, limit):
    source = ROOT / mutant["file"]
    text = source.read_text()
    if text.count(mutant["text"]) != 1:
        return "stale", f"its text occurs {text.count(mutant['text'])} times in {mutant['file']}"
    home = build.dir / "mutants" / str(number)
    shutil.rmtree(home, ignore_errors=True)  # of an earlier run, with another list
    inner = source.relative_to(ROOT / "src")
    changed = home / "src" / inner
    changed.parent.mkdir(parents=True, exist_ok=True)
    changed.write_text(text.replace(mutant["text"], mutant["instead"]))
    objects = build.objects()
    for original in [source] if source.suffix == ".cc" else list(build.compile):
        command = list(build.compile[original])
        target = home / (original.stem + ".o")
        command[command.index("-o") + 1] = str(target)
        if "-MF" in command:
            command[command.index("-MF") + 1] = str(target) + ".d"
        command[command.index("-c") + 1] = str(changed if original == source else original)
        compiler = next(i for i, word in enumerate(command) if not word.endswith("ccache"))
        # The changed folder goes first; a mutant may leave a variable unused.
        command[compiler + 1:compiler + 1] = [f"-I{home / 'src'}"]
        done = run(command + ["-Wno-error"], cwd=build.dir)
        if done.returncode != 0:
            return "stale", "it does not compile:\n" + done.stderr[-1500:]
        objects[original] = target
    program = home / TARGET
    link = shlex.split(build.link)
    link[link.index("-o") + 1] = str(program)
    at = next(i for i, word in enumerate(link) if word.endswith("libtruetape_market.a"))
    link = [word for word in link if not word.endswith("libtruetape_market.a")]
    link[at:at] = [str(o) for o in objects.values()]
    done = run(link, cwd=build.dir)
    if done.returncode != 0:
        return "stale", "it does not link:\n" + done.stderr[-1500:]
    env = dict(os.environ, TRUETAPE_SEEDS=str(seeds), TRUETAPE_SHRINK="0")
    try:
        done = run([str(program), "--gtest_fail_fast", "--gtest_brief=1"], env=env, timeout=limit)
        verdict = ("survived", "") if done.returncode == 0 else ("killed", first_failure(done.stdout))
    except subprocess.TimeoutExpired:
        verdict = ("killed", f"did not end within {limit} s")
    program.unlink(missing_ok=True)
    return verdict


def first_failure(output):
    for line in output.splitlines():
        if line.startswith("[  FAILED  ]"):
            return line.removeprefix("[  FAILED  ] ").split(" ")[0]
    return "it crashed"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/dev")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="mutants whose rule or text holds this")
    parser.add_argument("--list", type=pathlib.Path, default=ROOT / "tests/model/mutants/list.toml")
    parser.add_argument("--limit", type=int, default=600, help="seconds for one mutant")
    args = parser.parse_args()
    build = Build(args.build.resolve(), args.jobs)
    mutants = [m for m in tomllib.loads(args.list.read_text())["mutant"] if args.only in m["rule"] or args.only in m["text"]]
    env = dict(os.environ, TRUETAPE_SEEDS=str(args.seeds), TRUETAPE_SHRINK="0")
    if run([str(build.dir / TARGET), "--gtest_brief=1"], env=env).returncode != 0:
        sys.exit(f"mutants: {TARGET} fails with {args.seeds} seeds without any mutant: mend that first")
    began = time.monotonic()
    tally = {"killed": 0, "survived": 0, "stale": 0}
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        futures = {pool.submit(mutate, build, i, m, args.seeds, args.limit): m for i, m in enumerate(mutants)}
        for future in concurrent.futures.as_completed(futures):
            verdict, detail = future.result()
            m = futures[future]
            tally[verdict] += 1
            change = " ".join(f"{m['text']} -> {m['instead']}".split())
            print(f"{verdict:8}  {m['rule']}: {pathlib.Path(m['file']).name}: {change}  [{detail}]", flush=True)
    print(f"{len(mutants)} mutants with {args.seeds} seeds in {time.monotonic() - began:.0f} s: "
          + ", ".join(f"{n} {what}" for what, n in tally.items()))
    return 1 if tally["survived"] or tally["stale"] else 0


if __name__ == "__main__":
    sys.exit(main())
