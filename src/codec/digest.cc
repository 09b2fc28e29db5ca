#include "codec/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <new>
#include <stdexcept>

#include "codec/canonical.h"
#include "core/row_order.h"

namespace truetape {
namespace {

constexpr Marks kLate = 1U << static_cast<unsigned>(Mark::late);

std::chrono::sys_days day_of(Timestamp t) { return std::chrono::floor<std::chrono::days>(t); }

void check(int done) {
  if (done != 1)
    throw std::runtime_error{"OpenSSL refuses to compute SHA-256; check the OpenSSL configuration of this machine"};
}

auto misordered(const std::string& what, std::string_view how) {
  return failure(
      Fault::malformed, Retry::never,
      what + ' ' + std::string{how} +
          "; a digest needs each row once and in order, so nothing can be said: the source of the rows is at fault.");
}
std::string_view again(bool same) { return same ? "comes twice" : "comes after a later one"; }

// By instrument, tape, kind (candles first, as in the alphabet), interval, day.
bool before(const DigestRow& a, const DigestRow& b) {
  return std::tuple{a.instrument.text(), a.tape, !a.candles, a.interval, a.day} <
         std::tuple{b.instrument.text(), b.tape, !b.candles, b.interval, b.day};
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  Context() {
    if (evp == nullptr) throw std::bad_alloc{};
  }
  ~Context() { EVP_MD_CTX_free(evp); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
};

Sha256::Sha256() : context_{std::make_unique<Context>()} {
  check(EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr));
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
void Sha256::add(std::string_view bytes) { check(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size())); }
std::string Sha256::hex() {
  static constexpr char kDigits[] = "0123456789abcdef";
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  check(EVP_DigestFinal_ex(context_->evp, bytes, &size));
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    out += kDigits[bytes[i] >> 4];
    out += kDigits[bytes[i] & 15];
  }
  return out;
}

void IdRuns::add(std::uint32_t era, std::uint64_t order, Timestamp time, Marks marks) {
  if ((marks & kLate) != 0) {
    late_ = true;
    return;
  }
  if (runs_.empty() || era != runs_.back().era || order != last_ + 1)
    runs_.push_back({era, time, time, late_});
  else
    runs_.back().high = time;
  last_ = order;
  late_ = false;
}

// Times rise with ids and eras, so only the first run that ends late enough can also begin early enough. (Where a
// venue's times do not, less may be shown; the same trades always show the same.)
IdRuns::Shown IdRuns::shown(Timestamp start, Timestamp end) const {
  auto run = std::lower_bound(runs_.begin(), runs_.end(), end, [](const Run& r, Timestamp at) { return r.high < at; });
  if (run != runs_.end() && run->low < start) return Shown::whole;
  if (run == runs_.end() && run != runs_.begin()) --run;
  const bool between = run != runs_.begin() && run != runs_.end() && run->low >= start && std::prev(run)->high < end &&
                       std::prev(run)->era == run->era && !run->behind_late;
  return between ? Shown::hole : Shown::nothing;
}

void Digest::close(Group& group, const DigestRow& key) {
  std::sort(group.loose.begin(), group.loose.end());
  for (const auto& [day, line] : group.loose) {
    Sum& sum = group.days[day];
    sum.hash.add(line);
    ++sum.rows;
  }
  for (auto& [day, sum] : group.days) {
    DigestRow row = key;
    row.day = day;
    row.rows = sum.rows;
    row.sha256 = sum.hash.hex();
    rows_.push_back(std::move(row));
  }
  group.days.clear();
  group.loose.clear();
}

bool Digest::proven(const Candle& candle) const {
  if (comparable(candle)) return true;
  if (candle.status == CandleStatus::open || candle.proof != Proof::session) return false;
  const auto runs = runs_.find({candle.instrument, candle.tape});
  if (runs == runs_.end()) return false;
  const IdRuns::Shown shown = runs->second.shown(candle.start, candle.start + candle.interval);
  switch (candle.completeness) {
    case Completeness::complete:
    case Completeness::quiet:
      return shown == IdRuns::Shown::whole;
    case Completeness::gap:
      return shown == IdRuns::Shown::hole;
    default:
      return false;
  }
}

Status Digest::add(const Trade& trade) {
  if (last_candle_)
    return misordered("Instrument " + trade.instrument.str() + ", tape " + std::string{name(trade.tape)} + ": a trade",
                      "comes after a candle");
  if (trade.instrument != trades_key_.instrument || trade.tape != trades_key_.tape) {
    const auto group = std::pair{trade.instrument, trade.tape};
    if (group < std::pair{trades_key_.instrument, trades_key_.tape})
      return misordered(
          "Instrument " + trade.instrument.str() + ", tape " + std::string{name(trade.tape)} + ": a trade",
          again(false));
    close(trades_, trades_key_);
    trades_key_ = DigestRow{trade.instrument, trade.tape, false, std::nullopt, {}, 0, {}};
    last_trade_.reset();
    group_runs_ = numbers_(trade.instrument.venue()) ? &runs_[{trade.instrument, trade.tape}] : nullptr;
  }
  line_.clear();
  append_canonical(trade, line_);
  if (trade.id.empty()) {
    trades_.loose.emplace_back(day_of(trade.event_time), line_);
    return {};
  }
  const std::tuple identity{trade.instrument, trade.tape, trade.era, trade.order};
  if (last_trade_ && identity <= *last_trade_)
    return misordered("Trade " + trade.instrument.str() + " tape " + std::string{name(trade.tape)} + " era " +
                          std::to_string(trade.era) + " order " + std::to_string(trade.order),
                      again(identity == *last_trade_));
  last_trade_ = identity;
  if (group_runs_ != nullptr) group_runs_->add(trade);
  Sum& sum = trades_.days[day_of(trade.event_time)];
  sum.hash.add(line_);
  ++sum.rows;
  return {};
}

Status Digest::add(const Candle& candle) {
  const std::tuple key{candle.instrument, candle.tape, candle.interval, candle.start};
  if (last_candle_ && key <= *last_candle_)
    return misordered("Candle " + candle.instrument.str() + " tape " + std::string{name(candle.tape)} + " interval " +
                          to_text(candle.interval) + " start " + to_rfc3339(candle.start),
                      again(key == *last_candle_));
  if (candle.instrument != candles_key_.instrument || candle.tape != candles_key_.tape ||
      candle.interval != candles_key_.interval) {
    close(candles_, candles_key_);
    candles_key_ = DigestRow{candle.instrument, candle.tape, true, candle.interval, {}, 0, {}};
  }
  last_candle_ = key;
  if (!proven(candle)) return {};
  line_.clear();
  append_canonical(candle, line_);
  Sum& sum = candles_.days[day_of(candle.start)];
  sum.hash.add(line_);
  ++sum.rows;
  return {};
}

std::vector<DigestRow> Digest::finish() {
  close(trades_, trades_key_);
  close(candles_, candles_key_);
  std::vector<DigestRow> out = std::move(rows_);
  std::sort(out.begin(), out.end(), before);
  *this = Digest{std::move(numbers_)};
  return out;
}

Status DigestCollector::add(const Trade& trade) {
  Trades& group = trades_[{trade.instrument, trade.tape}];
  if (trade.id.empty() && !group.loose.emplace(trade.source.str(), trade.seq, trade.ordinal).second) return {};
  std::string text;
  append_canonical(trade, text);
  group.lines.push_back({!trade.id.empty(), trade.era, trade.order, trade.event_time, trade.marks, std::move(text)});
  return {};
}

Status DigestCollector::add(const Candle& candle) {
  const auto [at, fresh] =
      candles_.try_emplace({candle.instrument, candle.tape, candle.interval, candle.start}, candle);
  if (fresh) return {};
  const RowOrder mine = row_order(candle), theirs = row_order(at->second);
  if (mine == theirs && candle != at->second)
    return failure(Fault::corrupt, Retry::never,
                   "Candle " + candle.instrument.str() + " tape " + std::string{name(candle.tape)} + " interval " +
                       to_text(candle.interval) + " start " + to_rfc3339(candle.start) + " comes twice with epoch " +
                       std::to_string(candle.epoch) + " and revision " + std::to_string(candle.revision) +
                       " but other content: report this, and import the sources anew into a fresh data directory.");
  if (replaces(mine, theirs)) at->second = candle;
  return {};
}

Result<std::vector<DigestRow>> DigestCollector::finish() {
  std::vector<DigestRow> out;
  Digest candles{numbers_};
  for (auto& [key, group] : trades_) {
    IdRuns* const runs = numbers_(key.first.venue()) ? &candles.runs_[key] : nullptr;
    // The line is behind the identity, so that rows of one identity stand beside each other.
    const auto rank = [](const Line& line) { return std::tie(line.era, line.order, line.time, line.text); };
    std::sort(group.lines.begin(), group.lines.end(), [&](const Line& a, const Line& b) { return rank(a) < rank(b); });
    std::map<std::chrono::sys_days, std::pair<Sha256, std::uint64_t>> days;
    const auto count = [&](const Line& line) {
      auto& [hash, rows] = days[day_of(line.time)];
      hash.add(line.text);
      ++rows;
    };
    const Line* last = nullptr;
    std::vector<const Line*> loose;
    for (const Line& line : group.lines) {
      if (!line.has_id) {
        loose.push_back(&line);
        continue;
      }
      if (last != nullptr && last->era == line.era && last->order == line.order) {
        if (last->text == line.text) continue;
        return failure(
            Fault::corrupt, Retry::never,
            "Trade " + key.first.str() + " tape " + std::string{name(key.second)} + " era " + std::to_string(line.era) +
                " order " + std::to_string(line.order) +
                " comes twice with other content: report this, and import the sources anew into a fresh data "
                "directory.");
      }
      last = &line;
      if (runs != nullptr) runs->add(line.era, line.order, line.time, line.marks);
      count(line);
    }
    std::sort(loose.begin(), loose.end(), [](const Line* a, const Line* b) { return a->text < b->text; });
    for (const Line* line : loose) count(*line);
    for (auto& [day, sum] : days)
      out.push_back({key.first, key.second, false, std::nullopt, day, sum.second, sum.first.hex()});
  }
  for (const auto& [key, candle] : candles_)
    if (auto done = candles.add(candle); !done) return tl::unexpected{done.error()};
  for (DigestRow& row : candles.finish()) out.push_back(std::move(row));
  std::sort(out.begin(), out.end(), before);
  trades_.clear();
  candles_.clear();
  return out;
}

}  // namespace truetape
