// Inside of codec: JSON objects that we write and read ourselves, member by member.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "codec/cells.h"

namespace truetape::json_object {

using simdjson::dom::element;

// The members of one JSON object, appended.
class ObjectText {
 public:
  explicit ObjectText(std::string& out) : out_{out} { out_ += '{'; }
  void text(std::string_view name, std::string_view value) {
    member(name);
    append_json(value, out_);
  }
  void number(std::string_view name, std::int64_t value) {
    member(name);
    append_number(value, out_);
  }
  void number(std::string_view name, std::uint64_t value) {
    member(name);
    append_number(value, out_);
  }
  void flag(std::string_view name, bool value) { member(name), out_ += value ? "true" : "false"; }
  void time(std::string_view name, const std::optional<Timestamp>& value) {
    if (value) text(name, to_rfc3339(*value));
  }
  void member(std::string_view name) {
    if (any_) out_ += ',';
    any_ = true;
    append_json(name, out_);
    out_ += ':';
  }
  void end() { out_ += '}'; }

 private:
  std::string& out_;
  bool any_ = false;
};

// Reads members of one JSON object; the first that is wrong is kept as the error. Members that are not asked for are
// passed over, so that a later version may add some.
class ObjectReader {
 public:
  ObjectReader(element object, std::string path, std::string& wrong)
      : object_{object}, path_{std::move(path)}, wrong_{wrong} {}

  template <class T>
  std::optional<T> get(const char* name) {
    element found;
    if (object_.at_key(name).get(found) != simdjson::SUCCESS || found.is_null()) return std::nullopt;
    T value{};
    if (found.get(value) == simdjson::SUCCESS) return value;
    note(name, "has another type than it should");
    return std::nullopt;
  }
  template <class T>
  T need(const char* name) {
    if (auto value = get<T>(name)) return *value;
    note(name, "is missing");
    return T{};
  }
  std::optional<Timestamp> time(const char* name) {
    const auto text = get<std::string_view>(name);
    if (!text) return std::nullopt;
    const auto time = parse_rfc3339(*text);
    if (!time) note(name, "is no time; write it as 2024-08-08T23:59:59.123Z");
    return time;
  }
  void note(std::string_view name, std::string_view what) {
    if (wrong_.empty()) wrong_ = path_ + "." + std::string{name} + " " + std::string{what};
  }

 private:
  element object_;
  std::string path_;
  std::string& wrong_;
};

}  // namespace truetape::json_object
