import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.math.BigDecimal;
import org.apache.kafka.common.serialization.Deserializer;

/** A trade out of the venue's frame, every digit kept. */
record Trade(String symbol, long id, BigDecimal price, BigDecimal quantity, long time) {
  /** Jackson's streaming parser: nothing is built that the candles do not need. Other frames, and no frame, are null. */
  static final class Frame implements Deserializer<Trade> {
    private static final JsonFactory FACTORY = new JsonFactory();

    @Override
    public Trade deserialize(String topic, byte[] frame) {
      if (frame == null || frame.length == 0) return null;
      String event = null;
      String symbol = null;
      BigDecimal price = null;
      BigDecimal quantity = null;
      long id = -1;
      long time = -1;
      try (JsonParser parser = FACTORY.createParser(frame)) {
        for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
          if (token != JsonToken.FIELD_NAME) continue;
          final String name = parser.currentName();
          parser.nextToken();
          if (name.length() != 1) continue;
          switch (name.charAt(0)) {
            case 'e' -> event = parser.getText();
            case 's' -> symbol = parser.getText();
            case 't' -> id = parser.getLongValue();
            case 'T' -> time = parser.getLongValue();
            case 'p' -> price = decimal(parser);
            case 'q' -> quantity = decimal(parser);
            default -> { }
          }
        }
      } catch (IOException e) {
        throw new IllegalArgumentException("not a frame of the venue: " + new String(frame), e);
      }
      return "trade".equals(event) ? new Trade(symbol, id, price, quantity, time) : null;
    }

    private static BigDecimal decimal(JsonParser parser) throws IOException {
      return new BigDecimal(parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength());
    }
  }
}
