#!/usr/bin/env python3
"""Plants one bug at a time and expects the tests to notice: flipped rules of the heart for the property tests, or bugs
of any part for the simulation (--target simulation), which tells the seed that found each.

usage: tools/mutants.py [--target NAME] [--check] [--work DIR] [--commit REF] [--seeds N] [--jobs N] [--only TEXT] [--from N]
                        [--list FILE] [--limit SECONDS]

The list (tests/model/mutants/list.toml, tests/simulation/mutants.toml) names for each mutant the rule, the file, a piece of its text that occurs there
exactly once, and what is put in its place. All is done in a copy of one commit (default HEAD) in build/mutants, so edits that
are under way neither count nor disturb. Each mutant is compiled beside the ordinary build of that copy: only the changed
file, or for a header every source that reads it. A mutant is killed if the program fails, survives if it passes.
The simulation has killed one only if it names the seed that failed: whatever else ends it, and a time-out, decides nothing,
and the mutant counts as survived. The time-out grows with the seeds and with what the program needs without a mutant.
Exit code 1: a mutant survived, or its text was not found once.
--check only looks, at the files as they are in the checkout, whether every text occurs exactly once.
"""
import argparse
import concurrent.futures
import io
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILTER = "-*TheQuickJudge*"  # judges no mutant: it compares two ways of the judge alone


class Reference:
    name, list, seeds = "reference_test", "tests/model/mutants/list.toml", 200
    folders = ["src/market"]

    @staticmethod
    def command(program, seeds):
        return [program, "--gtest_fail_fast", "--gtest_brief=1", f"--gtest_filter={FILTER}"], {"TRUETAPE_SEEDS": str(seeds), "TRUETAPE_SHRINK": "0"}

    @staticmethod
    def failure(output):
        for line in output.splitlines():
            if line.startswith("[  FAILED  ]"):
                return line.removeprefix("[  FAILED  ] ").split(" ")[0]
        return "it crashed"

    late = "killed"  # a heart that never comes to an end


class Simulation:
    name, list, seeds = "simulation", "tests/simulation/mutants.toml", 10_000
    folders = ["src", "tests/simulation"]

    @staticmethod
    def command(program, seeds):
        return [program, "--from", "1", "--count", str(seeds), "--until-failure"], {}

    @staticmethod
    def failure(output):
        lines = output.splitlines()
        for number, line in enumerate(lines):
            if line.startswith("seed ") and " failed" in line:
                return line.split(" failed")[0] + ": " + (lines[number + 1].strip()[:160] if number + 1 < len(lines) else "")
        return None  # a kind of fault that never came is no bug that was found

    late = "survived"


TARGETS = {target.name: target for target in (Reference, Simulation)}


def run(command, **kwargs):
    return subprocess.run(command, cwd=kwargs.pop("cwd", ROOT), text=True, capture_output=True, **kwargs)


def must(command, what, **kwargs):
    done = run(command, **kwargs)
    if done.returncode != 0:
        sys.exit(f"mutants: {what} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def snapshot(commit, tree):
    """The files of a commit in `tree`; those that are so already are left alone, so that little is built again."""
    data = subprocess.run(["git", "archive", "--format=tar", commit], cwd=ROOT, capture_output=True)
    if data.returncode != 0:
        sys.exit(f"mutants: {data.stderr.decode()}")
    wanted = set()
    with tarfile.open(fileobj=io.BytesIO(data.stdout)) as archive:
        for member in archive.getmembers():
            if not member.isfile():
                continue
            path = tree / member.name
            wanted.add(path)
            content = archive.extractfile(member).read()
            if path.exists() and path.read_bytes() == content:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(member.mode)
    fetched = tree / "web/node_modules"  # by ./dev setup, in no commit; without it nothing can be configured
    fetched.unlink(missing_ok=True)
    for path in list(tree.rglob("*")):
        if path.is_file() and path not in wanted:
            path.unlink()
    fetched.symlink_to(ROOT / "web/node_modules")


class Build:
    """An ordinary build of the tree, and how it compiles the heart and links the tests."""

    def __init__(self, tree, directory, jobs, target):
        self.tree, self.target = tree, target
        self.dir = directory
        if not (directory / "build.ninja").exists():
            must(["cmake", "--preset", "dev", "-B", str(directory)], "configure", cwd=tree)
        must(["cmake", "--build", str(directory), "--target", target.name, "-j", str(jobs)], "the build without mutants")
        self.compile = {}
        for entry in json.loads((directory / "compile_commands.json").read_text()):
            source = pathlib.Path(entry["file"])
            if any(source.is_relative_to(tree / f) for f in target.folders) and not source.name.endswith("_test.cc"):
                command = shlex.split(entry["command"])
                # A source of several programs: as this one has it.
                if source not in self.compile or f"/{target.name}.dir/" in command[command.index("-o") + 1]:
                    self.compile[source] = command
        link = [l for l in must(["ninja", "-C", str(directory), "-t", "commands", target.name], "ninja").splitlines() if f"-o {target.name} " in l]
        if not link:
            sys.exit(f"mutants: no command links {target.name}")
        self.link = link[-1].removeprefix(": && ").removesuffix(" && :")
        self.reads = {}  # by object: the files that its compilation read
        for line in must(["ninja", "-C", str(directory), "-t", "deps"], "ninja").splitlines():
            if line.startswith("    "):
                self.reads[target_object].add(os.path.normpath(directory / line.strip()))
            elif ": #deps" in line:
                target_object = line.split(": #deps")[0]
                self.reads[target_object] = set()

    def readers(self, header):
        """The sources of the target that read a header."""
        return [source for source, command in self.compile.items()
                if str(header) in self.reads.get(command[command.index("-o") + 1], ())]


def mutate(build, number, mutant, seeds, limit):
    source = build.tree / mutant["file"]
    text = source.read_text()
    if text.count(mutant["text"]) != 1:
        return "stale", f"its text occurs {text.count(mutant['text'])} times in {mutant['file']}"
    home = build.dir / "mutant" / str(number)
    shutil.rmtree(home, ignore_errors=True)  # of an earlier run, with another list
    changed = home / source.relative_to(build.tree)
    changed.parent.mkdir(parents=True, exist_ok=True)
    changed.write_text(text.replace(mutant["text"], mutant["instead"]))
    objects = {}
    for original in [source] if source.suffix == ".cc" else build.readers(source):
        command = list(build.compile[original])
        target = home / (original.stem + ".o")
        objects[command[command.index("-o") + 1]] = target
        command[command.index("-o") + 1] = str(target)
        if "-MF" in command:
            command[command.index("-MF") + 1] = str(target) + ".d"
        command[command.index("-c") + 1] = str(changed if original == source else original)
        compiler = next(i for i, word in enumerate(command) if not word.endswith("ccache"))
        # The changed folder goes first, for our own headers only: <time.h> is not core/time.h. A mutant may leave a variable unused.
        command[compiler + 1:compiler + 1] = ["-iquote", str(home / "src"), "-iquote", str(source.parent)]
        done = run(command + ["-Wno-error"], cwd=build.dir)
        if done.returncode != 0:
            return "stale", "it does not compile:\n" + done.stderr[-1500:]
    program = home / build.target.name
    link = shlex.split(build.link)
    link[link.index("-o") + 1] = str(program)
    # In front of the libraries: nothing is taken from there that is defined already.
    link = [word for word in link if word not in objects]
    at = link.index("-o")
    link[at:at] = [str(o) for o in objects.values()]
    done = run(link, cwd=build.dir)
    if done.returncode != 0:
        return "stale", "it does not link:\n" + done.stderr[-1500:]
    command, more = build.target.command(str(program), seeds)
    try:
        done = run(command, env=dict(os.environ, **more), timeout=limit)
        found = build.target.failure(done.stdout) if done.returncode != 0 else None
        if found:
            verdict = ("killed", found)
        else:
            verdict = ("survived", "" if done.returncode == 0 else f"not decided: it ended with {done.returncode} and names no failed seed")
    except subprocess.TimeoutExpired:
        verdict = (build.target.late, f"{'' if build.target.late == 'killed' else 'not decided: '}it did not end within {limit:.0f} s")
    program.unlink(missing_ok=True)
    return verdict


def check(tree, listed):
    """Every text exactly once in its file, and something else in its place."""
    mutants = tomllib.loads(listed.read_text())["mutant"]
    wrong = 0
    for number, mutant in enumerate(mutants, 1):
        file = tree / mutant["file"]
        times = file.read_text().count(mutant["text"]) if file.exists() else 0
        if times != 1 or mutant["text"] == mutant["instead"]:
            wrong += 1
            print(f"mutant {number} ({mutant['rule']}): its text occurs {times} times in {mutant['file']}"
                  if times != 1 else f"mutant {number} ({mutant['rule']}) changes nothing")
    print(f"mutants: {len(mutants)} texts looked up, {wrong} wrong")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only whether every text occurs once in the checkout")
    parser.add_argument("--target", choices=list(TARGETS), default=Reference.name, help="the program that must notice")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/mutants")
    parser.add_argument("--commit", default="HEAD")
    parser.add_argument("--seeds", type=int, help="200 for the property tests, 10,000 for the simulation")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="mutants whose rule, file or text holds this")
    parser.add_argument("--from", dest="first", type=int, default=1, help="the first of them by number, from 1")
    parser.add_argument("--list", type=pathlib.Path, help="instead of the commit's own")
    parser.add_argument("--limit", type=int, help="seconds for one mutant; without it ten times what the seeds need by themselves, at least 600")
    args = parser.parse_args()
    target = TARGETS[args.target]
    if args.check:
        return check(ROOT, args.list or ROOT / target.list)
    seeds = args.seeds or target.seeds
    tree = args.work.resolve() / "tree"
    snapshot(args.commit, tree)
    listed = tomllib.loads((args.list or tree / target.list).read_text())["mutant"]
    mutants = [(i, m) for i, m in enumerate(listed, 1)
               if i >= args.first and any(args.only in m[key] for key in ("rule", "file", "text"))]
    build = Build(tree, args.work.resolve() / "build", args.jobs, target)
    few = min(seeds, 500)
    command, more = target.command(str(build.dir / target.name), few)
    began = time.monotonic()
    if run(command, env=dict(os.environ, **more)).returncode != 0:
        sys.exit(f"mutants: {target.name} fails without any mutant: mend that first")
    # As many at once as there are jobs, and the machine may have more to do than before.
    limit = args.limit or max(600, 10 * args.jobs * (time.monotonic() - began) * seeds / few)
    began = time.monotonic()
    tally = {"killed": 0, "survived": 0, "stale": 0}
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        futures = {pool.submit(mutate, build, i, m, seeds, limit): m for i, m in mutants}
        for future in concurrent.futures.as_completed(futures):
            verdict, detail = future.result()
            m = futures[future]
            tally[verdict] += 1
            change = " ".join(f"{m['text']} -> {m['instead']}".split())
            print(f"{verdict:8}  {m['rule']}: {pathlib.Path(m['file']).name}: {change}  [{detail}]", flush=True)
    print(f"{len(mutants)} mutants with {seeds} seeds in {time.monotonic() - began:.0f} s: "
          + ", ".join(f"{n} {what}" for what, n in tally.items()))
    return 1 if tally["survived"] or tally["stale"] else 0


if __name__ == "__main__":
    sys.exit(main())
