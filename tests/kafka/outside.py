"""What others do with the topics: PyPI's confluent-kafka reads them with its Avro deserialiser and a schema registry, and writes
into them. Needs .venv (tools/requirements.txt)."""
import contextlib
import dataclasses
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

GUARD = 60  # seconds until what must come is given up


@dataclasses.dataclass
class Message:
    partition: int
    offset: int
    key: bytes
    raw: bytes
    value: object  # what the deserialiser made of `raw`; None without one

    @property
    def schema_id(self):
        assert self.raw[0] == 0, self.raw[:5]
        return int.from_bytes(self.raw[1:5], "big")


def read(brokers, topic, registry=None):
    """All committed messages, in order of partition and offset, up to the ends of all partitions. `registry`: the URL of the one
    that tells the schemas of their values."""
    messages = []
    with contextlib.ExitStack() as closing:
        deserialize = None
        if registry:
            client = SchemaRegistryClient({"url": registry, "max.retries": 0})
            closing.callback(client.close)
            deserialize = AvroDeserializer(client)
        consumer = Consumer({"bootstrap.servers": brokers, "group.id": "outside", "isolation.level": "read_committed",
                             "enable.auto.commit": False, "auto.offset.reset": "error", "enable.partition.eof": True})
        closing.callback(consumer.close)
        left = set(consumer.list_topics(topic, timeout=GUARD).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in left])
        end = time.monotonic() + GUARD
        while left:
            assert time.monotonic() < end, f"{topic}: the ends of {left} are not reached"
            message = consumer.poll(0.5)
            if message is None:
                continue
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                left.discard(message.partition())
                continue
            value = deserialize(message.value(), SerializationContext(topic, MessageField.VALUE)) if deserialize else None
            messages.append(Message(message.partition(), message.offset(), message.key(), message.value(), value))
    return sorted(messages, key=lambda m: (m.partition, m.offset))


def write(brokers, topic, *records):
    """(partition, key, value) each, in order; answers (partition, offset) of each once all brokers in sync have it."""
    producer = Producer({"bootstrap.servers": brokers, "acks": "all", "enable.idempotence": True})
    where = [None] * len(records)

    def told(at):
        def delivered(error, message):
            assert error is None, error
            where[at] = (message.partition(), message.offset())
        return delivered
    for at, (partition, key, value) in enumerate(records):
        producer.produce(topic, value, key, partition, on_delivery=told(at))
    assert producer.flush(GUARD) == 0
    return where
