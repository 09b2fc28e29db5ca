#!/usr/bin/env python3
"""Compares the kernels of two commits on this machine: each is built in a worktree of its own (build/at-COMMIT, kept for the next time),
then both are run in turns, so that what else the machine does meets both alike. Prints the medians and their ratio.

    bench/compare.py BEFORE [AFTER (HEAD)] [--filter 'heart|processor'] [--turns 7]

Only committed files are built. Google Benchmark's filter: `ledger`, `candles`, `heart` and `processor` are bench/heart_bench.cc."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def call(*command, cwd=ROOT):
    done = subprocess.run([str(c) for c in command], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"compare: {' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def built(name, jobs):
    """The kernels of a commit, and its short name."""
    commit = call("git", "rev-parse", "--short", name).strip()
    tree = ROOT / "build" / f"at-{commit}"
    if not tree.exists():
        call("git", "worktree", "add", "--detach", tree, commit)
    charts = "web/node_modules"  # what ./dev setup fetched; without it nothing is configured
    if (ROOT / charts).exists() and not (tree / charts).exists():
        (tree / charts).symlink_to((ROOT / charts).resolve())
    print(f"builds {commit}: {call('git', 'log', '-1', '--format=%s', commit).strip()}", flush=True)
    call("cmake", "--preset", "bench", cwd=tree)
    call("cmake", "--build", "build/bench", "-j", jobs, "--target", "kernels", cwd=tree)
    return tree, commit


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after", nargs="?", default="HEAD")
    parser.add_argument("--filter", default="ledger|candles|heart|processor")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    both = [built(name, args.jobs) for name in (args.before, args.after)]
    times = [{}, {}]
    for turn in range(args.turns):
        for i in (0, 1) if turn % 2 == 0 else (1, 0):
            tree = both[i][0]
            out = json.loads(call(tree / "build/bench/kernels", "--benchmark_format=json", f"--benchmark_filter={args.filter}", "--benchmark_min_time=0.3", cwd=tree))
            for b in out["benchmarks"]:
                if b.get("run_type") == "iteration":
                    times[i].setdefault(b["run_name"], []).append((b["real_time"], b["time_unit"]))
        print(f"turn {turn + 1} of {args.turns}, load {os.getloadavg()[0]:.1f}", flush=True)
    print(f"\n| kernel | {both[0][1]} | {both[1][1]} | after / before | ranges |\n|---|---:|---:|---:|---|")
    for name in times[0]:
        if name not in times[1]:
            continue
        a, b = ([t for t, _ in side[name]] for side in times)
        unit = times[0][name][0][1]
        print(f"| {name} | {statistics.median(a):.4g} {unit} | {statistics.median(b):.4g} {unit} | {statistics.median(b) / statistics.median(a):.3f} | "
              f"{min(a):.4g} – {max(a):.4g}; {min(b):.4g} – {max(b):.4g} |")


if __name__ == "__main__":
    main()
