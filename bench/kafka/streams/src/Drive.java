import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * What stands around Candles when it is measured: the venue's side and the reader's.
 *
 * <pre>
 * Drive BOOTSTRAP create PARTITIONS TOPIC...     makes the topics
 * Drive BOOTSTRAP delete TOPIC...                deletes those that are there and whose name begins so
 * Drive BOOTSTRAP fill TOPIC TAPE INSTRUMENTS LATE TRADES
 *                                                writes that many trades as fast as it goes
 * Drive BOOTSTRAP pace TOPIC TAPE INSTRUMENTS LATE RATE WARM SECONDS OUTPUT
 *                                                writes RATE trades a second, reads OUTPUT, tells how long each took as JSON
 * Drive BOOTSTRAP frames TOPIC                   prints the frames in TOPIC
 * Drive BOOTSTRAP candles TOPIC                  prints the candles in TOPIC: key, open, high, low, close, volume, count
 * </pre>
 */
public final class Drive {
  private static String bootstrap;

  public static void main(String[] args) throws Exception {
    bootstrap = args[0];
    final String[] rest = Arrays.copyOfRange(args, 2, args.length);
    switch (args[1]) {
      case "create" -> create(rest);
      case "delete" -> delete(rest);
      case "fill" -> fill(rest);
      case "pace" -> pace(rest);
      case "frames" -> read(rest[0], (key, value) -> new String(value, StandardCharsets.US_ASCII));
      case "candles" -> read(rest[0], (key, value) -> {
        final Candle c = Candle.decode(value);
        return String.join(" ", key, c.open().toPlainString(), c.high().toPlainString(), c.low().toPlainString(),
            c.close().toPlainString(), c.volume().toPlainString(), Long.toString(c.count()));
      });
      default -> throw new IllegalArgumentException("no such command: " + args[1]);
    }
  }

  private static void create(String[] args) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
      // Kafka Streams gives a result the time of its trade, and a broker deletes by that time: a recording's would go at once.
      final Map<String, String> keep = Map.of("retention.ms", "-1");
      admin.createTopics(Arrays.stream(args).skip(1)
          .map(name -> new NewTopic(name, Integer.parseInt(args[0]), (short) -1).configs(keep)).toList()).all().get();
    }
  }

  private static void delete(String[] args) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
      admin.deleteTopics(admin.listTopics().names().get().stream()
          .filter(name -> Arrays.stream(args).anyMatch(name::startsWith)).toList()).all().get();
    }
  }

  private static KafkaProducer<String, byte[]> producer() {
    return new KafkaProducer<>(
        Map.of("bootstrap.servers", bootstrap, "acks", "all", "compression.type", "lz4", "batch.size", 262144, "linger.ms", 0),
        new StringSerializer(), new ByteArraySerializer());
  }

  /** Reads committed records alone, from the begin of all partitions. */
  private static KafkaConsumer<String, byte[]> consumer(String topic) {
    final KafkaConsumer<String, byte[]> consumer = new KafkaConsumer<>(
        Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed", "auto.offset.reset", "earliest"),
        new StringDeserializer(), new ByteArrayDeserializer());
    final List<TopicPartition> all =
        consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
    consumer.assign(all);
    consumer.seekToBeginning(all);
    return consumer;
  }

  private interface Sent {
    void sent(Tape.Frame frame);
  }

  private static void send(KafkaProducer<String, byte[]> producer, String topic, Tape.Frame frame, AtomicReference<Exception> failed,
      Sent acknowledged) {
    producer.send(new ProducerRecord<>(topic, frame.instrument(), frame.bytes()), (meta, error) -> {
      if (error != null) failed.compareAndSet(null, error);
      else acknowledged.sent(frame);
    });
  }

  private static void fill(String[] args) throws Exception {
    final Tape tape = new Tape(Path.of(args[1]), Integer.parseInt(args[2]), Integer.parseInt(args[3]));
    final long trades = Long.parseLong(args[4]);
    final AtomicReference<Exception> failed = new AtomicReference<>();
    try (KafkaProducer<String, byte[]> producer = producer()) {
      while (tape.made() < trades) {
        final Tape.Frame frame = tape.next(-1);
        if (frame == null) continue;
        for (Tape.Frame late = tape.due(frame.time()); late != null; late = tape.due(frame.time()))
          send(producer, args[0], late, failed, f -> { });
        send(producer, args[0], frame, failed, f -> { });
      }
      for (Tape.Frame late = tape.last(); late != null; late = tape.last()) send(producer, args[0], late, failed, f -> { });
      producer.flush();
    }
    if (failed.get() != null) throw failed.get();
  }

  /** A trade on its way: when it was handed to the producer, and when the broker had it, by System.nanoTime(). */
  private static final class OnItsWay {
    final long id;
    final boolean counts;
    final long sent = System.nanoTime();
    volatile long acknowledged = 0;

    OnItsWay(long id, boolean counts) {
      this.id = id;
      this.counts = counts;
    }
  }

  /**
   * From the append of a trade to the receipt of the first committed candle of 1 s that holds it. A late trade is in a candle
   * whose last id is another's: it is written, and not measured.
   */
  private static void pace(String[] args) throws Exception {
    final Tape tape = new Tape(Path.of(args[1]), Integer.parseInt(args[2]), Integer.parseInt(args[3]));
    final long rate = Long.parseLong(args[4]);
    final long warm = Long.parseLong(args[5]) * rate;
    final long trades = warm + Long.parseLong(args[6]) * rate;
    final Map<String, ArrayDeque<OnItsWay>> pending = new ConcurrentHashMap<>();
    final AtomicLong waiting = new AtomicLong();
    final AtomicReference<Exception> failed = new AtomicReference<>();
    final long[] fromSend = new long[(int) (trades - warm)];
    final long[] fromAcknowledged = new long[(int) (trades - warm)];
    final int[] measured = {0};
    final boolean[] allSent = {false};
    final KafkaConsumer<String, byte[]> consumer = consumer(args[7]);
    final Thread reader = new Thread(() -> {
      try {
        while (true) {
          final var records = consumer.poll(Duration.ofMillis(200));
          final long now = System.nanoTime();
          for (final var record : records) {
            final String[] key = record.key().split(":");
            if (!key[1].equals("1s")) continue;
            final long last = Candle.decode(record.value()).lastId();
            final ArrayDeque<OnItsWay> queue = pending.get(key[0]);
            synchronized (queue) {
              while (!queue.isEmpty() && queue.peek().id <= last) {
                final OnItsWay trade = queue.poll();
                waiting.decrementAndGet();
                if (!trade.counts) continue;
                // Committed before its own acknowledgement was handled here: then it took no time from that on.
                final long from = trade.acknowledged;
                fromSend[measured[0]] = now - trade.sent;
                fromAcknowledged[measured[0]++] = from == 0 ? 0 : now - from;
              }
            }
          }
          synchronized (allSent) {
            if (allSent[0] && waiting.get() == 0) return;
          }
        }
      } catch (RuntimeException e) {
        failed.compareAndSet(null, e);
      }
    });
    reader.start();
    try (KafkaProducer<String, byte[]> producer = producer()) {
      final long begin = System.nanoTime();
      final long clock = System.currentTimeMillis();
      while (tape.made() < trades && failed.get() == null) {
        final long elapsed = System.nanoTime() - begin;
        final long due = Math.min(trades, elapsed * rate / 1_000_000_000);
        final long now = clock + elapsed / 1_000_000;
        if (tape.made() >= due) LockSupport.parkNanos(200_000);
        while (tape.made() < due) {
          final boolean counts = tape.made() >= warm;
          if (tape.made() == warm) System.out.println("warm");
          for (Tape.Frame late = tape.due(now); late != null; late = tape.due(now)) send(producer, args[0], late, failed, f -> { });
          final Tape.Frame frame = tape.next(now);
          if (frame == null) continue;
          final OnItsWay trade = new OnItsWay(frame.id(), counts);
          final ArrayDeque<OnItsWay> queue = pending.computeIfAbsent(frame.symbol(), s -> new ArrayDeque<>());
          waiting.incrementAndGet();
          synchronized (queue) {
            queue.add(trade);
          }
          send(producer, args[0], frame, failed, f -> trade.acknowledged = System.nanoTime());
        }
      }
      System.out.println("sent");
      for (Tape.Frame late = tape.last(); late != null; late = tape.last()) send(producer, args[0], late, failed, f -> { });
      producer.flush();
    }
    synchronized (allSent) {
      allSent[0] = true;
    }
    reader.join(60_000);
    if (failed.get() != null) throw failed.get();
    if (reader.isAlive()) throw new IllegalStateException(waiting.get() + " trades are in no committed candle a minute after the last");
    System.out.println("{\"measured\": " + measured[0] + ", \"from_send_ms\": " + percentiles(fromSend, measured[0]) + ", \"from_ack_ms\": "
        + percentiles(fromAcknowledged, measured[0]) + "}");
    System.out.flush();
    Runtime.getRuntime().halt(0);
  }

  private static String percentiles(long[] nanoseconds, int count) {
    final long[] sorted = Arrays.copyOf(nanoseconds, count);
    Arrays.sort(sorted);
    final StringBuilder out = new StringBuilder("{");
    for (final double share : new double[] {0.5, 0.9, 0.99, 0.999, 1})
      out.append(String.format(Locale.ROOT, "%s\"p%s\": %.2f", out.length() > 1 ? ", " : "", share == 0.999 ? "99.9" : (int) (share * 100),
          sorted[(int) Math.max(0, Math.ceil(share * count) - 1)] / 1e6));
    return out.append("}").toString();
  }

  private interface Line {
    String of(String key, byte[] value);
  }

  /** Prints all records with a value that are committed in the topic. */
  private static void read(String topic, Line line) throws Exception {
    try (KafkaConsumer<String, byte[]> consumer = consumer(topic);
        PrintStream out = new PrintStream(new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 20))) {
      final Map<TopicPartition, Long> ends = consumer.endOffsets(consumer.assignment());
      while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue()))
        for (final var record : consumer.poll(Duration.ofMillis(200)))
          if (record.value() != null && record.value().length > 0) out.println(line.of(record.key(), record.value()));
    }
  }

  private Drive() {}
}
