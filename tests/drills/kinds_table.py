"""Table-tops: faults that cannot be made within a minute. The trainee gets the page and what the commands of "See" print, and writes what
they would do; the holder compares it with what stands in tabletop/ANSWERS.md."""
import re
import shutil

from kinds import Drill
from rig import HERE


class Table(Drill):
    def stage(self, rig):
        shutil.copy(HERE / f"tabletop/{self.name.removeprefix('table-')}.txt", rig.root / "see.txt")
        rig.state["data"] = "/var/lib/truetape"
        rig.state["port"] = 8780
        rig.save()

    def holds(self, rig):
        return self.value

    def story(self, rig):
        return (f"THIS IS A TABLE-TOP: nothing runs. {rig.root}/see.txt has what the commands of the runbook print on that machine; what is not in there you may ask the\n"
                f"holder. Write into {rig.root}/answer.txt what you would do, command by command, and when it is over.")

    def verdict(self, rig):
        answer = rig.root / "answer.txt"
        if not answer.exists() or not answer.read_text().strip():
            return [f"there is no answer in {answer}"]
        expected = re.search(rf"^## {self.name}\n(.*?)(?=^## |\Z)", (HERE / "tabletop/ANSWERS.md").read_text(), re.M | re.S)[1]
        print(f"The holder judges. The answer:\n\n{answer.read_text().strip()}\n\nWhat must be in it:\n{expected}")
        return ["a table-top: the holder judges"]


class Memory(Table):
    name, alert, line, value = "table-memory", "TruetapeMemory", "memory rises since Thursday without an end", 2.31e9


class Step(Table):
    name, alert, line, value = "table-memory-step", "TruetapeMemory", "memory rose in one step, with 400 instruments more", 2.08e9


class ServeBehind(Table):
    name, alert, line, value = "table-serve-behind", "TruetapeServeBehind", "a client asks for whole histories again and again", 184233


class ProcessBehind(Table):
    name, alert, line, value = "table-process-behind", "TruetapeProcessBehind", "an import runs beside, and it falls", 45120


class NotWorking(Table):
    name, alert, line, value = "table-not-working", "TruetapeNotWorking", "the disk fails: the log cannot be used", True


class FramesLost(Table):
    name, alert, line, value = "table-frames-lost", "TruetapeFramesLost", "the disk failed for a moment; a gap stays", 1
