#include "roles/outputs.h"

#include <algorithm>

#include "codec/keys.h"
#include "codec/quarantine.h"
#include "codec/wire.h"

namespace truetape {
namespace {

// Of an item whose record would be too large for the log.
constexpr std::size_t kKept = 64 * 1024;         // of its bytes, as ingest and an import keep of such
constexpr std::size_t kKeptOfHeaders = 1 << 19;  // of its raw record's
constexpr std::size_t kKeptOfDetail = 1024;

bool fits(std::string_view key, std::string_view value, const OwnedHeaders& headers) {
  std::vector<Header> views;
  views.reserve(headers.size());
  for (const auto& [name, text] : headers) views.push_back({name, text});
  return record_bytes({key, value, views}) <= kMaxRecordBytes;
}

// As much of it as a record holds. What was left out is said in the header `cut` and in the detail.
Quarantined shortened(const Quarantined& row) {
  Quarantined out = row;
  std::size_t bytes = 0;
  const auto erased = std::erase_if(out.headers, [&bytes](const auto& h) {
    const std::size_t more = quarantine_header::original.size() + h.first.size() + h.second.size() + 8;
    if (bytes + more > kKeptOfHeaders) return true;
    bytes += more;
    return false;
  });
  if (out.raw.size() > kKept) {
    out.raw.resize(kKept);
    const auto is_cut = [](const auto& h) { return h.first == header::cut; };
    if (std::ranges::none_of(out.headers, is_cut))  // else it tells already what came
      out.headers.emplace_back(header::cut, std::to_string(row.raw.size()));
  }
  if (out.detail.size() > kKeptOfDetail) out.detail = out.detail.substr(0, kKeptOfDetail) + "…";
  if (erased > 0)
    out.detail += " (its record is too large: " + std::to_string(erased) + " of its headers are left out)";
  return out;
}

}  // namespace

void Outputs::clear() {
  bytes_.clear();
  entries_.clear();
  header_pieces_.clear();
  changes_.clear();
}

Outputs::Piece Outputs::put(std::string_view text) {
  const Piece piece{bytes_.size(), text.size()};
  bytes_ += text;
  return piece;
}

template <class Rows>
void Outputs::add_rows(std::string_view topic, const Rows& rows, std::int32_t partition) {
  for (const auto& row : rows) {
    Entry entry{topic, partition, {bytes_.size(), 0}, {}, 0, 0};
    put_key(row, bytes_);
    entry.key.size = bytes_.size() - entry.key.begin;
    entry.value.begin = bytes_.size();
    wire::encode(row, bytes_);
    entry.value.size = bytes_.size() - entry.value.begin;
    entries_.push_back(entry);
  }
}

std::size_t Outputs::add(const Results& results, std::int32_t partition) {
  std::size_t cut = 0;
  add_rows(topic::trades, results.trades, partition);
  add_rows(topic::quotes, results.quotes, partition);
  add_rows(topic::candles, results.candles, partition);
  add_rows(topic::news, results.news, partition);
  add_rows(topic::news_counts, results.news_counts, partition);
  add_rows(topic::gaps, results.gaps, partition);
  add_rows(topic::late, results.late, partition);
  add_rows(topic::progress, results.progress, partition);
  add_rows(topic::instruments, results.instruments, partition);
  for (const Quarantined& row : results.quarantined) {
    Entry entry{topic::quarantine, partition, {bytes_.size(), 0}, {}, header_pieces_.size(), 0};
    put_key(row, bytes_);
    entry.key.size = bytes_.size() - entry.key.begin;
    OwnedHeaders headers = quarantine_headers(row);
    if (fits(view(entry.key), row.raw, headers)) {
      entry.value = put(row.raw);
    } else {
      const Quarantined less = shortened(row);
      entry.value = put(less.raw);
      headers = quarantine_headers(less);
      ++cut;
    }
    for (const auto& [name, value] : headers) {
      const Piece name_piece = put(name);
      header_pieces_.emplace_back(name_piece, put(value));
    }
    entry.headers = header_pieces_.size() - entry.first_header;
    entries_.push_back(entry);
  }
  for (const auto& [key, value] : results.state) {
    Change change{partition, put(key), {}, !value.has_value()};
    if (value) change.value = put(*value);
    changes_.push_back(change);
  }
  return cut;
}

std::span<const Output> Outputs::outputs() {
  headers_.clear();
  for (const auto& [name, value] : header_pieces_) headers_.push_back({view(name), view(value)});
  outputs_.clear();
  for (const Entry& entry : entries_)
    outputs_.push_back(
        {entry.topic,
         entry.partition,
         {view(entry.key), view(entry.value), std::span{headers_}.subspan(entry.first_header, entry.headers)}});
  return outputs_;
}

std::span<const StateChange> Outputs::state() {
  state_.clear();
  for (const Change& change : changes_)
    state_.push_back(
        {change.partition, view(change.key), change.deletes ? std::nullopt : std::optional{view(change.value)}});
  return state_;
}

}  // namespace truetape
