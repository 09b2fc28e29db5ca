#include "roles/outputs.h"

#include "codec/keys.h"
#include "codec/quarantine.h"
#include "codec/wire.h"

namespace truetape {

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

void Outputs::add(const Results& results, std::int32_t partition) {
  add_rows(topic::trades, results.trades, partition);
  add_rows(topic::quotes, results.quotes, partition);
  add_rows(topic::candles, results.candles, partition);
  add_rows(topic::news, results.news, partition);
  add_rows(topic::gaps, results.gaps, partition);
  add_rows(topic::late, results.late, partition);
  add_rows(topic::progress, results.progress, partition);
  add_rows(topic::instruments, results.instruments, partition);
  for (const Quarantined& row : results.quarantined) {
    Entry entry{topic::quarantine, partition, {bytes_.size(), 0}, {}, header_pieces_.size(), 0};
    put_key(row, bytes_);
    entry.key.size = bytes_.size() - entry.key.begin;
    entry.value = put(row.raw);
    for (const auto& [name, value] : quarantine_headers(row)) {
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
