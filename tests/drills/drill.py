#!/usr/bin/env python3
"""Operators' drills: a real truetape with the fault behind an alert, for somebody who has docs/runbook.md and nothing else. README.md tells
how one is held.

  drill.py ls            the drills
  drill.py start NAME    makes its directory, waits until the alert fires, prints the page
  drill.py page NAME     prints the page again
  drill.py check NAME    "resolved", or what is not; exit status 0 or 3
  drill.py stop NAME     ends all and removes the directory"""
import hashlib
import os
import pathlib
import re
import sys
import tempfile

sys.dont_write_bytecode = True
import rig as rigs  # noqa: E402
from kinds import DRILLS, Drill  # noqa: E402


def folder():
    place = pathlib.Path(os.environ.get("TRUETAPE_DRILLS") or pathlib.Path(tempfile.gettempdir()) / f"truetape-drills-{os.getuid()}")
    place.mkdir(parents=True, exist_ok=True)
    return place.resolve()


def place(name):
    """The drill's directory, whose name does not tell the trainee what it is about."""
    return folder() / f"drill-{hashlib.sha1(name.encode()).hexdigest()[:5]}"


def alert(name):
    """The alert as deploy/prometheus/alerts.yml has it: severity, for, summary, description, runbook."""
    text = (rigs.ROOT / "deploy/prometheus/alerts.yml").read_text()
    block = re.search(rf"- alert: {name}\n(.*?)(?=\n      - alert: |\Z)", text, re.S)[1]
    found = dict(re.findall(r"^\s*(severity|for|summary|description|runbook): (.*)$", block, re.M))
    return {k: v[1:-1].replace("''", "'") if v.startswith("'") else v for k, v in found.items()}


def human(value, form):
    number = float(value)
    if "1024" in form:
        for unit in ("", "Ki", "Mi", "Gi"):
            if abs(number) < 1024:
                return f"{number:.4g}{unit}"
            number /= 1024
    if "Duration" in form:
        return f"{number:.3g}s" if number < 60 else f"{int(number // 60)}m {int(number % 60)}s"
    return f"{number:.6g}"


def rendered(text, labels, value):
    text = re.sub(r"{{ \$labels\.(\w+) }}", lambda m: labels.get(m[1], "?"), text)
    return re.sub(r"{{ \$value *(\|[^}]*)?}}", lambda m: human(value if value is not None else 1, m[1] or ""), text)


def page(rig, drill, value):
    told = alert(drill.alert)
    labels = {"instance": rig.url.removeprefix("http://"), "job": "truetape", **drill.labels(rig)}
    lines = [f"[{told['severity'].upper()}] {drill.alert}", f"  {rendered(told['summary'], labels, value)}", f"  {rendered(told['description'], labels, value)}",
             f"  labels: {', '.join(f'{k}={v}' for k, v in labels.items())}", f"  runbook: {told['runbook']}", "",
             f"URL     {rig.url}", f"DIR     {rig.data}",
             f"config  {rig.config}      (in place of /etc/truetape/truetape.toml; the environment file lies beside it)",
             f"before anything else, in each shell:  export PATH={rig.root}/bin:$PATH; cd {rig.root}",
             "It runs as the service `truetape`: systemctl, journalctl and the others in bin/ are this drill's. sudo and chown to the user truetape change nothing:",
             "all is yours. `curl` reaches this drill's venue at the venue's own addresses. What lies in rig/ is the drill's machinery: not yours to look at."]
    if (rig.root / "backups").is_dir() and any((rig.root / "backups").iterdir()):
        lines.append(f"Backups (`truetape backup`): {', '.join(str(p) for p in sorted((rig.root / 'backups').iterdir()))}")
    return "\n".join(lines + ([""] + drill.story(rig).splitlines() if drill.story(rig) else [])) + "\n"


def start(name):
    drill = DRILLS[name]
    root = place(name)
    if root.exists():
        sys.exit(f"{root} is there already: stop it first")
    if not rigs.BINARY.exists():
        sys.exit(f"no {rigs.BINARY}: build truetape, or name it in TRUETAPE")
    rig = rigs.Rig.make(root, name)
    try:
        drill.stage(rig)
        value = rig.wait(f"{drill.alert} fires", lambda: drill.holds(rig), drill.patience, every=1)
        text = page(rig, drill, value if not isinstance(value, bool) else None)
    except BaseException:
        print(f"It was not to be. The last lines of the journal:\n{rig.journal()[-3000:]}", file=sys.stderr)
        if "TRUETAPE_KEEP" not in os.environ:
            rig.stop()
        raise
    (root / "page.txt").write_text(text)
    if type(drill).scene is not Drill.scene:
        rig.spawn("scene", sys.executable, __file__, "scene", name, environment={"TRUETAPE_DRILLS": str(folder())})
    print(text, end="")


def there(name):
    root = place(name)
    if not (root / "rig/state.json").exists():
        sys.exit(f"the drill {name} is not started (no {root})")
    return rigs.Rig(root)


def check(name):
    rig, drill = there(name), DRILLS[name]
    try:
        bad = drill.verdict(rig)
    except (OSError, RuntimeError, ValueError) as error:
        bad = [f"it cannot be judged: {error}"]
    if bad:
        print("not resolved:\n" + "\n".join(f"  * {b}" for b in bad))
        sys.exit(3)
    print("resolved")


def main():
    words = sys.argv[1:]
    if words == ["ls"]:
        for name, drill in DRILLS.items():
            print(f"{name:<26}{drill.alert.removeprefix('Truetape'):<22}{drill.line}")
    elif len(words) == 2 and words[1] in DRILLS and words[0] in ("start", "check", "stop", "scene", "page"):
        if words[0] == "start":
            start(words[1])
        elif words[0] == "page":
            print((there(words[1]).root / "page.txt").read_text(), end="")
        elif words[0] == "check":
            check(words[1])
        elif words[0] == "scene":
            DRILLS[words[1]].scene(there(words[1]))
        else:
            there(words[1]).stop()
            print("stopped")
    else:
        sys.exit(f"{__doc__}\n" + (f"\nThere is no drill {words[1]}: see drill.py ls" if len(words) == 2 else ""))


if __name__ == "__main__":
    main()
