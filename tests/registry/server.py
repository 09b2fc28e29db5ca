#!/usr/bin/env python3
"""A schema registry for tests: the part of Confluent's REST API that clients of Avro schemas use, in memory or in a file. Nothing is
ever deleted. Standard library only; listens on loopback.

usage: server.py [options]     prints "ready registry=http://127.0.0.1:PORT" when it listens; SIGTERM ends it

In Python:  with server.running(user="alice:secret") as registry: ... registry.url, registry.requests, registry.fail = 3
"""
import argparse
import base64
import contextlib
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import sys
import threading
import urllib.parse

from compatibility import Schema, problems

LEVELS = ("NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE")
CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.body = status, {"error_code": code, "message": message}


def no_subject(subject):
    return Refused(404, 40401, f"Subject '{subject}' not found.")


class Store:
    """Schemas by id, subjects as lists of ids, the version being the place in it. One id for one schema, whatever the subject."""

    def __init__(self, file=None, level="BACKWARD", first_id=1):
        self.file = pathlib.Path(file) if file else None
        self.first_id = first_id
        self.schemas, self.subjects, self.levels = {}, {}, {"": level}
        if self.file and self.file.exists():
            kept = json.loads(self.file.read_text())
            self.schemas = {int(number): text for number, text in kept["schemas"].items()}
            self.subjects, self.levels = kept["subjects"], kept["levels"]

    def keep(self):
        if self.file:
            fresh = self.file.with_suffix(".partial")
            fresh.write_text(json.dumps({"schemas": self.schemas, "subjects": self.subjects, "levels": self.levels}))
            os.replace(fresh, self.file)

    def schema_of(self, body):
        if body.get("schemaType", "AVRO") != "AVRO" or body.get("references"):
            raise Refused(422, 42201, "Invalid schema: this registry has Avro without references only")
        try:
            return Schema(body["schema"])
        except (KeyError, TypeError, ValueError) as wrong:
            raise Refused(422, 42201, f"Invalid schema: {wrong}") from None

    def id_of(self, schema):
        return next((number for number, text in self.schemas.items() if Schema(text).identity == schema.identity), None)

    def versions(self, subject):
        if subject not in self.subjects:
            raise no_subject(subject)
        return self.subjects[subject]

    def version(self, subject, version):
        ids = self.versions(subject)
        if version in ("latest", "-1"):
            version = str(len(ids))
        if not version.isdigit():
            raise Refused(422, 42202, f"The specified version '{version}' is not a valid version id.")
        if not 1 <= int(version) <= len(ids):
            raise Refused(404, 40402, f"Version {version} not found.")
        return self.described(subject, int(version))

    def described(self, subject, version):
        number = self.subjects[subject][version - 1]
        return {"subject": subject, "version": version, "id": number, "schema": self.schemas[number]}

    def look_up(self, subject, body):
        number = self.id_of(self.schema_of(body))
        if number not in self.versions(subject):
            raise Refused(404, 40403, "Schema not found")
        return self.described(subject, self.subjects[subject].index(number) + 1)

    def register(self, subject, body):
        schema = self.schema_of(body)
        number = self.id_of(schema)
        ids = self.subjects.get(subject, [])
        if number is not None and number in ids:
            return {"id": number}
        level = self.levels.get(subject, self.levels[""])
        found = self.against(schema, ids if level.endswith("TRANSITIVE") else ids[-1:], level)
        if found:
            raise Refused(409, 409, f"Schema being registered is incompatible with an earlier schema for subject \"{subject}\", "
                                    f"details: [{', '.join(found)}, {{compatibility: '{level}'}}]")
        if number is None:
            number = max(self.schemas, default=self.first_id - 1) + 1
            self.schemas[number] = body["schema"]
        self.subjects.setdefault(subject, []).append(number)
        self.keep()
        return {"id": number}

    def against(self, schema, ids, level):
        found = []
        for number in ids:
            old = Schema(self.schemas[number])
            if level.startswith(("BACKWARD", "FULL")):
                found += problems(schema, old)
            if level.startswith(("FORWARD", "FULL")):
                found += problems(old, schema)
        return found

    def compatible(self, subject, version, body, verbose):
        schema = self.schema_of(body)
        ids = self.versions(subject) if version is None else [self.version(subject, version)["id"]]
        found = self.against(schema, ids, self.levels.get(subject, self.levels[""]))
        return {"is_compatible": not found, **({"messages": found} if verbose else {})}

    def text_of(self, number):
        if int(number) not in self.schemas:
            raise Refused(404, 40403, f"Schema {number} not found")
        return self.schemas[int(number)]

    def set_level(self, subject, body):
        level = body.get("compatibility")
        if level not in LEVELS:
            raise Refused(422, 42203, f"Invalid compatibility level. Valid values are {', '.join(LEVELS)}")
        self.levels[subject] = level
        self.keep()
        return {"compatibility": level}

    def level(self, subject):
        if subject and subject not in self.levels:
            raise Refused(404, 40408, f"Subject '{subject}' does not have subject-level compatibility configured")
        return {"compatibilityLevel": self.levels[subject]}


NAME, NUMBER = r"([^/?]+)", r"(\d+)"
ROUTES = [(method, re.compile(path), call) for method, path, call in (
    ("GET", "/", lambda s, q, b: {}),
    ("GET", "/subjects", lambda s, q, b: [name for name in s.subjects if name.startswith(q.get("subjectPrefix", ""))]),
    ("POST", f"/subjects/{NAME}", lambda s, q, b, subject: s.look_up(subject, b)),
    ("GET", f"/subjects/{NAME}/versions", lambda s, q, b, subject: list(range(1, len(s.versions(subject)) + 1))),
    ("POST", f"/subjects/{NAME}/versions", lambda s, q, b, subject: s.register(subject, b)),
    ("GET", f"/subjects/{NAME}/versions/{NAME}", lambda s, q, b, subject, version: s.version(subject, version)),
    ("GET", f"/subjects/{NAME}/versions/{NAME}/schema", lambda s, q, b, subject, version: json.loads(s.version(subject, version)["schema"])),
    ("GET", "/schemas/types", lambda s, q, b: ["AVRO"]),
    ("GET", f"/schemas/ids/{NUMBER}", lambda s, q, b, number: {"schema": s.text_of(number)}),
    ("GET", f"/schemas/ids/{NUMBER}/versions", lambda s, q, b, number: s.text_of(number) and [
        {"subject": name, "version": ids.index(int(number)) + 1} for name, ids in s.subjects.items() if int(number) in ids]),
    ("POST", f"/compatibility/subjects/{NAME}/versions", lambda s, q, b, subject: s.compatible(subject, None, b, q.get("verbose", "").lower() == "true")),
    ("POST", f"/compatibility/subjects/{NAME}/versions/{NAME}",
     lambda s, q, b, subject, version: s.compatible(subject, version, b, q.get("verbose", "").lower() == "true")),
    ("GET", "/config", lambda s, q, b: s.level("")),
    ("PUT", "/config", lambda s, q, b: s.set_level("", b)),
    ("GET", f"/config/{NAME}", lambda s, q, b, subject: s.level(subject)),
    ("PUT", f"/config/{NAME}", lambda s, q, b, subject: s.set_level(subject, b)),
    ("GET", "/mode", lambda s, q, b: {"mode": "READWRITE"}),
)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *ignored):
        pass

    def setup(self):
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self):
        self.server.connections.discard(self.connection)
        super().finish()

    def answer(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            if self.server.is_down():
                self.close_connection = True
                return
            self.server.requests.append((self.command, self.path))
            status, body = self.judge(content)
            self.server.go_down_in_time()
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(text)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.end_headers()
        self.wfile.write(text)

    def judge(self, content):
        server = self.server
        if server.fail > 0:
            server.fail -= 1
            return server.fail_status, {"error_code": 50001, "message": "Error in the backend data store"}
        if server.user and self.headers.get("Authorization") != "Basic " + base64.b64encode(server.user.encode()).decode():
            return 401, {"error_code": 401, "message": "Unauthorized"}
        try:
            path, _, query = self.path.partition("?")
            for method, pattern, call in ROUTES:
                found = pattern.fullmatch(path.rstrip("/") or "/")
                if found and method == self.command:
                    try:
                        body = json.loads(content) if content else {}
                    except ValueError:
                        raise Refused(400, 400, "the body is no JSON") from None
                    parts = [urllib.parse.unquote(part) for part in found.groups()]
                    return 200, call(server.store, dict(urllib.parse.parse_qsl(query)), body, *parts)
            raise Refused(404, 404, "HTTP 404 Not Found")
        except Refused as refused:
            return refused.status, refused.body

    do_GET = do_POST = do_PUT = do_DELETE = answer


class Server(http.server.ThreadingHTTPServer):
    """`fail`: so many requests from now on are answered with `fail_status`. `down_after`: after so many nothing is answered and no
    connection taken any more; None: never. `requests`: (method, target) of all that were answered."""
    daemon_threads = True

    def __init__(self, port=0, user=None, file=None, level="BACKWARD", first_id=1, fail=0, down_after=None, certificate=None, key=None):
        super().__init__(("127.0.0.1", port), Handler)
        self.store, self.user = Store(file, level, first_id), user
        self.fail, self.fail_status, self.down_after = fail, 500, down_after
        self.requests, self.connections, self.lock = [], set(), threading.Lock()
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server_port}"

    def is_down(self):
        return self.down_after is not None and len(self.requests) >= self.down_after

    def go_down_in_time(self):
        if self.is_down():
            threading.Thread(target=self.stop, daemon=True).start()

    def stop(self):
        """As if the process had ended: the port is refused, connections end."""
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # who goes away or does not speak TLS is no fault of ours
            super().handle_error(request, client_address)


@contextlib.contextmanager
def running(**options):
    """A server on a thread of its own."""
    server = Server(**options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--user", metavar="NAME:PASSWORD", help="who else may not")
    parser.add_argument("--file", help="keeps everything there, and begins with what is there")
    parser.add_argument("--level", choices=LEVELS, default="BACKWARD")
    parser.add_argument("--first-id", type=int, default=1, metavar="N", help="the first schema's id, if there is none yet")
    parser.add_argument("--fail", type=int, default=0, metavar="N", help="answers the first N requests with 500")
    parser.add_argument("--down-after", type=int, metavar="N", help="answers nothing, and takes no connection, after N requests")
    parser.add_argument("--certificate", metavar="PEM")
    parser.add_argument("--key", metavar="PEM")
    options = parser.parse_args()
    with running(**vars(options)) as server:
        print(f"ready registry={server.url}", flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
