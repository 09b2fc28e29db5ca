#include "market/quarantine_row.h"

#include <algorithm>
#include <array>

namespace truetape::market {
namespace {

constexpr std::array kOfReplay{header::original_partition,
                               header::original_offset,
                               header::original_ordinal,
                               header::original_reason,
                               header::original_rule,
                               header::original_attempts,
                               header::id};

std::optional<std::string_view> find(const OwnedHeaders& headers, std::string_view wanted) {
  for (const auto& [name, value] : headers)
    if (name == wanted) return value;
  return std::nullopt;
}

std::uint32_t next_attempt(std::optional<std::int64_t> attempts) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(attempts.value_or(1), 1, UINT32_MAX - 1) + 1);
}

}  // namespace

OwnedHeaders owned(std::span<const Header> headers) {
  OwnedHeaders out;
  out.reserve(headers.size());
  for (const Header& h : headers) out.emplace_back(h.name, h.value);
  return out;
}

Quarantined row_at(const OwnedHeaders& headers, std::int32_t partition, std::int64_t offset, std::uint32_t ordinal) {
  Quarantined row;
  row.partition = partition;
  row.offset = offset;
  row.ordinal = ordinal;
  if (find(headers, header::kind) != name(RawKind::replay)) {
    row.headers = headers;
    return row;
  }
  const std::string_view kind = find(headers, header::original_kind).value_or(name(RawKind::frame));
  for (const auto& [header_name, value] : headers) {
    if (header_name == header::original_kind || std::ranges::count(kOfReplay, header_name) > 0) continue;
    row.headers.emplace_back(header_name, header_name == header::kind ? std::string{kind} : value);
  }
  std::vector<Header> views;
  for (const auto& [header_name, value] : headers) views.push_back({header_name, value});
  RawRecord raw;
  raw.headers = views;
  row.partition = static_cast<std::int32_t>(raw.integer(header::original_partition).value_or(partition));
  row.offset = raw.integer(header::original_offset).value_or(offset);
  row.attempts = next_attempt(raw.integer(header::original_attempts));
  return row;
}

std::optional<QuarantinePlace> place_of(const RawRecord& raw) {
  const auto offset = raw.integer(header::original_offset);
  if (!offset) return std::nullopt;
  return QuarantinePlace{static_cast<std::int32_t>(raw.integer(header::original_partition).value_or(raw.partition)),
                         *offset, static_cast<std::uint32_t>(raw.integer(header::original_ordinal).value_or(0))};
}

std::optional<Quarantined> resolved_row(const RawRecord& raw, Resolution resolution, std::uint32_t rule_version) {
  const auto place = place_of(raw);
  if (!place) return std::nullopt;
  Quarantined row;
  const auto named = raw.instrument_list();
  if (named.size() == 1) row.instrument = named.front();
  row.partition = place->partition;
  row.offset = place->offset;
  row.ordinal = place->ordinal;
  row.receive_time = raw.receive_time;
  row.reason = parse_reason(raw.header(header::original_reason).value_or("")).value_or(Reason::rule);
  row.rule = Text<24>::cut(raw.header(header::original_rule).value_or(name(row.reason)));
  row.rule_version = rule_version;
  row.attempts = next_attempt(raw.integer(header::original_attempts));
  row.resolution = resolution;
  return row;
}

}  // namespace truetape::market
