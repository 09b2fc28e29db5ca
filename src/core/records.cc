#include "core/records.h"

#include <algorithm>

namespace truetape {
namespace {

template <std::size_t N, class Enum>
struct Words {
  std::array<std::string_view, N> words;
  constexpr std::string_view name(Enum value) const { return words[static_cast<std::size_t>(value)]; }
  constexpr std::optional<Enum> parse(std::string_view text) const {
    for (std::size_t i = 0; i < N; ++i)
      if (words[i] == text) return static_cast<Enum>(i);
    return std::nullopt;
  }
};

constexpr Words<2, Tape> kTape{{"trade", "agg"}};
constexpr Words<3, Side> kSide{{"", "buy", "sell"}};
constexpr Words<3, CandleStatus> kCandleStatus{{"open", "closed", "corrected"}};
constexpr Words<6, Completeness> kCompleteness{{"", "complete", "quiet", "gap", "partial", "unverifiable"}};
constexpr Words<5, Proof> kProof{{"", "ids", "declared", "session", "overlap"}};
constexpr Words<6, GapState> kGapState{{"pending", "open", "progress", "repaired", "absent", "lost"}};
constexpr Words<3, GapReason> kGapReason{{"missing_ids", "tail", "manual"}};
constexpr Words<25, Reason> kReason{{"syntax",        "encoding",  "too_large",  "missing_field", "wrong_type",
                                     "duplicate_key", "time_unit", "time_range", "id_range",      "decimal_syntax",
                                     "decimal_range", "price",     "quantity",   "future",        "unknown_kind",
                                     "contradiction", "id_jump",   "era",        "unknown_event", "unroutable",
                                     "crashed",       "rule",      "side",       "columns",       "foreign"}};
constexpr Words<2, QuoteKind> kQuoteKind{{"best", "ticker"}};
constexpr Words<3, Resolution> kResolution{{"", "replayed", "dropped"}};
constexpr Words<4, Mark> kMark{{"off_tick", "off_lot", "far_from_median", "late"}};

}  // namespace

std::string_view name(Tape v) { return kTape.name(v); }
std::string_view name(Side v) { return kSide.name(v); }
std::string_view name(CandleStatus v) { return kCandleStatus.name(v); }
std::string_view name(Completeness v) { return kCompleteness.name(v); }
std::string_view name(Proof v) { return kProof.name(v); }
std::string_view name(GapState v) { return kGapState.name(v); }
std::string_view name(GapReason v) { return kGapReason.name(v); }
std::string_view name(Reason v) { return kReason.name(v); }
std::string_view name(QuoteKind v) { return kQuoteKind.name(v); }
std::string_view name(Resolution v) { return kResolution.name(v); }

std::optional<Tape> parse_tape(std::string_view t) { return kTape.parse(t); }
std::optional<Side> parse_side(std::string_view t) { return kSide.parse(t); }
std::optional<CandleStatus> parse_candle_status(std::string_view t) { return kCandleStatus.parse(t); }
std::optional<Completeness> parse_completeness(std::string_view t) { return kCompleteness.parse(t); }
std::optional<Proof> parse_proof(std::string_view t) { return kProof.parse(t); }
std::optional<GapState> parse_gap_state(std::string_view t) { return kGapState.parse(t); }
std::optional<GapReason> parse_gap_reason(std::string_view t) { return kGapReason.parse(t); }
std::optional<Reason> parse_reason(std::string_view t) { return kReason.parse(t); }
bool is_rule(std::string_view name) {
  const auto own = {rule::kind, rule::decimal, rule::step, rule::horizon, rule::crossed};
  return std::ranges::find(own, name) != own.end() || parse_reason(name);
}
std::optional<QuoteKind> parse_quote_kind(std::string_view t) { return kQuoteKind.parse(t); }
std::optional<Resolution> parse_resolution(std::string_view t) { return kResolution.parse(t); }

std::string marks_text(Marks marks) {
  std::string out;
  for (std::size_t i = 0; i < kMark.words.size(); ++i) {
    if ((marks >> i & 1U) == 0) continue;
    if (!out.empty()) out += '|';
    out += kMark.words[i];
  }
  return out;
}

Marks parse_marks(std::string_view text) {
  Marks marks = 0;
  while (!text.empty()) {
    const std::size_t bar = text.find('|');
    if (const auto mark = kMark.parse(text.substr(0, bar))) marks |= 1U << static_cast<unsigned>(*mark);
    if (bar == std::string_view::npos) break;
    text.remove_prefix(bar + 1);
  }
  return marks;
}

}  // namespace truetape
