"""The files a broker of the kit starts from: its properties, its logging and, where asked for, a certificate authority of its own."""
import subprocess

LOG4J = """log4j.rootLogger=INFO, file
log4j.appender.file=org.apache.log4j.FileAppender
log4j.appender.file.File={directory}/broker.log
log4j.appender.file.layout=org.apache.log4j.PatternLayout
log4j.appender.file.layout.ConversionPattern=%d %p %m (%c)%n
"""


def properties(node, nodes, directory, client_port, plain_port, controllers, tls, extra):
    """The text of server.properties. `controllers`: node -> port; `tls`: the keystore of the clients' listener, SASL_SSL with
    SCRAM-SHA-512, or None: plain. Brokers, controllers and the kit itself always speak plain text, on loopback."""
    several = nodes > 1
    copies = 3 if several else 1
    in_sync = 2 if several else 1
    listeners = f"PLAINTEXT://127.0.0.1:{plain_port}"
    lines = {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{port}" for n, port in controllers.items()),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENT:SASL_SSL",
        "log.dirs": f"{directory}/data",
        "num.partitions": 4,
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "auto.create.topics.enable": "false",
        "delete.topic.enable": "true",
        # Tests wait for what a broker does by and by: let it do so soon.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
        "log.initial.task.delay.ms": 1000,
        "log.retention.check.interval.ms": 1000,
        "log.segment.delete.delay.ms": 1000,
        "log.cleaner.backoff.ms": 1000,
        # A broker that was killed is known as gone, and may come back, after this. (One that is alone need not be patient.)
        "broker.session.timeout.ms": 3000 if several else 1500,
        "broker.heartbeat.interval.ms": 500 if several else 250,
        # Small: a test's topics are. The default takes 128 MiB of the heap.
        "log.cleaner.dedupe.buffer.size": 16 << 20,
    }
    if tls:
        listeners += f",CLIENT://127.0.0.1:{client_port}"
        lines |= {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.client.scram-sha-512.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "listener.name.client.ssl.keystore.type": "PEM",
            "listener.name.client.ssl.keystore.location": tls,
        }
    lines |= {"advertised.listeners": listeners, "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controllers[node]}"}
    return "".join(f"{key}={value}\n" for key, value in (lines | extra).items())


def certificates(directory):
    """Makes ca.pem, a certificate authority, and server.pem, key and certificate of a server on this machine that it vouches
    for, for ten years. Answers both paths."""
    directory.mkdir(parents=True, exist_ok=True)

    def openssl(*arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], cwd=directory, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout"]
    (directory / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("req", "-x509", "-days", 3650, *key, "ca.key", "-out", "ca.pem", "-subj", "/CN=truetape test authority")
    openssl("req", *key, "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    openssl("x509", "-req", "-days", 3650, "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-extfile", "names", "-out", "server.crt")
    (directory / "server.pem").write_text((directory / "server.key").read_text() + (directory / "server.crt").read_text())
    return directory / "ca.pem", directory / "server.pem"
