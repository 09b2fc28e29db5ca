#!/usr/bin/env python3
"""Real brokers of Apache Kafka for tests: one or three, on free ports of the loopback device, in a directory of their own.
Python's standard library, and what tools/setup.sh puts into .tools/kafka.

As a library: `with Cluster(nodes=3) as cluster:` starts brokers that die with this process, however it ends.
As a command (./dev kafka): brokers that stay until they are told to stop.

    kit.py up [1|3] [--sasl]     start brokers, or start them again with what they held; data in build/kafka
    kit.py down                  stop them; what they hold stays there
    kit.py tool NAME ARGUMENT... one of Kafka's own tools on them: TopicCommand --list
"""
import argparse
import base64
import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

import broker_config
import broker_metadata

ROOT = pathlib.Path(__file__).resolve().parents[2]
JARS = pathlib.Path(os.environ.get("TRUETAPE_KAFKA_JARS", ROOT / ".tools/kafka/lib"))
GUARD = 120  # seconds until a start that must succeed is given up
TOOLS = {name.rsplit(".", 1)[1]: name for name in (
    "org.apache.kafka.tools.TopicCommand", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "org.apache.kafka.tools.TransactionsCommand", "org.apache.kafka.tools.GetOffsetShell", "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka.admin.ConfigCommand")}

# Every broker is started from this one thread, which ends with the process: PR_SET_PDEATHSIG (setpriv) kills a child when the
# thread that started it ends, whichever that was.
_spawner = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="brokers")


class KitError(Exception):
    """Brokers could not be started, or a tool of theirs failed. Says what to look at."""


def missing():
    """What the kit lacks on this machine, as a sentence; empty if nothing."""
    if not shutil.which("java"):
        return "no java on the PATH; ./dev setup test installs it"
    if not list(JARS.glob("kafka_*.jar")):
        return f"no Kafka in {JARS}; ./dev setup test fetches it"
    return ""


def _java(main, *arguments, options=()):
    return ["java", *options, "-cp", f"{JARS}/*", main, *map(str, arguments)]


def tool_command(name, *arguments):
    """The command line of one of Kafka's own tools (TOOLS, or a main class). It runs for a second: what starts quickly is best."""
    logging = pathlib.Path(__file__).with_name("tools-log4j.properties").resolve()
    options = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dlog4j.configuration=file:{logging}")
    return _java(TOOLS.get(name, name), *arguments, options=options)


def _run_tool(name, *arguments):
    """Runs it to its end; standard output."""
    done = subprocess.run(tool_command(name, *arguments), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=GUARD)
    if done.returncode:
        said = f"{name.rsplit('.', 1)[-1]} {' '.join(map(str, arguments))}"
        raise KitError(f"{said}: exit code {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def _free(port):
    """The port (0: any) if nobody has it, else None."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
        return probe.getsockname()[1]


def _free_ports():
    """Free ports of the loopback device, one after another. From below those that the system gives to outgoing connections,
    where there are such: a client that tries a killed broker's port again and again could get that very port as its own, and
    the broker not have it back."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first = int(file.read().split()[0])
    given = set()
    while True:
        port = _free(random.randrange(10000, first) if first > 12000 else 0)
        if port and port not in given:
            given.add(port)
            yield port


class Node:
    """One broker's process and directory."""

    def __init__(self, number, directory):
        self.number, self.directory = number, directory
        self.client_port = self.plain_port = self.controller_port = None  # clients'; brokers' and the kit's; controllers'
        self.paused = False
        self._process = None  # if it was started here
        self._pid_file, self._config = directory / "pid", directory / "server.properties"

    @property
    def pid(self):
        """Its process id, or None: not running. A pid file may be older than the last start of the machine."""
        if self._process:
            return self._process.pid if self._process.poll() is None else None
        try:
            pid = int(self._pid_file.read_text())
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if b"kafka.Kafka" in words and str(self._config).encode() in words else None

    def spawn(self, heap, detached):
        options = (f"-Xmx{heap}", "-Xms128m", "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true",
                   f"-Dlog4j.configuration=file:{self.directory}/log4j.properties")
        command = _java("kafka.Kafka", self._config, options=options)
        if not detached:
            # The shell looks once whether who started it is still there: it may have ended before setpriv came to work.
            command = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid()), *command]

        def start():
            with open(self.directory / "console.log", "ab") as console:
                return subprocess.Popen(command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                        start_new_session=True)
        self._process = start() if detached else _spawner.submit(start).result()
        self._pid_file.write_text(f"{self._process.pid}\n")
        self.paused = False

    def send(self, number):
        pid = self.pid
        if pid:
            os.kill(pid, number)

    def gone(self, guard):
        """Waits until its process has ended; False if it has not within `guard` seconds."""
        end = time.monotonic() + guard
        while self.pid:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        self._pid_file.unlink(missing_ok=True)
        return True

    def complaints(self, count=15):
        """The last warnings and errors it logged, else its last words."""
        lines = []
        for name in ("console.log", "broker.log"):
            try:
                lines += (self.directory / name).read_text(errors="replace").splitlines()
            except FileNotFoundError:
                pass
        loud = [line for line in lines if any(f" {word} " in line for word in ("WARN", "ERROR", "FATAL"))
                or ("Exception" in line and " INFO " not in line)]
        return "\n".join((loud or lines)[-count:])


class Cluster:
    """Brokers that know each other, and what a test does to them. From one thread at a time.

    nodes: 1 or 3; their numbers are 1, 2, 3. directory: where all they hold and log lies, made if need be; None: a temporary
    one that goes at the end. sasl: clients need TLS (`ca_file`), `user` and `password` (SCRAM-SHA-512). settings: lines of
    server.properties over the kit's own. detached: they outlive this process."""

    user, password = "tester", "tester-secret"

    def __init__(self, nodes=1, directory=None, sasl=False, settings=None, heap=None, detached=False):
        if nodes not in (1, 3):
            raise ValueError("a cluster is of 1 or 3 nodes")
        self._temporary = directory is None
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="truetape-kafka-") if self._temporary else directory).resolve()
        self.sasl, self.detached = sasl, detached
        self.heap = heap or ("512m" if nodes == 1 else "384m")
        self._settings = settings or {}
        self.nodes = {n: Node(n, self.directory / f"node{n}") for n in range(1, nodes + 1)}
        self.ca_file = self._keystore = None
        self.cluster_id = None

    def __enter__(self):
        return self.up()

    def __exit__(self, *error):
        self.discard(keep_logs=error[0] is not None)
        if error[0] is not None:
            print(f"kafka: the brokers' logs are kept in {self.directory}", file=sys.stderr)

    @property
    def bootstrap(self):
        """Where clients begin: "127.0.0.1:p1,127.0.0.1:p2"."""
        return ",".join(f"127.0.0.1:{node.client_port}" for node in self.nodes.values())

    @property
    def plain_bootstrap(self):
        """The same in plain text and without a password, whatever clients need: for tools."""
        return ",".join(f"127.0.0.1:{node.plain_port}" for node in self.nodes.values())

    # The life of all of them.

    def up(self):
        """Formats and starts all nodes and waits until each lists all. Ports may be taken by others between being asked for and
        being bound: three tries, each with other ports."""
        lack = missing()
        if lack:
            raise KitError(lack)
        self._open()
        for last in (False, False, True):
            self._assign_ports()
            self._write_configs()
            self._save()
            try:
                self._format()
                for node in self.nodes.values():
                    node.spawn(self.heap, self.detached)
                self.wait_ready()
                return self
            except BaseException as error:
                self.stop_at_once()
                if last or not isinstance(error, KitError) or not self._port_was_taken():
                    raise
                print(f"kafka: ports were taken meanwhile, once more: {str(error).splitlines()[0]}", file=sys.stderr)
                for node in self.nodes.values():
                    node.client_port = node.plain_port = node.controller_port = None
                    (node.directory / "console.log").unlink(missing_ok=True)
                    (node.directory / "broker.log").unlink(missing_ok=True)

    def stop(self, guard=20):
        """As an operator would: SIGTERM, and SIGKILL after `guard` seconds. What they hold stays."""
        for node in self.nodes.values():
            node.send(signal.SIGCONT)
            node.send(signal.SIGTERM)
        end = time.monotonic() + guard
        for node in self.nodes.values():
            if not node.gone(max(0, end - time.monotonic())):
                node.send(signal.SIGKILL)
                node.gone(GUARD)

    def stop_at_once(self):
        """SIGKILL to all."""
        for node in self.nodes.values():
            node.send(signal.SIGKILL)
        for node in self.nodes.values():
            node.gone(GUARD)

    def discard(self, keep_logs=False):
        """SIGKILL to all, and away with what they held; keep_logs: but not with their logs and configuration."""
        self.stop_at_once()
        if keep_logs:
            for node in self.nodes.values():
                shutil.rmtree(node.directory / "data", ignore_errors=True)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def wait_ready(self, guard=GUARD):
        """Until the metadata answer of each node that runs lists every node that runs: an open port is not enough."""
        running = [node for node in self.nodes.values() if node.pid and not node.paused] or list(self.nodes.values())
        want = {node.number for node in running}
        end, seen = time.monotonic() + guard, {}
        while True:
            for node in running:
                if not node.pid:
                    raise KitError(f"broker {node.number} ended; its log: {node.directory}/broker.log\n{node.complaints()}")
                try:
                    seen[node.number] = set(broker_metadata.metadata(node.plain_port).brokers)
                except OSError:
                    seen[node.number] = set()
            if all(listed >= want for listed in seen.values()):
                return
            if time.monotonic() > end:
                raise KitError(f"after {guard} s the brokers {sorted(want)} do not all list each other: {seen}; "
                               f"logs: {self.directory}/node*/broker.log\n" + "\n".join(node.complaints(5) for node in running))
            time.sleep(0.1)

    # What is done to one of them.

    def kill(self, number):
        """SIGKILL, and waits until its process is gone."""
        self.nodes[number].send(signal.SIGKILL)
        self.nodes[number].gone(GUARD)

    def start(self, number):
        """Again after a kill, with the same ports, and waits until all that run list each other."""
        node = self.nodes[number]
        if node.pid:
            raise KitError(f"broker {number} runs already")
        node.spawn(self.heap, self.detached)
        self.wait_ready()

    def pause(self, number):
        """SIGSTOP: it hangs, and its connections stay open."""
        self.nodes[number].send(signal.SIGSTOP)
        self.nodes[number].paused = True

    def resume(self, number):
        """SIGCONT, and waits until all that run list each other: the others may have taken it for dead meanwhile."""
        self.nodes[number].send(signal.SIGCONT)
        self.nodes[number].paused = False
        self.wait_ready()

    # What they know.

    def metadata(self):
        """broker_metadata.Metadata of a node that runs."""
        for node in self.nodes.values():
            if node.pid and not node.paused:
                return broker_metadata.metadata(node.plain_port)
        raise KitError("no broker runs")

    def tool(self, name, *arguments):
        """Standard output of one of Kafka's own tools (TOOLS, or a main class) on these brokers. About a second."""
        return _run_tool(name, "--bootstrap-server", self.plain_bootstrap, *arguments)

    def create_topic(self, name, partitions=4, **config):
        """Waits until every node that runs knows all its partitions and their leaders. config: max_message_bytes=... and so on."""
        words = [word for key, value in config.items() for word in ("--config", f"{key.replace('_', '.')}={value}")]
        self.tool("TopicCommand", "--create", "--topic", name, "--partitions", partitions, *words)
        end = time.monotonic() + GUARD
        for node in self.nodes.values():
            while node.pid and not node.paused:
                known = broker_metadata.metadata(node.plain_port).topics.get(name, {})
                if len(known) == partitions and all(part.leader >= 0 for part in known.values()):
                    break
                if time.monotonic() > end:
                    raise KitError(f"broker {node.number} does not know {name} after {GUARD} s: {known}")
                time.sleep(0.05)

    def topics(self):
        """Names, without Kafka's own."""
        return [name for name in self.tool("TopicCommand", "--list", "--exclude-internal").split()]

    def groups(self):
        return self.tool("ConsumerGroupCommand", "--list").split()

    def group(self, name, *more):
        """Rows of a group's description, as dictionaries by column. `more`: --members, --verbose, --state."""
        return _table(self.tool("ConsumerGroupCommand", "--describe", "--group", name, *more))

    def transactions(self):
        """Rows: TransactionalId, Coordinator, ProducerId, TransactionState."""
        return _table(self.tool("TransactionsCommand", "list"))

    # How a start goes.

    def _open(self):
        """What an earlier start in this directory left, or a new cluster."""
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            saved = json.loads((self.directory / "cluster.json").read_text())
        except FileNotFoundError:
            saved = {"id": base64.urlsafe_b64encode(uuid.UUID(int=random.getrandbits(127)).bytes).decode().rstrip("="),
                     "nodes": len(self.nodes), "sasl": self.sasl, "ports": {}}
        if (saved["nodes"], saved["sasl"]) != (len(self.nodes), self.sasl):
            raise KitError(f"{self.directory} holds a cluster of {saved['nodes']}{' with SASL' if saved['sasl'] else ''}; "
                           "stop it and remove the directory to begin another")
        self.cluster_id = saved["id"]
        for number, ports in saved["ports"].items():
            node = self.nodes[int(number)]
            node.client_port, node.plain_port, node.controller_port = ports
        if self.sasl:
            tls = self.directory / "tls"
            self.ca_file, self._keystore = tls / "ca.pem", tls / "server.pem"
            if not self._keystore.exists():
                broker_config.certificates(tls)

    def _save(self):
        told = {"id": self.cluster_id, "nodes": len(self.nodes), "sasl": self.sasl,
                "ports": {n: [node.client_port, node.plain_port, node.controller_port] for n, node in self.nodes.items()}}
        (self.directory / "cluster.json").write_text(json.dumps(told) + "\n")

    def _assign_ports(self):
        """Those of the last time, if they are free."""
        ports = _free_ports()
        for node in self.nodes.values():
            node.plain_port = (node.plain_port and _free(node.plain_port)) or next(ports)
            node.controller_port = (node.controller_port and _free(node.controller_port)) or next(ports)
            if self.sasl:
                node.client_port = (node.client_port and _free(node.client_port)) or next(ports)
            else:
                node.client_port = node.plain_port

    def _write_configs(self):
        controllers = {n: node.controller_port for n, node in self.nodes.items()}
        for n, node in self.nodes.items():
            node.directory.mkdir(exist_ok=True)
            (node.directory / "log4j.properties").write_text(broker_config.LOG4J.format(directory=node.directory))
            (node.directory / "server.properties").write_text(broker_config.properties(
                n, len(self.nodes), node.directory, node.client_port, node.plain_port, controllers, self._keystore, self._settings))

    def _format(self):
        """Side by side: each is a JVM for half a second."""
        user = ["--add-scram", f"SCRAM-SHA-512=[name={self.user},password={self.password}]"] if self.sasl else []

        def one(node):
            if not (node.directory / "data/meta.properties").exists():
                _run_tool("kafka.tools.StorageTool", "format", "-t", self.cluster_id, "-c", node.directory / "server.properties", *user)
        with concurrent.futures.ThreadPoolExecutor() as together:
            list(together.map(one, self.nodes.values()))

    def _port_was_taken(self):
        return any("Address already in use" in node.complaints(200) for node in self.nodes.values())


def _table(text):
    """Rows of what a tool prints in columns, after a sentence ended by a full stop if it has one to say; only the last column
    holds blanks."""
    rows, names = [], None
    for line in text.splitlines():
        words = line.split()
        if not words or (not names and line.endswith(".")):
            continue
        if not names or words == names:
            names = words
        else:
            rows.append(dict(zip(names, line.split(maxsplit=len(names) - 1))))
    return rows


def _saved(directory):
    """The cluster of ./dev kafka as it was left there, or None."""
    try:
        told = json.loads((directory / "cluster.json").read_text())
    except FileNotFoundError:
        return None
    cluster = Cluster(told["nodes"], directory, told["sasl"], detached=True)
    cluster._open()
    return cluster


def _tell(cluster):
    print(f"{'One broker runs' if len(cluster.nodes) == 1 else 'Three brokers run'} on\n\n  {cluster.bootstrap}\n")
    if cluster.sasl:
        print(f"with SASL_SSL, SCRAM-SHA-512: user {cluster.user}, password {cluster.password}, authority {cluster.ca_file}")
    print(f"for truetape:\n  --data kafka://{cluster.plain_bootstrap}/market\n"
          "for example:\n"
          "  ./dev kafka tool TopicCommand --create --topic try --partitions 4\n"
          f"  echo hello | kcat -b {cluster.plain_bootstrap} -P -t try\n"
          f"  kcat -b {cluster.plain_bootstrap} -C -t try -e\n"
          f"./dev kafka down stops them; what they hold stays in {os.path.relpath(cluster.directory)}.")


def main():
    parser = argparse.ArgumentParser(prog="./dev kafka", description="Real brokers of Apache Kafka on this machine.")
    parser.add_argument("--directory", type=pathlib.Path, default=ROOT / "build/kafka", help="where they lie (build/kafka)")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start them, or start them again with what they held")
    up.add_argument("nodes", nargs="?", type=int, choices=(1, 3), help="how many (1, or as many as there were)")
    up.add_argument("--sasl", action="store_true", help="clients need TLS and a password")
    commands.add_parser("down", help="stop them; what they hold stays")
    tool = commands.add_parser("tool", help=f"one of Kafka's own tools: {', '.join(TOOLS)}, or a main class")
    tool.add_argument("name")
    tool.add_argument("arguments", nargs=argparse.REMAINDER)
    said = parser.parse_args()
    cluster = _saved(said.directory)
    some = cluster and any(node.pid for node in cluster.nodes.values())
    runs = cluster and all(node.pid for node in cluster.nodes.values())
    if said.command == "up":
        if not cluster or said.nodes not in (None, len(cluster.nodes)) or (said.sasl and not cluster.sasl):
            cluster, runs = Cluster(said.nodes or 1, said.directory, said.sasl, detached=True), False
            cluster._open()  # refuses a cluster of another shape
        if not runs:
            cluster.stop()  # one of three may have ended
            cluster.up()
        _tell(cluster)
    elif said.command == "down":
        if cluster:
            cluster.stop()
        print("stopped; what they hold stays" if some else "no broker runs")
    else:
        if not runs:
            raise KitError("no brokers run: ./dev kafka up")
        return subprocess.call(tool_command(said.name, "--bootstrap-server", cluster.plain_bootstrap, *said.arguments))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KitError as error:
        sys.exit(f"kafka: {error}")
