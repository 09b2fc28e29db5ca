#include "registry/ids_file.h"

#include <simdjson.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

#include "codec/cells.h"

namespace truetape {
namespace {

using simdjson::dom::element;

std::optional<std::uint32_t> id_of(element value) {
  std::int64_t number = 0;
  if (value.get(number) != simdjson::SUCCESS || number < 0 || number > 0x7fff'ffff) return std::nullopt;
  return static_cast<std::uint32_t>(number);
}

std::optional<std::vector<std::uint32_t>> ids_of(element value) {
  if (const auto one = id_of(value)) return std::vector{*one};
  simdjson::dom::array list;
  if (value.get(list) != simdjson::SUCCESS || list.size() == 0) return std::nullopt;
  std::vector<std::uint32_t> out;
  for (const element entry : list) {
    const auto id = id_of(entry);
    if (!id) return std::nullopt;
    out.push_back(*id);
  }
  return out;
}

auto malformed(const std::filesystem::path& file, const std::string& what) {
  return failure(Fault::malformed, Retry::never,
                 file.string() + ": " + what +
                     "; write {\"market.trades-value\": 17, …}, or `truetape schemas register --ids " + file.string() +
                     "` makes it");
}

}  // namespace

Result<IdsBySubject> read_ids_file(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error))
    return failure(Fault::not_found, Retry::never,
                   file.string() +
                       ": there is no such file of schema ids; check kafka.schema_ids, or `truetape schemas "
                       "register --ids " +
                       file.string() + "` makes it");
  std::ifstream in;
  if (!std::filesystem::is_directory(file, error)) in.open(file, std::ios::binary);
  if (!in.is_open()) return failure(Fault::io, Retry::never, file.string() + ": cannot be read; check its rights");
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  simdjson::dom::parser parser;
  element root;
  simdjson::dom::object subjects;
  if (const auto wrong = parser.parse(simdjson::padded_string{text}).get(root))
    return malformed(file, std::string{"is no JSON: "} + simdjson::error_message(wrong));
  if (root.get(subjects) != simdjson::SUCCESS) return malformed(file, "is no object with subjects as its keys");
  IdsBySubject out;
  for (const auto& [subject, value] : subjects) {
    const std::string key{subject};
    auto ids = ids_of(value);
    if (!ids)
      return malformed(file, "\"" + key + "\" is neither an id (a whole number up to 2147483647) nor a list of ids");
    if (!out.emplace(key, std::move(*ids)).second) return malformed(file, "\"" + key + "\" stands there twice");
  }
  return out;
}

Status write_ids_file(const std::filesystem::path& file, const IdsBySubject& ids) {
  std::string text = "{";
  for (const auto& [subject, list] : ids) {
    text += text.size() > 1 ? ",\n  " : "\n  ";
    append_json(subject, text);
    text += list.size() == 1 ? ": " : ": [";
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (i > 0) text += ", ";
      append_number(list[i], text);
    }
    if (list.size() != 1) text += ']';
  }
  text += "\n}\n";
  std::filesystem::path fresh = file;
  fresh += ".partial";
  std::ofstream out{fresh, std::ios::binary | std::ios::trunc};
  out << text;
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(fresh, file, error);
  if (out && !error) return {};
  std::error_code ignored;
  std::filesystem::remove(fresh, ignored);
  return failure(Fault::io, Retry::never,
                 file.string() + ": cannot be written" + (error ? " (" + error.message() + ")" : std::string{}) +
                     "; check the directory, its rights and the room on its disk");
}

}  // namespace truetape
