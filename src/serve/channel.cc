#include "serve/channel.h"

#include <algorithm>
#include <array>

#include "core/records.h"
#include "serve/request.h"

namespace truetape {
namespace {

constexpr std::array<std::string_view, 9> kNames{"candles", "trades",      "quotes", "gaps",       "progress",
                                                 "feeds",   "instruments", "news",   "news_counts"};

constexpr bool has_interval(ChannelKind kind) {
  return kind == ChannelKind::candles || kind == ChannelKind::news_counts;
}

}  // namespace

Result<ChannelKey> parse_channel(std::string_view text, std::span<const Interval> intervals) {
  const auto refuse = [&](const std::string& why) {
    return failure(Fault::malformed, Retry::never, "channels: \"" + std::string{text.substr(0, 80)} + "\" " + why);
  };
  const std::string_view word = text.substr(0, text.find(':'));
  const auto found = std::ranges::find(kNames, word);
  ChannelKey key;
  key.kind = static_cast<ChannelKind>(found - kNames.begin());
  const bool known = found != kNames.end(), cut = known && has_interval(key.kind);
  if (!known || (!cut && word.size() != text.size()))
    return refuse(
        "is none; there are candles:INTERVAL, trades, quotes, gaps, progress, feeds, instruments, news, "
        "news_counts:INTERVAL");
  if (!cut) return key;
  if (key.kind == ChannelKind::news_counts) intervals = NewsCount::kIntervals;
  const auto interval =
      text.size() > word.size() ? parse_interval(text.substr(word.size() + 1)) : std::optional<Interval>{};
  if (!interval || std::ranges::find(intervals, *interval) == intervals.end())
    return refuse("names no interval that is built here; there are " + interval_names(intervals) + ", such as " +
                  std::string{word} + ":" + (intervals.empty() ? "1m" : to_text(intervals.front())));
  key.interval = *interval;
  return key;
}

std::string channel_name(const ChannelKey& key) {
  std::string out{kNames[static_cast<std::size_t>(key.kind)]};
  if (has_interval(key.kind)) out += ':' + to_text(key.interval);
  return out;
}

}  // namespace truetape
