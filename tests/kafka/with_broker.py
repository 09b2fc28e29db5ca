#!/usr/bin/env python3
"""Runs a command beside real brokers: with_broker.py [--nodes 1|3] [--sasl] [--set KEY=VALUE]... -- COMMAND ARGUMENT...

The command finds in its environment
  TRUETAPE_KAFKA          host:port,... where clients begin
  TRUETAPE_KAFKA_NODES    how many brokers there are
  TRUETAPE_KAFKA_DIR      where they lie: nodeN/broker.log
  TRUETAPE_KAFKA_CONTROL  host:port of this script, which takes lines: "kill 2", "start 2", "pause 2", "resume 2", and answers
                          each when it is done with a line "ok" or "error WHY". kill is SIGKILL, pause SIGSTOP; start and
                          resume answer when all brokers that run list each other
and with --sasl TRUETAPE_KAFKA_CA (a file), TRUETAPE_KAFKA_USER and TRUETAPE_KAFKA_PASSWORD (SASL_SSL, SCRAM-SHA-512).

Exit code: the command's; 77, as ctest wants it of a skipped test, where there is no Kafka; 70 if the brokers do not start.
Neither the brokers nor the command outlive this script. If the command fails, the brokers' logs are kept and named."""
import argparse
import os
import signal
import socketserver
import subprocess
import sys
import threading

import kit


class Control(socketserver.ThreadingTCPServer):
    """The brokers' remote control, one order at a time."""
    daemon_threads = True

    def __init__(self, cluster):
        self.orders = {"kill": cluster.kill, "start": cluster.start, "pause": cluster.pause, "resume": cluster.resume}
        self.nodes, self.lock = cluster.nodes, threading.Lock()
        super().__init__(("127.0.0.1", 0), Orders)

    def obey(self, line):
        order, _, number = line.partition(" ")
        if order not in self.orders or not number.isdigit() or int(number) not in self.nodes:
            return f"error '{line}' is not one of {', '.join(self.orders)} and a node from 1 to {len(self.nodes)}"
        with self.lock:
            try:
                self.orders[order](int(number))
            except (kit.KitError, OSError) as error:
                return f"error {str(error).splitlines()[0]}"
        return "ok"


class Orders(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(f"{self.server.obey(line.decode(errors='replace').strip())}\n".encode())


def run(command, cluster, environment):
    """The command's exit code, as a shell tells it if a signal ended it, and whether a signal came for this script. SIGTERM
    and SIGINT are handed on to the command."""
    signals = []

    def hand_on(number, frame):
        signals.append(number)
        process.send_signal(number)
    # exec, so that the signal of its parent's death goes to the command itself.
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], env=os.environ | environment)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hand_on)
    code = process.wait()
    return 128 - code if code < 0 else code, bool(signals)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1)
    parser.add_argument("--sasl", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a line of server.properties over the kit's own")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    said = parser.parse_args()
    lack = kit.missing()
    if lack:
        print(f"SKIPPED: {lack}", flush=True)
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # while the brokers start
    cluster = kit.Cluster(said.nodes, sasl=said.sasl, settings=dict(line.split("=", 1) for line in said.set))
    failed = False
    try:
        cluster.up()
        with Control(cluster) as control:
            threading.Thread(target=control.serve_forever, daemon=True).start()
            environment = {"TRUETAPE_KAFKA": cluster.bootstrap, "TRUETAPE_KAFKA_NODES": str(said.nodes),
                           "TRUETAPE_KAFKA_DIR": str(cluster.directory),
                           "TRUETAPE_KAFKA_CONTROL": "{}:{}".format(*control.server_address)}
            if said.sasl:
                environment |= {"TRUETAPE_KAFKA_CA": str(cluster.ca_file), "TRUETAPE_KAFKA_USER": cluster.user,
                                "TRUETAPE_KAFKA_PASSWORD": cluster.password}
            code, interrupted = run(said.command, cluster, environment)
            control.shutdown()
        failed = code not in (0, 77) and not interrupted
        if failed:
            print(f"with_broker: the command's exit code is {code}", file=sys.stderr)
            for node in cluster.nodes.values():
                print(f"with_broker: the log of broker {node.number} is {node.directory}/broker.log; its last warnings and errors:\n"
                      f"{node.complaints()}", file=sys.stderr)
        return code
    except kit.KitError as error:
        failed = True
        print(f"with_broker: {error}", file=sys.stderr)
        return 70
    finally:
        cluster.discard(keep_logs=failed)


if __name__ == "__main__":
    sys.exit(main())
