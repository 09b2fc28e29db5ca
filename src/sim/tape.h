// What a simulated venue plays: everything that happens in its markets, in order, each with the venue's time at which
// it is told. Made from recordings, or generated without an end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/result.h"
#include "sim/market.h"

namespace truetape::sim {

struct TapeEvent {
  Time at{};  // never before the event that went before
  std::uint32_t instrument = 0;
  std::variant<Print, Aggregate, Quote, Deal, Level, News> what{};
};

class Tape {
 public:
  virtual ~Tape() = default;
  virtual Product product() const = 0;
  virtual const std::vector<Listing>& listings() const = 0;
  virtual Time begin() const = 0;               // of the first event, or shortly before
  virtual bool next(TapeEvent& out) = 0;        // false: the end
  virtual std::string description() const = 0;  // for the list of what was sent: files, or seed and rates
};

struct CaptureSource {
  std::filesystem::path file;
  // Where the file does not say it itself, as CSV files do not:
  std::string symbol = {};
  std::string columns = {};  // as `truetape import --columns`
  std::optional<bool> aggregates = {};
};

// What was left out of a capture, and why the rest can be trusted.
struct CaptureCounts {
  std::uint64_t lines = 0, trades = 0, aggregates = 0, quotes = 0, news = 0;
  std::uint64_t others = 0;    // frames of streams that are not played: depth, klines, answers
  std::uint64_t repeated = 0;  // ids that are not above the one before
  std::uint64_t unreadable = 0;
};

struct CaptureOptions {
  Product product = Product::spot;
  std::vector<CaptureSource> sources;
  bool with_quotes = true;
  std::optional<Time> from = {}, to = {};  // only what was told in [from, to)
  std::string unknown_csv = {};            // ends the sentence that a file is no recording that is known
};

// Recordings of the venue that `product` says. Of KuCoin and Finnhub: kucoin_tape.cc, finnhub_tape.cc. Of Binance:
// `.frames` of its streams, combined (with or without receive times before the frames), or CSV files of trades or
// aggregates as src/capture knows them. All of it is read at once; several files are merged by time. A frame with a
// time of its own (E) is told then, one without (spot's bookTicker) between its neighbours as it was received.
Result<std::unique_ptr<Tape>> open_capture(const CaptureOptions& options, CaptureCounts* counts = nullptr);

// For the readers of recordings: events that are in order already, at least one.
std::unique_ptr<Tape> make_list_tape(Product product, std::vector<Listing> listings, std::vector<TapeEvent> events,
                                     std::string description);
// Calls with each line's frame and when it was received (0: the file does not say) until it ends; counts lines, and
// those that are no frame.
Status each_frame(const std::filesystem::path& file, CaptureCounts& counts,
                  const std::function<void(std::string_view frame, std::int64_t received_ns)>& call);

struct GeneratorOptions {
  Product product = Product::spot;
  std::uint32_t symbols = 1;
  // What prices begin at, by symbol; those that are not listed begin somewhere.
  struct Like {
    std::string symbol;
    Units price, tick, step;
  };
  std::vector<Like> like = {};
  std::vector<std::string> names = {};  // of the first symbols; further ones are S00001USDT and so on
  double rate = 10;                     // trades a second, of all symbols together
  std::uint64_t seed = 1;
  Time start{};
  std::optional<Duration> length = {};  // endless without
  bool quotes = true;                   // a bookTicker with each taker order
  // USD-M: of 1,000 fills, how many are of an RPI order, or are followed by a record that is no fill of the book.
  std::uint32_t na = 0, insurance_fund = 0, adl = 0, rpi = 0, unknown = 0;
  bool older = false;  // KuCoin: ids and messages as before 2022
  double news = 0;     // Finnhub: headlines a minute, of all symbols together
};
std::unique_ptr<Tape> make_generator(GeneratorOptions options);

}  // namespace truetape::sim
