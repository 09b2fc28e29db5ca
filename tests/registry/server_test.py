#!/usr/bin/env python3
"""The test registry judged by others: confluent-kafka's client, its Avro deserialiser, and fastavro for what is compatible."""
import io
import json
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
from decimal import Decimal

import fastavro
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

import compatibility
import server

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRADE = (ROOT / "schemas/trade.avsc").read_text()
CANDLE = (ROOT / "schemas/candle.avsc").read_text()


def avro(text):
    return Schema(text, "AVRO")


def record(*fields, name="T"):
    return json.dumps({"type": "record", "name": name, "fields": [dict(zip(("name", "type", "default"), field)) for field in fields]})


class Registry(unittest.TestCase):
    def setUp(self):
        running = server.running()
        self.registry = running.__enter__()
        self.addCleanup(running.__exit__, None, None, None)
        self.client = self.new_client()

    def new_client(self, url=None, **more):
        client = SchemaRegistryClient({"url": url or self.registry.url, "max.retries": 0, **more})
        self.addCleanup(client.close)
        return client

    def refused(self, code, call, *arguments):
        with self.assertRaises(SchemaRegistryError) as caught:
            call(*arguments)
        self.assertEqual(caught.exception.error_code, code, caught.exception)
        return str(caught.exception)

    def test_register_and_look_up(self):
        first = self.client.register_schema("market.trades-value", avro(TRADE))
        self.assertEqual(self.client.register_schema("market.trades-value", avro(TRADE)), first)
        self.assertEqual(self.client.register_schema("other.trades-value", avro(TRADE)), first, "one schema has one id")
        self.assertNotEqual(self.client.register_schema("market.candles-value", avro(CANDLE)), first)
        fresh = self.new_client()
        self.assertEqual(fresh.register_schema("market.trades-value", avro(TRADE)), first, "not only in the client's cache")
        found = fresh.lookup_schema("market.trades-value", avro(json.dumps(json.loads(TRADE))))
        self.assertEqual((found.schema_id, found.version, found.subject), (first, 1, "market.trades-value"))
        self.assertEqual(json.loads(fresh.get_schema(first).schema_str), json.loads(TRADE))
        self.assertEqual(sorted(fresh.get_subjects()), ["market.candles-value", "market.trades-value", "other.trades-value"])
        self.assertEqual([(v.subject, v.version) for v in fresh.get_schema_versions(first)],
                         [("market.trades-value", 1), ("other.trades-value", 1)])
        self.assertEqual(fresh.get_schema_types(), ["AVRO"])

    def test_versions(self):
        self.client.register_schema("s", avro(record(("a", "int"))))
        second = self.client.register_schema("s", avro(record(("a", "int"), ("b", "int", 1))))
        self.assertEqual(self.client.get_versions("s"), [1, 2])
        latest = self.client.get_latest_version("s")
        self.assertEqual((latest.version, latest.schema_id), (2, second))
        self.assertEqual(self.client.get_version("s", 1).schema.schema_str, record(("a", "int")))

    def test_what_is_not_there(self):
        self.refused(40401, self.client.lookup_schema, "nothing", avro(TRADE))
        self.refused(40401, self.client.get_latest_version, "nothing")
        self.refused(40401, self.client.get_versions, "nothing")
        self.refused(40403, self.client.get_schema, 17)
        self.client.register_schema("s/with space%", avro(TRADE))
        self.refused(40403, self.client.lookup_schema, "s/with space%", avro(CANDLE))
        self.refused(40402, self.client.get_version, "s/with space%", 2)
        self.refused(42202, self.client.get_version, "s/with space%", "second")
        self.assertEqual(self.client.get_subjects(), ["s/with space%"])

    def test_bad_schemas(self):
        for text in ("", "{", "17", '"trade"', '{"type": "record", "fields": []}', '{"type": "record", "name": "r"}', '{"type": "array"}'):
            self.refused(42201, self.client.register_schema, "s", avro(text))
        self.refused(42201, self.client.register_schema, "s", Schema("{}", "JSON"))
        self.assertEqual(self.client.get_subjects(), [])

    def test_compatibility(self):
        self.client.register_schema("s", avro(record(("a", "int"))))
        worse = avro(record(("a", "int"), ("b", "int")))
        self.assertFalse(self.client.test_compatibility("s", worse))
        self.assertIn("READER_FIELD_MISSING_DEFAULT_VALUE", self.refused(409, self.client.register_schema, "s", worse))
        self.assertEqual(self.client.get_versions("s"), [1])
        better = avro(record(("a", "long"), ("b", "int", 0)))
        self.assertTrue(self.client.test_compatibility("s", better))
        self.assertTrue(self.client.test_compatibility_all_versions("s", better))
        self.assertEqual(self.client.get_compatibility(), "BACKWARD")
        self.refused(40408, self.client.get_compatibility, "s")
        self.client.set_compatibility("s", "FORWARD")
        self.assertEqual(self.client.get_compatibility("s"), "FORWARD")
        self.assertTrue(self.client.test_compatibility("s", worse))
        self.assertFalse(self.client.test_compatibility("s", better))
        self.client.set_compatibility("s", "FULL")
        self.assertFalse(self.client.test_compatibility("s", worse))
        self.client.set_compatibility("s", "NONE")
        self.client.register_schema("s", avro('"string"'))
        self.refused(42203, self.client.set_compatibility, "s", "SIDEWAYS")
        self.refused(40401, self.client.test_compatibility, "nothing", worse)

    def test_each_of_our_schemas_is_taken_and_read_by_the_deserialiser(self):
        for file in sorted((ROOT / "schemas").glob("*.avsc")):
            text = file.read_text()
            number = self.client.register_schema(f"market.{file.stem}-value", avro(text))
            schema = fastavro.parse_schema(json.loads(text))
            value = {field["name"]: example(field["type"]) for field in schema["fields"]}
            out = io.BytesIO()
            fastavro.schemaless_writer(out, schema, value)
            read = AvroDeserializer(self.new_client())(b"\0" + struct.pack(">I", number) + out.getvalue(),
                                                       SerializationContext("market.x", MessageField.VALUE))
            self.assertEqual(read, value, file.name)

    def test_basic_authorization(self):
        with server.running(user="alice:s@:/cret") as registry:
            def client(user):
                return self.new_client(registry.url, **{"basic.auth.user.info": user})
            self.assertEqual(client("alice:s@:/cret").get_subjects(), [])
            self.refused(401, client("alice:wrong").get_subjects)
            self.refused(401, self.new_client(registry.url).get_subjects)

    def test_misbehaving_on_order(self):
        self.registry.fail = 2
        self.refused(50001, self.client.get_subjects)
        self.refused(50001, self.client.get_subjects)
        self.assertEqual(self.client.get_subjects(), [])
        self.registry.down_after = len(self.registry.requests) + 1
        self.assertEqual(self.client.get_subjects(), [], "the last that is answered")
        with self.assertRaises(Exception) as caught:
            self.new_client().get_subjects()
        self.assertNotIsInstance(caught.exception, SchemaRegistryError)

    def test_as_a_process_with_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            numbers = []
            for _ in range(2):
                process = subprocess.Popen([sys.executable, server.__file__, "--file", f"{folder}/registry.json"],
                                           stdout=subprocess.PIPE, text=True)
                try:
                    url = process.stdout.readline().removeprefix("ready registry=").strip()
                    client = self.new_client(url)
                    self.assertEqual(client.get_subjects(), ["s"] if numbers else [])
                    numbers.append(client.register_schema("s", avro(TRADE)))
                finally:
                    process.send_signal(signal.SIGTERM)
                    self.assertEqual(process.wait(timeout=60), 0)
                    process.stdout.close()
            self.assertEqual(numbers[0], numbers[1])


def example(kind):
    """Some value of a parsed schema's type, as the deserialiser gives it back."""
    if isinstance(kind, list):
        return example(kind[-1])
    if isinstance(kind, str):
        return {"string": "ü", "long": -7, "boolean": True}[kind]
    if kind["type"] == "enum":
        return kind["symbols"][-1]
    if kind["type"] == "array":
        return [example(kind["items"])]
    return 1723075200123456789 if kind.get("logicalType") == "timestamp-nanos" else example_decimal(kind)


def example_decimal(kind):
    assert (kind["logicalType"], kind["precision"], kind["scale"]) == ("decimal", 38, 18), kind
    return Decimal("61837.640000000000000000")


class Compatibility(unittest.TestCase):
    """The rules against fastavro's reader: whether it can read what the old schema wrote."""
    ENUM = '{"type": "enum", "name": "E", "symbols": ["a", "b"]}'
    CASES = [  # old, a value that it writes, new, compatible
        ('"int"', 7, '"int"', True), ('"int"', 7, '"long"', True), ('"int"', 7, '"float"', True), ('"long"', 7, '"double"', True),
        ('"float"', 0.5, '"double"', True), ('"long"', 7, '"int"', False), ('"double"', 0.5, '"float"', False), ('"int"', 7, '"string"', False),
        ('"string"', "x", '"bytes"', True), ('"bytes"', b"x", '"string"', True), ('"boolean"', True, '"int"', False),
        ('"int"', 7, '["null", "int"]', True), ('"int"', 7, '["null", "long"]', True), ('"int"', 7, '["null", "string"]', False),
        ('["null", "int"]', 7, '["int", "null"]', True), ('["null", "int"]', 7, '["null"]', False), ('["int"]', 7, '"int"', True),
        ('{"type": "array", "items": "int"}', [7], '{"type": "array", "items": "long"}', True),
        ('{"type": "array", "items": "int"}', [7], '{"type": "array", "items": "string"}', False),
        ('{"type": "array", "items": "int"}', [7], '{"type": "map", "values": "int"}', False),
        ('{"type": "map", "values": "int"}', {"k": 7}, '{"type": "map", "values": "boolean"}', False),
        (ENUM, "b", ENUM, True), (ENUM, "b", '{"type": "enum", "name": "E", "symbols": ["c", "b", "a"]}', True),
        (ENUM, "b", '{"type": "enum", "name": "E", "symbols": ["a"]}', False),
        (ENUM, "b", '{"type": "enum", "name": "E", "symbols": ["a"], "default": "a"}', True),
        ('{"type": "fixed", "name": "F", "size": 2}', b"xy", '{"type": "fixed", "name": "F", "size": 3}', False),
        (record(("a", "int")), {"a": 7}, record(), True),
        (record(("a", "int")), {"a": 7}, record(("a", "int"), ("b", "int", 1)), True),
        (record(("a", "int")), {"a": 7}, record(("a", "int"), ("b", "int")), False),
        (record(("a", "int")), {"a": 7}, record(("a", "string")), False),
        (record(("a", "int"), ("b", "string")), {"a": 7, "b": "x"}, record(("b", "string"), ("a", "long")), True),
        ('{"type": "record", "name": "R", "fields": [{"name": "next", "type": ["null", "R"]}]}', {"next": {"next": None}},
         '{"type": "record", "name": "R", "fields": [{"name": "next", "type": ["null", "R"]}, {"name": "b", "type": "int", "default": 0}]}', True),
    ]

    def test_the_rules_are_those_by_which_fastavro_reads(self):
        for old, value, new, compatible in self.CASES:
            with self.subTest(old=old, new=new):
                out = io.BytesIO()
                fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(old)), value)
                try:
                    fastavro.schemaless_reader(io.BytesIO(out.getvalue()), fastavro.parse_schema(json.loads(old)), fastavro.parse_schema(json.loads(new)))
                    read = True
                except Exception:  # fastavro's refusals have no common class
                    read = False
                found = compatibility.problems(compatibility.Schema(new), compatibility.Schema(old))
                self.assertEqual((read, not found), (compatible, compatible), found)


if __name__ == "__main__":
    unittest.main(verbosity=2)
