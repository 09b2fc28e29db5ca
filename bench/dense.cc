#include "bench/dense.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "capture/file_reader.h"

namespace truetape::bench {
namespace {

constexpr std::int64_t kMs = 1'000'000;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

// The text between `before` and the next `stop`.
std::string_view field(std::string_view frame, std::string_view before, char stop) {
  const std::size_t at = frame.find(before);
  if (at == std::string_view::npos) fail("no " + std::string{before} + " in " + std::string{frame});
  const std::string_view rest = frame.substr(at + before.size());
  return rest.substr(0, rest.find(stop));
}

std::int64_t integer(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) fail("no integer: " + std::string{text});
  return out;
}

std::int64_t e8(std::string_view text) {
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos || text.size() - point - 1 != 8) fail("not eight decimals: " + std::string{text});
  return integer(text.substr(0, point)) * 100'000'000 + integer(text.substr(point + 1));
}

void append(std::string& out, std::int64_t value) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

void append_lower(std::string& out, std::string_view symbol) {
  for (const char c : symbol) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

}  // namespace

std::filesystem::path recording() {
  return std::filesystem::path{TRUETAPE_SOURCE_DIR} /
         "examples/captures/binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst";
}

Dense::Dense() {
  auto file = FileReader::open(recording());
  if (!file) fail(file.error().detail);
  LineReader lines{*file, 1 << 20, 1 << 16};
  Line line;
  std::string again;
  for (;;) {
    const auto more = lines.next(line);
    if (!more) fail(more.error().detail);
    if (!*more) break;
    const std::string_view frame = line.text.substr(line.text.find(' ') + 1);
    if (!frame.starts_with(R"({"stream":"btcusdt@trade")")) continue;
    Recorded t;
    t.sent_ms = integer(field(frame, R"("E":)", ','));
    t.id = static_cast<std::uint64_t>(integer(field(frame, R"("t":)", ',')));
    t.price = field(frame, R"("p":")", '"');
    t.quantity = field(frame, R"("q":")", '"');
    t.time_ms = integer(field(frame, R"("T":)", ','));
    t.buyer_is_maker = field(frame, R"("m":)", ',') == "true";
    t.price_e8 = e8(t.price);
    t.quantity_e8 = e8(t.quantity);
    if (!trades_.empty() && (t.id != trades_.back().id + 1 || t.time_ms < trades_.back().time_ms))
      fail("the recording's trades do not follow each other");
    trades_.push_back(std::move(t));
    again.clear();
    spot_frame(at(trades_.size() - 1), "BTCUSDT", again);
    if (again != frame) fail("a frame is not as expected: " + std::string{frame});
  }
  if (trades_.empty()) fail("no trades in " + recording().string());
  period_ms_ = trades_.back().time_ms - trades_.front().time_ms + 33;  // the mean distance of two trades
}

DenseTrade Dense::at(std::uint64_t i) const {
  const std::uint64_t copy = i / trades_.size();
  const Recorded& t = trades_[i % trades_.size()];
  const std::int64_t shift = static_cast<std::int64_t>(copy) * period_ms_;
  return {t.id + copy * trades_.size(),
          t.time_ms + shift,
          t.sent_ms + shift,
          t.price,
          t.quantity,
          t.price_e8,
          t.quantity_e8,
          t.buyer_is_maker};
}

void Dense::spot_frame(const DenseTrade& t, std::string_view symbol, std::string& out) const {
  out += R"({"stream":")";
  append_lower(out, symbol);
  out += R"(@trade","data":{"e":"trade","E":)";
  append(out, t.sent_ms);
  out += R"(,"s":")";
  out += symbol;
  out += R"(","t":)";
  append(out, static_cast<std::int64_t>(t.id));
  out += R"(,"p":")";
  out += t.price;
  out += R"(","q":")";
  out += t.quantity;
  out += R"(","T":)";
  append(out, t.time_ms);
  out += t.buyer_is_maker ? R"(,"m":true,"M":true}})" : R"(,"m":false,"M":true}})";
}

void Dense::usdm_frame(const DenseTrade& t, std::string_view symbol, std::string& out) const {
  out += R"({"stream":")";
  append_lower(out, symbol);
  out += R"(@trade","data":{"e":"trade","E":)";
  append(out, t.sent_ms);
  out += R"(,"T":)";
  append(out, t.time_ms);
  out += R"(,"s":")";
  out += symbol;
  out += R"(","t":)";
  append(out, static_cast<std::int64_t>(t.id));
  out += R"(,"p":")";
  out += t.price.substr(0, t.price.find('.') + 3);  // two decimals; five of quantity, the recording's lot
  out += R"(","q":")";
  out += t.quantity.substr(0, t.quantity.find('.') + 6);
  out += t.buyer_is_maker ? R"(","X":"MARKET","m":true}})" : R"(","X":"MARKET","m":false}})";
}

Interleaved::Interleaved(const Dense& dense, std::size_t instruments) : dense_{dense} {
  if (instruments == 1) {
    symbols_.emplace_back("BTCUSDT");
  } else {
    for (std::size_t i = 0; i < instruments; ++i) {
      std::string n = std::to_string(i);
      symbols_.push_back("T" + std::string(4 - n.size(), '0') + n + "USDT");
    }
  }
  for (const std::string& s : symbols_) names_.push_back("binance:" + s);
}

Chunk::Piece Chunk::number(std::int64_t value) {
  const std::size_t begin = bytes_.size();
  append(bytes_, value);
  return {begin, bytes_.size() - begin};
}

Session::Session(const Interleaved& tape, std::vector<std::size_t> partitions)
    : tape_{tape}, partitions_{std::move(partitions)} {
  seq_.resize(*std::max_element(partitions_.begin(), partitions_.end()) + 1);
  instruments_.resize(seq_.size());
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    std::string& list = instruments_[partitions_[i]];
    if (!list.empty()) list += ',';
    list += tape.names()[i];
  }
}

void Chunk::session_records(Session& s, std::int64_t now_ms, std::string_view event) {
  for (std::size_t p = 0; p < s.seq_.size(); ++p) {
    if (s.instruments_[p].empty()) continue;
    const std::size_t first = header_drafts_.size();
    add(header::kind, "session");
    add(header::instruments, s.instruments_[p]);
    add(header::receive_time, now_ms * kMs);
    add(header::connection, "bench");
    add(header::session, "0123456789abcdef");
    const std::uint64_t last = s.seq_[p]++;
    add(header::seq, static_cast<std::int64_t>(s.seq_[p]));
    add(header::event, event);
    add(header::last_seq, static_cast<std::int64_t>(last));
    add(header::subscribed, s.subscribed_ms_ * kMs);
    add(header::clock_offset, 0);
    add(header::clock_error, kMs);
    add(header::witness, (now_ms - 500) * kMs);
    drafts_.push_back({p,
                       std::string_view{s.instruments_[p]}.substr(0, s.instruments_[p].find(',')),
                       {0, 0},
                       first,
                       header_drafts_.size() - first});
  }
}

void Chunk::build(Session& s, std::uint64_t from, std::uint64_t to) {
  bytes_.clear();
  drafts_.clear();
  header_drafts_.clear();
  headers_.clear();
  entries_.clear();
  for (std::uint64_t i = from; i < to; ++i) {
    const Placed placed = s.tape_.at(i);
    const std::int64_t received_ms = placed.trade.sent_ms + 1;
    if (i == 0) {
      s.subscribed_ms_ = s.last_beat_ms_ = received_ms - 1'000;
      session_records(s, s.subscribed_ms_, "open");
    } else if (received_ms - s.last_beat_ms_ >= 1'000) {
      s.last_beat_ms_ = received_ms;
      session_records(s, received_ms, "beat");
    }
    const std::size_t p = s.partitions_[placed.instrument];
    const std::size_t begin = bytes_.size();
    s.tape_.frame(placed, bytes_);
    const Piece value{begin, bytes_.size() - begin};
    const std::size_t first = header_drafts_.size();
    add(header::kind, "frame");
    add(header::instruments, s.tape_.names()[placed.instrument]);
    add(header::receive_time, received_ms * kMs);
    add(header::connection, "bench");
    add(header::session, "0123456789abcdef");
    add(header::seq, static_cast<std::int64_t>(++s.seq_[p]));
    add(header::clock_offset, 0);
    drafts_.push_back({p, s.tape_.names()[placed.instrument], value, first, header_drafts_.size() - first});
  }
  const std::string_view all = bytes_;
  headers_.reserve(header_drafts_.size());
  for (const HeaderDraft& h : header_drafts_)
    headers_.push_back({h.name, h.fixed.empty() ? all.substr(h.value.begin, h.value.size) : h.fixed});
  entries_.reserve(drafts_.size());
  for (const Draft& d : drafts_)
    entries_.push_back({d.partition, d.key, all.substr(d.value.begin, d.value.size),
                        std::span{headers_}.subspan(d.first_header, d.headers)});
}

void Chunk::keep_entries_only() {
  drafts_ = {};
  header_drafts_ = {};
}

}  // namespace truetape::bench
