// Whatever one record of `raw` holds, the step that processes it can be committed: on Kafka anybody can write there,
// and a commit that is refused would be refused for ever.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "core/raw.h"
#include "market/processor.h"

namespace truetape {
namespace {

// The log's limits (log.h), which stands above the heart.
constexpr std::size_t kMaxRecordBytes = 1 << 20, kMaxStateKeyBytes = 511;
constexpr std::size_t kMostValue = 2 << 20;                 // of a record on Kafka, where the state is a topic
constexpr std::size_t kMostOfRow = kMaxRecordBytes - 4096;  // texts of a row: the rest of it is short

// The first letter of the bytes says what they are: a headline, an entry of a symbol list, the first of a series of ids
// that jumps, or a trade; texts and ids have as many bytes as they can.
class Large final : public Decoder {
 public:
  void decode(const RawRecord& record, Events& out) const override {
    const Instrument named = Instrument::parse("finnhub:AAPL").value();
    const char what = record.bytes.empty() ? 't' : record.bytes[0];
    const std::string text{record.bytes};
    if (what == 'n' || what == 'i') {
      News& news = out.news.emplace_back();
      news.venue = "finnhub";
      news.id = what == 'i' ? text : std::to_string(record.offset);
      news.headline = news.summary = what == 'n' ? text : "";
      return;
    }
    if (what == 'm') {  // the same headline under ever other symbols
      News& news = out.news.emplace_back();
      news.venue = "finnhub";
      news.id = "1";
      for (int i = 0; i < 2'000; ++i)
        news.related.push_back(
            Instrument::parse("finnhub:" + std::string(40, 'X') + std::to_string(record.offset * 2'000 + i)).value());
      return;
    }
    if (what == 'r') {
      Reference& reference = out.references.emplace_back();
      reference.instrument = named;
      reference.base = reference.quote = reference.name = text;
      return;
    }
    Item& item = out.items.emplace_back();
    item.has_id = item.has_time = true;
    item.raw = record.bytes;
    const auto all = record.instrument_list();
    item.trade.instrument = all.empty() ? named : all.front();
    item.trade.order = item.trade.first_id = item.trade.last_id =
        what == 'j' ? 1'000'000'000'000U * static_cast<std::uint64_t>(text.size() + 1) : 1;
    item.trade.event_time = timestamp_ns(1'000'000'000);
    item.trade.price = item.trade.quantity = Decimal::of(1, 0).value();
  }
  TradeIds trade_ids(std::string_view venue) const override {
    return venue == "kucoin" ? TradeIds::rising : venue == "finnhub" ? TradeIds::none : TradeIds::contiguous;
  }
};

struct Raw {
  std::vector<std::pair<std::string, std::string>> headers;
  std::string bytes = {};
  std::string_view value() const { return bytes; }
};

// As much as a record of raw takes beside its other headers.
std::string fill(const Raw& raw, char with) {
  std::size_t bytes = raw.bytes.size();
  for (const auto& [name, value] : raw.headers) bytes += name.size() + value.size() + 8;
  return std::string(kMaxRecordBytes - bytes, with);
}
Raw with_value(Raw raw, char what) {
  raw.bytes = fill(raw, what);
  return raw;
}
Raw with_header(Raw raw, std::string name) {
  raw.headers.emplace_back(std::move(name), "");
  raw.headers.back().second = fill(raw, 'x');
  return raw;
}

std::vector<Raw> hostile_records() {
  using Headers = std::vector<std::pair<std::string, std::string>>;
  std::vector<Raw> out;
  const auto kinds = {"frame",    "session",   "history", "begin",  "end",  "backfill", "answer",
                      "coverage", "reference", "config",  "replay", "drop", "recompute"};
  const auto names = {"session",
                      "connection",
                      "range",
                      "file",
                      "venue",
                      "instruments",
                      "id",
                      "tape",
                      "original_kind",
                      "rule.no_such",
                      "format",
                      "kind",
                      "rule.off_tick@a:B",
                      "seq",
                      "original_reason",
                      "original_rule"};
  for (const std::string kind : kinds) {
    for (const std::string instrument : {"binance:A", "kucoin:B", "finnhub:C", ""}) {
      Headers usual{{"kind", kind},
                    {"instruments", instrument},
                    {"seq", "1"},
                    {"session", "s"},
                    {"connection", "c"},
                    {"range", "r"},
                    {"venue", "finnhub"},
                    {"id", "1"},
                    {"original_offset", "0"},
                    {"subscribed", "1000"},
                    {"witness", "2000000000"},
                    {"from", "1"},
                    {"to", "2"},
                    {"receive_time", "9000000000"}};
      for (const std::string name : names) {
        Raw raw{usual};
        std::erase_if(raw.headers, [&](const auto& h) { return h.first == name; });
        out.push_back(with_header(std::move(raw), name));
      }
      // Just too long for a key of the state, and what just fits.
      for (const std::size_t bytes : {40U, 41U, 256U, 257U, 508U, 509U, 600U}) {
        Raw raw{usual};
        for (auto& [name, value] : raw.headers)
          if (name == "session" || name == "range") value = std::string(bytes, 's');
        out.push_back(std::move(raw));
      }
      for (const char what : {'n', 'i', 'm', 'r', 'j', 't', '\xff'}) out.push_back(with_value({usual}, what));
    }
  }
  // Many of the same kind, of which something is remembered until others come.
  const Headers of{{"instruments", "binance:Z"}, {"receive_time", "9000000000"}};
  for (int i = 0; i < 40; ++i) {
    Headers begin = of;
    begin.emplace_back("kind", "begin");
    begin.emplace_back("range", std::to_string(i) + std::string(250, 'r'));
    out.push_back({begin});
    Headers session{{"kind", "session"}, {"session", "many"}, {"seq", std::to_string(i + 1)}, {"instruments", ""}};
    std::string& all = session.back().second;
    for (int k = 0; k < 1'000; ++k) all += "binance:" + std::string(40, 'Y') + std::to_string(i * 1'000 + k) + ",";
    out.push_back({session});
    Raw again{{{"kind", "backfill"}, {"venue", "finnhub"}, {"instruments", ""}}, "m"};
    out.push_back(std::move(again));
  }
  for (const char* pad : {"j", "jj", "jjj"}) {  // jumps that wait for the next id, with all that came beside them
    Raw raw{of, pad};
    raw.headers.emplace_back("kind", "frame");
    out.push_back({raw.headers, "t"});
    out.push_back(with_header(std::move(raw), "beside"));
  }
  return out;
}

TEST(Hostile, EachStepCanBeCommitted) {
  const Large decoder;
  Processor heart{Rules{}, decoder, 0, 1};
  std::map<std::string, std::string> state;
  std::int64_t offset = 0;
  for (const Raw& raw : hostile_records()) {
    std::vector<Header> headers;
    for (const auto& [name, value] : raw.headers) headers.push_back({name, value});
    Results results;
    heart.fold(read_raw(raw.bytes, headers, 0, offset), results);
    heart.finish_batch(results);
    const auto told = [&] {
      std::string out = "record " + std::to_string(offset) + ":";
      for (const auto& [name, value] : raw.headers) out += " " + name + "=" + value.substr(0, 20);
      return out + " bytes " + raw.bytes.substr(0, 1);
    };
    for (const auto& [venue, c] : results.counts) EXPECT_TRUE(c.balanced()) << told();
    for (const News& n : results.news) {
      std::size_t most = 2 * n.id.size() + n.headline.size() + n.source.size() + n.url.size() + n.summary.size();
      for (const Instrument& i : n.related) most += i.text().size() + 2;
      EXPECT_LE(most, kMostOfRow) << told();
    }
    for (const Reference& r : results.instruments)
      EXPECT_LE(r.base.size() + r.quote.size() + r.name.size() + r.status.size(), kMostOfRow) << told();
    for (const auto& [key, value] : results.state) {
      EXPECT_GE(key.size(), 1U) << told();
      EXPECT_LE(key.size(), kMaxStateKeyBytes) << key.substr(0, 10) << " of " << told();
      EXPECT_LE(key.size() + (value ? value->size() : 0), kMostValue) << key.substr(0, 10) << " of " << told();
      if (value)
        state[key] = *value;
      else
        state.erase(key);
    }
    ++offset;
    if (testing::Test::HasFailure()) return;
  }
  Processor again{Rules{}, decoder, 0, 1};
  EXPECT_NO_THROW(again.restore(std::vector<std::pair<std::string, std::string>>{state.begin(), state.end()}));
}

// A session's id that is too long for the state is none: its trades count, and it is no evidence.
TEST(Hostile, ASessionWithALongIdIsNone) {
  for (const std::size_t bytes : {256U, 257U, 600U}) {
    const Large decoder;
    Processor heart{Rules{}, decoder, 0, 1};
    const std::string session(bytes, 's');
    const std::vector<Header> headers{
        {header::kind, "frame"}, {header::instruments, "binance:A"}, {header::session, session}, {header::seq, "1"}};
    Results results;
    heart.fold(read_raw("t", headers, 0, 0), results);
    heart.finish_batch(results);
    EXPECT_EQ(results.trades.size(), 1U);
    const bool kept = std::ranges::any_of(results.state, [](const auto& s) { return s.first.starts_with("\ns/"); });
    EXPECT_EQ(kept, bytes == 256) << bytes;
  }
}

}  // namespace
}  // namespace truetape
