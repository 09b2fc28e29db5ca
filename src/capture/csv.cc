#include "capture/csv.h"

#include <charconv>
#include <cstring>

namespace truetape {
namespace {

constexpr std::array<std::string_view, kColumns> kNames{"time",           "price", "quantity",  "side",
                                                        "buyer_is_maker", "id",    "first_id",  "last_id",
                                                        "receive_time",   "kind",  "instrument"};

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string_view name(Column column) { return kNames[static_cast<std::size_t>(column)]; }

std::optional<Column> parse_column(std::string_view text) {
  for (std::size_t i = 0; i < kColumns; ++i)
    if (kNames[i] == text) return static_cast<Column>(i);
  return std::nullopt;
}

std::string ColumnMap::text() const {
  std::string out;
  for (std::size_t i = 0; i < kColumns; ++i) {
    if (index[i] < 0) continue;
    if (!out.empty()) out += ',';
    out += kNames[i];
    out += '=';
    out += std::to_string(index[i]);
  }
  return out;
}

std::optional<ColumnMap> parse_column_map(std::string_view text) {
  ColumnMap map;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view entry = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const auto column = parse_column(entry.substr(0, equals));
    std::int16_t index = -1;
    const char* const end = entry.data() + entry.size();
    const auto [stop, error] = std::from_chars(entry.data() + equals + 1, end, index);
    if (!column || error != std::errc{} || stop != end || index < 0 || static_cast<std::size_t>(index) >= Cells::kMax)
      return std::nullopt;
    map[*column] = index;
  }
  return map;
}

bool Cells::split(std::string_view row) {
  size_ = 0;
  if (row.find('"') != std::string_view::npos) return split_quoted(row);
  for (;;) {
    if (size_ == kMax) return false;
    const void* const comma = row.empty() ? nullptr : std::memchr(row.data(), ',', row.size());
    if (comma == nullptr) {
      cells_[size_++] = trim(row);
      return true;
    }
    const auto at = static_cast<std::size_t>(static_cast<const char*>(comma) - row.data());
    cells_[size_++] = trim(row.substr(0, at));
    row.remove_prefix(at + 1);
  }
}

bool Cells::split_quoted(std::string_view row) {
  unquoted_.clear();
  unquoted_.reserve(row.size());  // so that views into it stay
  std::size_t i = 0;
  const auto blanks = [&] {
    while (i < row.size() && (row[i] == ' ' || row[i] == '\t' || row[i] == '\r')) ++i;
  };
  for (;;) {
    if (size_ == kMax) return false;
    blanks();
    if (i < row.size() && row[i] == '"') {
      const std::size_t from = unquoted_.size();
      for (++i;; ++i) {
        if (i == row.size()) return false;
        if (row[i] == '"') {
          if (i + 1 == row.size() || row[i + 1] != '"') break;
          ++i;
        }
        unquoted_.push_back(row[i]);
      }
      ++i;
      cells_[size_++] = std::string_view{unquoted_}.substr(from);
      blanks();
      if (i < row.size() && row[i] != ',') return false;
    } else {
      const std::size_t comma = std::min(row.find(',', i), row.size());
      const std::string_view cell = row.substr(i, comma - i);
      if (cell.find('"') != std::string_view::npos) return false;
      cells_[size_++] = trim(cell);
      i = comma;
    }
    if (i == row.size()) return true;
    ++i;  // the comma
  }
}

}  // namespace truetape
