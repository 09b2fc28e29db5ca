// A venue's page of news, saved as a file: one JSON array. It goes into raw as the page that it was, cut between its
// elements where it is too long for a record. News belongs to no instrument there (docs/records.md): partition 0.
#include <array>

#include "batch/import_parts.h"
#include "venues/json.h"

namespace truetape::import {
namespace {

constexpr std::size_t kMaxPage = 64 << 20;    // of a file, which is held in memory
constexpr std::size_t kMaxPiece = 256 << 10;  // of a record

Result<std::string> read_all(const Plan& plan) {
  auto file = FileReader::open(plan.path);
  if (!file) return tl::unexpected{file.error()};
  std::string out;
  for (;;) {
    const auto bytes = file->read();
    if (!bytes) return tl::unexpected{bytes.error()};
    if (bytes->empty()) return out;
    out += *bytes;
    if (out.size() > kMaxPage)
      return failure(Fault::malformed, Retry::never,
                     plan.path.string() + ": a page has at most 64 MiB; split it into several arrays");
  }
}

tl::unexpected<Error> refuse(const Plan& plan, const std::string& why) {
  return failure(
      Fault::malformed, Retry::never,
      plan.path.string() + ": " + why + "; a .json file is one array of headlines, as the venue's REST gives it");
}

// Calls `piece` with arrays of neighbouring elements, which together are the page.
Status pieces(const Plan& plan, std::string_view page,
              const std::function<Status(std::string_view piece, std::uint64_t elements)>& piece) {
  json::Reader reader{page};
  json::Value element;
  reader.blanks();
  if (!reader.take('[')) return refuse(plan, "it is no JSON array");
  std::string held = "[";
  std::uint64_t elements = 0;
  const auto flush = [&] {
    held += ']';
    const Status ok = piece(held, elements);
    held = "[";
    elements = 0;
    return ok;
  };
  reader.blanks();
  if (!reader.take(']'))
    for (;;) {
      reader.blanks();
      const std::size_t from = reader.position();
      if (!reader.value(element))
        return refuse(plan, "at byte " + std::to_string(reader.problem().at) + " it " + reader.problem().what);
      const std::string_view bytes = page.substr(from, reader.position() - from);
      if (elements > 0 && held.size() + bytes.size() + 2 > kMaxPiece)
        if (Status ok = flush(); !ok) return ok;
      held += elements > 0 ? "," : "";
      held += bytes;
      ++elements;
      reader.blanks();
      if (reader.take(']')) break;
      if (!reader.take(',')) return refuse(plan, "at byte " + std::to_string(reader.position()) + " it lacks a comma");
    }
  return elements > 0 ? flush() : Status{};
}

}  // namespace

Status check_page(const Plan& plan) {
  const auto page = read_all(plan);
  if (!page) return tl::unexpected{page.error()};
  std::uint64_t news = 0, rest = 0;
  const std::array headers{Header{header::venue, plan.venue->name}};
  const Status read = pieces(plan, *page, [&](std::string_view piece, std::uint64_t) {
    RawRecord record;
    record.kind = RawKind::backfill;
    record.bytes = piece;
    record.headers = headers;
    Events events;
    plan.venue->decode(record, events);
    news += events.news.size();
    rest += events.items.size();
    return Status{};
  });
  if (!read) return read;
  if (news == 0 && rest > 0) return refuse(plan, "it holds no headline that can be read");
  return {};
}

Status import_page(const Plan& plan, Place place, Writer& writer, Timestamp now) {
  const auto hash = sha256_of(plan.path);
  if (!hash) return tl::unexpected{hash.error()};
  const auto page = read_all(plan);
  if (!page) return tl::unexpected{page.error()};
  const Digits received{now};
  return pieces(plan, *page, [&](std::string_view piece, std::uint64_t elements) {
    if (writer.stopped()) return Status{};
    const Digits row{static_cast<std::int64_t>(writer.summary.rows + 1)};
    const std::array headers{Header{header::kind, name(RawKind::backfill)},
                             Header{header::instruments, {}},
                             Header{header::receive_time, received},
                             Header{header::venue, plan.venue->name},
                             Header{header::file, *hash},
                             Header{header::row, row}};
    writer.summary.rows += elements;
    writer.tell({&plan.path, place.number, place.files, false, plan.bytes, plan.bytes, writer.summary.rows});
    return writer.put(0, {}, piece, headers);
  });
}

}  // namespace truetape::import
