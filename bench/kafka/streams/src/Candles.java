import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;

/**
 * Candles of 1 s and 1 m by Kafka Streams, exactly once: frames of the venue, keyed by instrument, in; each candle that changed
 * out, once per commit, keyed SYMBOL:INTERVAL:START in ms. Windows are of the trade's own time; one that comes up to 60 s late
 * still changes its candle. Defaults of Kafka Streams but for what main() sets.
 *
 * <p>usage: Candles BOOTSTRAP APPLICATION INPUT OUTPUT COMMIT_MS memory|rocksdb STATE_DIRECTORY UNTIL
 *
 * <p>Tells on standard output: "running"; "processed N" ten times a second; after UNTIL trades (0: never), or the end of
 * standard input, it closes, which commits, and says "done". It ends when standard input ends.
 */
public final class Candles {
  private static final Duration GRACE = Duration.ofSeconds(60);

  public static void main(String[] args) throws Exception {
    final String output = args[3];
    final boolean memory = args[5].equals("memory");
    final long until = Long.parseLong(args[7]);
    final AtomicLong processed = new AtomicLong();
    final CountDownLatch end = new CountDownLatch(1);

    final StreamsBuilder builder = new StreamsBuilder();
    final KGroupedStream<String, Trade> trades = builder
        .stream(args[2], Consumed.with(Serdes.String(), Serdes.serdeFrom((topic, trade) -> null, new Trade.Frame()))
            .withTimestampExtractor((record, before) -> record.value() instanceof Trade trade ? trade.time() : Math.max(before, 0)))
        .filter((key, trade) -> trade != null)
        .peek((key, trade) -> {
          if (processed.incrementAndGet() == until) end.countDown();
        })
        .groupByKey();
    candles(trades, "1s", Duration.ofSeconds(1), memory, output);
    candles(trades, "1m", Duration.ofMinutes(1), memory, output);

    final Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, args[4]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, args[6]);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    // So that a candle goes out once per commit, and not because the cache is full.
    settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 128 << 20);
    // A recording's times are long past, and must not be why a broker deletes the windows' state at once.
    settings.put(StreamsConfig.WINDOW_STORE_CHANGE_LOG_ADDITIONAL_RETENTION_MS_CONFIG, Duration.ofDays(36500).toMillis());
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
    final KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    streams.setUncaughtExceptionHandler(error -> {
      error.printStackTrace();
      Runtime.getRuntime().halt(1);
      return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
    });
    streams.setStateListener((now, before) -> {
      if (now == KafkaStreams.State.RUNNING) System.out.println("running");
    });
    final Thread stdin = new Thread(() -> {
      try {
        while (System.in.read() >= 0) { }
      } catch (java.io.IOException e) {
        System.err.println("standard input: " + e);
      }
      end.countDown();
    });
    stdin.start();
    final Thread teller = new Thread(() -> {
      try {
        for (;; Thread.sleep(100)) System.out.println("processed " + processed.get());
      } catch (InterruptedException e) {
        System.out.println("processed " + processed.get());
      }
    });
    streams.start();
    teller.start();
    end.await();
    if (!streams.close(Duration.ofSeconds(60))) {
      System.err.println("Kafka Streams did not close within 60 s");
      Runtime.getRuntime().halt(1);
    }
    teller.interrupt();
    teller.join();
    System.out.println("done");
    stdin.join();
  }

  private static void candles(KGroupedStream<String, Trade> trades, String interval, Duration size, boolean memory, String output) {
    final String store = "candles-" + interval;
    final Duration retention = size.plus(GRACE);
    final var candleSerde = Candle.serde();
    final var kept = memory
        ? Materialized.<String, Candle>as(Stores.inMemoryWindowStore(store, retention, size, false))
        : Materialized.<String, Candle>as(Stores.persistentWindowStore(store, retention, size, false));
    trades.windowedBy(TimeWindows.ofSizeAndGrace(size, GRACE))
        .aggregate(() -> Candle.NONE, (key, trade, candle) -> candle.with(trade),
            kept.withKeySerde(Serdes.String()).withValueSerde(candleSerde).withCachingEnabled())
        .toStream((window, candle) -> symbol(window.key()) + ":" + interval + ":" + window.window().start())
        .to(output, Produced.with(Serdes.String(), candleSerde));
  }

  /** "BTCUSDT" of the instrument "binance:BTCUSDT". */
  private static String symbol(String instrument) {
    return instrument.substring(instrument.indexOf(':') + 1);
  }

  private Candles() {}
}
