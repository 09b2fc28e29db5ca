#include "batch/open_ranges.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>
#include <thread>

#include "core/raw.h"
#include "log/read.h"

namespace truetape {
namespace {

// One record names at most so many instruments, which is far below the limit of a record; a file of more has several.
constexpr std::size_t kInstruments = 4'096;
constexpr std::string_view kPrefix = "import/";  // of the keys: "import/HASH/NUMBER"
constexpr std::int32_t kPartition = 0;
constexpr std::string_view kRest = "REST ";
constexpr std::chrono::milliseconds kPause{20};  // while the log has no room
constexpr std::size_t kRestHash = 16;            // digits; of a file there are 64

std::string_view hash_of(std::string_view key) {
  key.remove_prefix(kPrefix.size());
  return key.substr(0, key.find('/'));
}

std::vector<Instrument> parse_list(std::string_view text) {
  std::vector<Instrument> out;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (const auto instrument = Instrument::parse(text.substr(0, comma))) out.push_back(*instrument);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return out;
}

std::string_view header_of(const Record& record, std::string_view name) {
  for (const Header& h : record.headers)
    if (h.name == name) return h.value;
  return {};
}

}  // namespace

std::string range_name(std::string_view file_hash, const Instrument& instrument) {
  return std::string{file_hash.substr(0, 16)} + ':' + instrument.str();
}

OpenRanges::File OpenRanges::rest(const Instrument& instrument, Timestamp from) {
  std::string name = std::string{kRest} + instrument.str() + ' ' + to_rfc3339(from);
  std::array<char, kRestHash + 1> hash{};
  std::snprintf(hash.data(), hash.size(), "%016zx", std::hash<std::string>{}(name));
  return {hash.data(), std::move(name), {instrument}};
}

bool OpenRanges::is_rest(const File& file) { return file.hash.size() == kRestHash && file.name.starts_with(kRest); }

Result<OpenRanges> OpenRanges::read(Log& log) {
  auto control = log.appender(topic::control);
  if (!control) return tl::unexpected{control.error()};
  OpenRanges out{std::move(*control)};
  const auto span = log.span(topic::control, kPartition);
  if (!span) return tl::unexpected{span.error()};
  const Status read =
      read_stretch(log, {topic::control, kPartition, span->oldest, span->end}, [&](const Stored& stored) {
        const std::string_view key = stored.record.key;
        if (!key.starts_with(kPrefix)) return true;
        const std::string hash{hash_of(key)};
        if (header_of(stored.record, header::kind) != name(RawKind::begin)) {
          out.open_.erase(hash);
          return true;
        }
        Entry& entry = out.open_.try_emplace(hash, Entry{{hash, {}, {}}, true}).first->second;
        entry.file.name = stored.record.value;
        for (const Instrument& instrument : parse_list(header_of(stored.record, header::instruments)))
          if (std::find(entry.file.instruments.begin(), entry.file.instruments.end(), instrument) ==
              entry.file.instruments.end())
            entry.file.instruments.push_back(instrument);
        return true;
      });
  if (!read) return tl::unexpected{read.error()};
  return out;
}

Status OpenRanges::begin(const File& file, const NoRoom& no_room) {
  if (Status noted = note(file, true, no_room); !noted) return noted;
  open_.insert_or_assign(file.hash, Entry{file, false});
  return {};
}

Status OpenRanges::end(const std::string& hash, const NoRoom& no_room) {
  const auto found = open_.find(hash);
  if (found == open_.end()) return {};
  if (Status noted = note(found->second.file, false, no_room); !noted) return noted;
  open_.erase(found);
  return {};
}

std::vector<OpenRanges::File> OpenRanges::left() const {
  std::vector<File> out;
  for (const auto& [hash, entry] : open_)
    if (entry.left) out.push_back(entry.file);
  return out;
}

Status OpenRanges::note(const File& file, bool open, const NoRoom& no_room) {
  const auto flush = [&]() -> Result<bool> {
    const auto flushed = control_->flush(std::chrono::seconds{1});
    if (flushed || flushed.error().fault != Fault::no_space || flushed.error().retry != Retry::after_backoff)
      return flushed;
    if (Status waits = no_room(flushed.error()); !waits) return tl::unexpected{waits.error()};
    return false;
  };
  std::size_t number = 0;
  for (std::size_t first = 0; first < file.instruments.size() || first == 0; first += kInstruments, ++number) {
    std::string list;
    const std::size_t end = std::min(first + kInstruments, file.instruments.size());
    for (std::size_t i = first; i < end; ++i) list += (list.empty() ? "" : ",") + file.instruments[i].str();
    const std::array headers{Header{header::kind, name(open ? RawKind::begin : RawKind::end)},
                             Header{header::instruments, list}};
    const std::string key = std::string{kPrefix} + file.hash + '/' + std::to_string(number);
    while (!control_->append(kPartition, {key, file.name, headers}))
      if (const auto flushed = flush(); !flushed) return tl::unexpected{flushed.error()};
  }
  for (;;) {
    const auto flushed = flush();
    if (!flushed) return tl::unexpected{flushed.error()};
    if (*flushed) return {};
  }
}

Result<std::vector<OpenRanges::File>> end_left(Log& log, Timestamp now, std::chrono::milliseconds patience,
                                               const std::function<bool(const OpenRanges::File&)>& which) {
  auto ranges = OpenRanges::read(log);
  if (!ranges) return tl::unexpected{ranges.error()};
  std::vector<OpenRanges::File> left = ranges->left();
  std::erase_if(left, [&](const OpenRanges::File& file) { return !which(file); });
  if (left.empty()) return left;
  auto raw = log.appender(topic::raw);
  if (!raw) return tl::unexpected{raw.error()};
  const auto waiting = [patience](std::chrono::steady_clock::time_point since) {
    std::this_thread::sleep_for(kPause);
    return std::chrono::steady_clock::now() - since < patience;
  };
  const auto none = []() { return failure(Fault::unavailable, Retry::after_backoff, "the log takes no records now"); };
  const auto began = std::chrono::steady_clock::now();
  // True: durable. False: not yet.
  const auto flush = [&]() -> Result<bool> {
    const auto flushed = (*raw)->flush(std::chrono::milliseconds{100});
    const bool full = !flushed && flushed.error().fault == Fault::no_space;
    if (!flushed && !(full && flushed.error().retry == Retry::after_backoff)) return flushed;
    if (flushed && *flushed) return true;
    if (waiting(began)) return false;
    return full ? flushed : none();
  };
  const std::string time = std::to_string(to_ns(now));
  for (const OpenRanges::File& file : left) {
    for (const Instrument& instrument : file.instruments) {
      const std::string range = range_name(file.hash, instrument), text = instrument.str();
      const std::array headers{Header{header::kind, name(RawKind::end)}, Header{header::instruments, text},
                               Header{header::receive_time, time}, Header{header::range, range}};
      while (!(*raw)->append(partition_of(instrument, log.partitions()), {text, {}, headers}))
        if (const auto flushed = flush(); !flushed) return tl::unexpected{flushed.error()};
    }
  }
  for (;;) {
    const auto flushed = flush();
    if (!flushed) return tl::unexpected{flushed.error()};
    if (*flushed) break;
  }
  const auto noting = std::chrono::steady_clock::now();
  const OpenRanges::NoRoom no_room = [&](const Error& error) {
    return waiting(noting) ? Status{} : Status{tl::unexpected{error}};
  };
  for (const OpenRanges::File& file : left)
    if (const Status ended = ranges->end(file.hash, no_room); !ended) return tl::unexpected{ended.error()};
  return left;
}

}  // namespace truetape
