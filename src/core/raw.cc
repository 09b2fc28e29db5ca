#include "core/raw.h"

#include <array>
#include <charconv>

#include "core/digits.h"
#include "core/same.h"

namespace truetape {
namespace {

constexpr std::array<std::string_view, 13> kKinds{"frame",    "session", "history",  "begin",     "end",
                                                  "backfill", "answer",  "coverage", "reference", "config",
                                                  "replay",   "drop",    "recompute"};

std::optional<std::int64_t> to_integer(std::string_view text) {
  if (const auto plain = digits::natural(text)) return plain;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Calls `each` for every name of a comma-separated list until it returns false.
template <class Each>
void for_names(std::string_view list, Each each) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (!each(list.substr(0, comma)) || comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

std::optional<std::string_view> find_header(std::span<const Header> headers, std::string_view header_name) {
  for (const Header& h : headers)
    if (h.name == header_name) return h.value;
  return std::nullopt;
}

std::string_view name(RawKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

std::optional<RawKind> parse_raw_kind(std::string_view text) {
  for (std::size_t i = 0; i < kKinds.size(); ++i)
    if (kKinds[i] == text) return static_cast<RawKind>(i);
  return std::nullopt;
}

std::vector<Instrument> RawRecord::instrument_list() const {
  std::vector<Instrument> out;
  for_names(instruments, [&](std::string_view text) {
    if (const auto instrument = Instrument::parse(text)) out.push_back(*instrument);
    return true;
  });
  return out;
}

bool RawRecord::names(const Instrument& instrument) const {
  bool found = false;
  for_names(instruments, [&](std::string_view text) { return !(found = text == instrument.text()); });
  return found;
}

std::optional<std::int64_t> RawRecord::integer(std::string_view header_name) const {
  const auto text = header(header_name);
  return text ? to_integer(*text) : std::nullopt;
}

bool is_frame_of_no_tape(std::span<const Header> headers) {
  return find_header(headers, header::kind) == name(RawKind::frame) && !find_header(headers, header::session);
}

RawRecord read_raw(std::string_view value, std::span<const Header> headers, std::int32_t partition,
                   std::int64_t offset) {
  RawRecord out;
  out.bytes = value;
  out.headers = headers;
  out.partition = partition;
  out.offset = offset;
  // The length tells most names apart, so that each is compared once.
  for (const Header& h : headers) {
    switch (h.name.size()) {
      case header::kind.size():
        if (same_bytes<header::kind.size()>(h.name.data(), header::kind.data()))
          out.kind = is(h.value, "frame") ? RawKind::frame : parse_raw_kind(h.value).value_or(RawKind::frame);
        break;
      case header::instruments.size():
        if (same_bytes<header::instruments.size()>(h.name.data(), header::instruments.data()))
          out.instruments = h.value;
        break;
      case header::receive_time.size():  // and clock_offset
        if (same_bytes<header::receive_time.size()>(h.name.data(), header::receive_time.data())) {
          if (const auto ns = to_integer(h.value)) out.receive_time = timestamp_ns(*ns);
        } else if (same_bytes<header::clock_offset.size()>(h.name.data(), header::clock_offset.data())) {
          if (const auto ns = to_integer(h.value)) out.clock_offset = Nanoseconds{*ns};
        }
        break;
      case header::session.size():
        if (same_bytes<header::session.size()>(h.name.data(), header::session.data())) out.session = h.value;
        break;
      case header::connection.size():
        if (same_bytes<header::connection.size()>(h.name.data(), header::connection.data())) out.connection = h.value;
        break;
      case header::seq.size():
        if (same_bytes<header::seq.size()>(h.name.data(), header::seq.data()))
          if (const auto seq = to_integer(h.value); seq && *seq > 0) out.seq = static_cast<std::uint64_t>(*seq);
        break;
      default:
        break;
    }
  }
  static_assert(header::receive_time.size() == header::clock_offset.size());
  return out;
}

}  // namespace truetape
