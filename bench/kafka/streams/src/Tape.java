import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.PriorityQueue;

/**
 * The venue's trades as they arrive: those of a recording, repeated, as many instruments as wanted in turns, each with ids without
 * a hole. Every `late`-th (0: none) is held back by 1 to 8 s of the trades' own time. One thread.
 */
final class Tape {
  /** A frame as it arrives. */
  record Frame(String instrument, String symbol, long id, long time, boolean late, byte[] bytes) {}

  private record Recorded(long time, String price, String quantity, boolean maker) {}

  private final List<Recorded> recorded;
  private final String[] symbols;
  private final int late;
  private final long period;
  private final PriorityQueue<Frame> held = new PriorityQueue<>(Comparator.comparingLong(Tape::due));
  private long made = 0;

  /** The file's lines: time in ms, price, quantity, true or false (the buyer is the maker), with blanks between. */
  Tape(Path file, int instruments, int late) throws IOException {
    recorded = Files.readAllLines(file).stream().map(line -> line.split(" "))
        .map(word -> new Recorded(Long.parseLong(word[0]), word[1], word[2], Boolean.parseBoolean(word[3]))).toList();
    symbols = new String[instruments];
    for (int i = 0; i < instruments; ++i) symbols[i] = instruments == 1 ? "BTCUSDT" : String.format(Locale.ROOT, "T%04dUSDT", i);
    this.late = late;
    period = recorded.get(recorded.size() - 1).time - recorded.get(0).time + 33; // the mean distance of two trades
  }

  long made() {
    return made;
  }

  /** A frame that was held back and is due at `now`, or null. */
  Frame due(long now) {
    return !held.isEmpty() && due(held.peek()) <= now ? held.poll() : null;
  }

  /** The next trade's frame, or null: it is held back. Its time is the recorded one, or `time` if that is not negative. */
  Frame next(long time) {
    final long i = made / symbols.length;
    final Recorded trade = recorded.get((int) (i % recorded.size()));
    final String symbol = symbols[(int) (made % symbols.length)];
    final long at = time >= 0 ? time : trade.time + i / recorded.size() * period;
    final boolean hold = late > 0 && made % late == late - 1;
    ++made;
    final String text = "{\"stream\":\"" + symbol.toLowerCase(Locale.ROOT) + "@trade\",\"data\":{\"e\":\"trade\",\"E\":" + (at + 1)
        + ",\"s\":\"" + symbol + "\",\"t\":" + (i + 1) + ",\"p\":\"" + trade.price + "\",\"q\":\"" + trade.quantity + "\",\"T\":" + at
        + ",\"m\":" + trade.maker + ",\"M\":true}}";
    final Frame frame = new Frame("binance:" + symbol, symbol, i + 1, at, hold, text.getBytes(StandardCharsets.US_ASCII));
    if (!hold) return frame;
    held.add(frame);
    return null;
  }

  /** The rest that was held back. */
  Frame last() {
    return held.poll();
  }

  /** 1 to 8 s after its time, the same each time the tape is made. */
  private static long due(Frame frame) {
    return frame.time + 1000 + frame.id * 7919 % 7000;
  }
}
