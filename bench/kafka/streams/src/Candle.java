import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** One candle as state and as result. A late trade changes it: open and close are those of the first and the last id. */
record Candle(BigDecimal open, BigDecimal high, BigDecimal low, BigDecimal close, BigDecimal volume, long count, long firstId,
    long lastId) {
  static final Candle NONE = new Candle(null, null, null, null, BigDecimal.ZERO, 0, Long.MAX_VALUE, Long.MIN_VALUE);

  Candle with(Trade trade) {
    final BigDecimal price = trade.price();
    final boolean first = trade.id() < firstId;
    final boolean last = trade.id() > lastId;
    return new Candle(first ? price : open, high == null || price.compareTo(high) > 0 ? price : high,
        low == null || price.compareTo(low) < 0 ? price : low, last ? price : close, volume.add(trade.quantity()), count + 1,
        first ? trade.id() : firstId, last ? trade.id() : lastId);
  }

  /** 60 to 70 bytes: count and ids, then each decimal as scale, size and its integer's bytes. */
  byte[] encode() {
    final BigDecimal[] decimals = {open, high, low, close, volume};
    final byte[][] integers = new byte[decimals.length][];
    int size = 3 * Long.BYTES;
    for (int i = 0; i < decimals.length; ++i) {
      integers[i] = decimals[i].unscaledValue().toByteArray();
      size += 2 + integers[i].length;
    }
    final ByteBuffer out = ByteBuffer.allocate(size).putLong(count).putLong(firstId).putLong(lastId);
    for (int i = 0; i < decimals.length; ++i) out.put((byte) decimals[i].scale()).put((byte) integers[i].length).put(integers[i]);
    return out.array();
  }

  static Candle decode(byte[] bytes) {
    final ByteBuffer in = ByteBuffer.wrap(bytes);
    final long count = in.getLong();
    final long firstId = in.getLong();
    final long lastId = in.getLong();
    return new Candle(decimal(in), decimal(in), decimal(in), decimal(in), decimal(in), count, firstId, lastId);
  }

  static Serde<Candle> serde() {
    return Serdes.serdeFrom((topic, candle) -> candle == null ? null : candle.encode(),
        (topic, bytes) -> bytes == null ? null : decode(bytes));
  }

  private static BigDecimal decimal(ByteBuffer in) {
    final int scale = in.get();
    final byte[] integer = new byte[in.get()];
    in.get(integer);
    return new BigDecimal(new BigInteger(integer), scale);
  }
}
