#include "batch/open_ranges.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "core/raw.h"
#include "log/read.h"

namespace truetape {
namespace {

// One record names at most so many instruments, which is far below the limit of a record; a file of more has several.
constexpr std::size_t kInstruments = 4'096;
constexpr std::string_view kPrefix = "import/";  // of the keys: "import/HASH/NUMBER"
constexpr std::int32_t kPartition = 0;

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

}  // namespace truetape
