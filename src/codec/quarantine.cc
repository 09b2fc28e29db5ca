#include "codec/quarantine.h"

#include <charconv>

#include "core/utf8.h"

namespace truetape {
namespace {

namespace names = quarantine_header;

std::string utf8(std::string_view text) {
  std::string out;
  append_utf8(text, out);
  return out;
}

template <class Number>
std::optional<Number> to_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Was it the bytes that could not be read, or what they say?
bool of_decoding(Reason reason) {
  switch (reason) {
    case Reason::syntax:
    case Reason::encoding:
    case Reason::too_large:
    case Reason::missing_field:
    case Reason::wrong_type:
    case Reason::duplicate_key:
    case Reason::time_unit:
    case Reason::time_range:
    case Reason::id_range:
    case Reason::decimal_syntax:
    case Reason::decimal_range:
    case Reason::side:
    case Reason::columns:
    case Reason::unknown_event:
    case Reason::unroutable:
    case Reason::foreign:
      return true;
    case Reason::price:
    case Reason::quantity:
    case Reason::future:
    case Reason::unknown_kind:
    case Reason::contradiction:
    case Reason::id_jump:
    case Reason::era:
    case Reason::crashed:
    case Reason::rule:
      return false;
  }
  return false;
}

auto bad_header(std::string_view header_name) {
  return failure(Fault::malformed, Retry::never,
                 "Quarantine record: header `" + std::string{header_name} +
                     "` is missing or cannot be read; the record was not written by this program, or is damaged.");
}

}  // namespace

OwnedHeaders quarantine_headers(const Quarantined& item) {
  OwnedHeaders out;
  out.reserve(item.headers.size() + 20);
  for (const auto& [header_name, value] : item.headers) {
    const bool reserved = header_name.starts_with(names::connect) || header_name.starts_with(names::ours);
    out.emplace_back(reserved ? std::string{names::original} + header_name : header_name, value);
  }
  const auto add = [&](std::string_view header_name, std::string value) {
    out.emplace_back(header_name, std::move(value));
  };
  const bool decoding = of_decoding(item.reason);
  const std::string detail = utf8(item.detail);
  add(names::topic, "raw");
  add(names::partition, std::to_string(item.partition));
  add(names::offset, std::to_string(item.offset));
  add(names::connector, "truetape");
  add(names::task, "process");  // not which worker: the same raw records give the same bytes whoever reads them
  add(names::stage, decoding ? "VALUE_CONVERTER" : "TRANSFORMATION");
  add(names::component, decoding ? "truetape.decode" : "truetape.process");
  add(names::code, "truetape." + std::string{name(item.reason)});
  add(names::message, detail);
  add(names::stacktrace, "");
  add(names::reason, std::string{name(item.reason)});
  add(names::detail, detail);
  add(names::rule, utf8(item.rule.view()));
  add(names::rule_version, std::to_string(item.rule_version));
  add(names::ordinal, std::to_string(item.ordinal));
  add(names::id, utf8(item.id.view()));
  if (item.receive_time) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(item.receive_time->time_since_epoch());
    add(names::first_ms, std::to_string(ms.count()));
    add(names::receive_time, std::to_string(to_ns(*item.receive_time)));
  }
  add(names::attempts, std::to_string(item.attempts));
  if (item.resolution != Resolution::none) add(names::resolution, std::string{name(item.resolution)});
  add(names::instrument, item.instrument.str());
  return out;
}

Result<Quarantined> read_quarantined(std::string_view value, std::span<const Header> headers) {
  Quarantined out;
  out.raw = value;
  bool has_reason = false, has_partition = false, has_offset = false;
  for (const Header& h : headers) {
    const bool of_connect = h.name.starts_with(names::connect);
    if (!of_connect && !h.name.starts_with(names::ours)) {
      out.headers.emplace_back(h.name, h.value);
    } else if (h.name.starts_with(names::original)) {
      out.headers.emplace_back(h.name.substr(names::original.size()), h.value);
    } else if (h.name == names::reason) {
      const auto reason = parse_reason(h.value);
      if (!reason) return bad_header(h.name);
      out.reason = *reason;
      has_reason = true;
    } else if (h.name == names::partition) {
      const auto number = to_number<std::int32_t>(h.value);
      if (!number) return bad_header(h.name);
      out.partition = *number;
      has_partition = true;
    } else if (h.name == names::offset) {
      const auto number = to_number<std::int64_t>(h.value);
      if (!number) return bad_header(h.name);
      out.offset = *number;
      has_offset = true;
    } else if (h.name == names::detail) {
      out.detail = h.value;
    } else if (h.name == names::rule) {
      const auto rule = decltype(out.rule)::from(h.value);
      if (!rule) return bad_header(h.name);
      out.rule = *rule;
    } else if (h.name == names::rule_version) {
      const auto number = to_number<std::uint32_t>(h.value);
      if (!number) return bad_header(h.name);
      out.rule_version = *number;
    } else if (h.name == names::attempts) {
      const auto number = to_number<std::uint32_t>(h.value);
      if (!number) return bad_header(h.name);
      out.attempts = *number;
    } else if (h.name == names::resolution) {
      const auto resolution = parse_resolution(h.value);
      if (!resolution) return bad_header(h.name);
      out.resolution = *resolution;
    } else if (h.name == names::ordinal) {
      const auto number = to_number<std::uint32_t>(h.value);
      if (!number) return bad_header(h.name);
      out.ordinal = *number;
    } else if (h.name == names::id) {
      out.id = decltype(out.id)::cut(h.value);
    } else if (h.name == names::receive_time) {
      const auto number = to_number<std::int64_t>(h.value);
      if (!number) return bad_header(h.name);
      out.receive_time = timestamp_ns(*number);
    } else if (h.name == names::instrument && !h.value.empty()) {
      const auto instrument = Instrument::parse(h.value);
      if (!instrument) return bad_header(h.name);
      out.instrument = *instrument;
    }
  }
  if (!has_reason) return bad_header(names::reason);
  if (!has_partition) return bad_header(names::partition);
  if (!has_offset) return bad_header(names::offset);
  return out;
}

std::string to_text(const QuarantinePlace& place) {
  return std::to_string(place.partition) + '/' + std::to_string(place.offset) + '/' + std::to_string(place.ordinal);
}

std::optional<QuarantinePlace> parse_quarantine_place(std::string_view text) {
  const std::size_t first = text.find('/');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = text.find('/', first + 1);
  const auto partition = to_number<std::int32_t>(text.substr(0, first));
  const auto offset =
      to_number<std::int64_t>(text.substr(first + 1, second == std::string_view::npos ? second : second - first - 1));
  const auto ordinal = second == std::string_view::npos ? std::optional<std::uint32_t>{0}
                                                        : to_number<std::uint32_t>(text.substr(second + 1));
  if (!partition || *partition < 0 || !offset || *offset < 0 || !ordinal) return std::nullopt;
  return QuarantinePlace{*partition, *offset, *ordinal};
}

namespace {

// What a replay and a drop say of the item.
RawText worked(const Quarantined& item, RawKind kind) {
  RawText out;
  OwnedHeaders& headers = out.headers;
  headers.emplace_back(header::kind, name(kind));
  headers.emplace_back(header::original_partition, std::to_string(item.partition));
  headers.emplace_back(header::original_offset, std::to_string(item.offset));
  headers.emplace_back(header::original_ordinal, std::to_string(item.ordinal));
  headers.emplace_back(header::original_reason, name(item.reason));
  headers.emplace_back(header::original_rule, item.rule.str());
  if (item.attempts > 1) headers.emplace_back(header::original_attempts, std::to_string(item.attempts));
  return out;
}

Status expect_of_raw(const Quarantined& item) {
  if (item.reason == Reason::foreign)
    return failure(Fault::refused, Retry::never,
                   "it is a record of another topic that truetape did not write: it is in no topic raw");
  if (item.resolution != Resolution::none) return failure(Fault::refused, Retry::never, "it waits no more");
  return {};
}

}  // namespace

Result<RawText> replay_record(const Quarantined& item) {
  if (const Status there = expect_of_raw(item); !there) return tl::unexpected{there.error()};
  std::string kind{name(RawKind::frame)};
  for (const auto& [header_name, value] : item.headers) {
    if (header_name == header::kind) kind = value;
    if (header_name == header::cut)
      return failure(Fault::refused, Retry::never, "its record was too long, and the rest of it was not kept");
  }
  const auto of = parse_raw_kind(kind);
  if (of != RawKind::frame && of != RawKind::history && of != RawKind::backfill && of != RawKind::reference)
    return failure(Fault::refused, Retry::never, "records of kind " + kind + " cannot be judged again");
  RawText out = worked(item, RawKind::replay);
  out.value = item.raw;
  for (const auto& [header_name, value] : item.headers)
    if (header_name != header::kind) out.headers.emplace_back(header_name, value);
  out.headers.emplace_back(header::original_kind, kind);
  if (!item.id.empty()) out.headers.emplace_back(header::id, item.id.str());
  return out;
}

Result<RawText> drop_record(const Quarantined& item) {
  if (const Status there = expect_of_raw(item); !there) return tl::unexpected{there.error()};
  RawText out = worked(item, RawKind::drop);
  out.headers.emplace_back(header::instruments, item.instrument.str());
  if (!item.id.empty()) out.headers.emplace_back(header::id, item.id.str());
  if (item.receive_time) out.headers.emplace_back(header::receive_time, std::to_string(to_ns(*item.receive_time)));
  return out;
}

}  // namespace truetape
