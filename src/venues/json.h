// A strict reader of one JSON object or array at a time, for venues' payloads: RFC 8259 and no more (no comments, no
// NaN, no trailing comma), at most 64 levels deep, keys unique in every object that is read. Nested values are checked
// and skipped. Nothing is copied but texts with escapes. Pure; throws only std::bad_alloc.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/records.h"

namespace truetape::json {

inline constexpr int kMaxDepth = 64;

enum class Type : std::uint8_t { object, array, string, integer, number, boolean, null, none };
std::string_view name(Type type);  // "an object", "a text" …: for sentences

struct Value {
  Type type = Type::none;  // none: the key is not there
  bool escaped = false;    // of a string: its text holds backslashes, see unescape
  std::string_view text;   // as it stands; of a string without the quotes
};

// What is wrong with the bytes, and where.
struct Problem {
  Reason reason = Reason::syntax;
  std::size_t at = 0;
  std::string what;
};

class Reader {
 public:
  explicit Reader(std::string_view text) : begin_{text.data()}, p_{text.data()}, end_{text.data() + text.size()} {}

  // Reads the value that begins at the next byte other than blanks. False: see problem().
  bool value(Value& out);
  void blanks();
  bool at_end() const { return p_ == end_; }
  char peek() const { return *p_; }  // only if not at_end
  bool take(char c);                 // true, and one further, if the next byte is c
  std::size_t position() const { return static_cast<std::size_t>(p_ - begin_); }
  bool fail(std::string what, Reason reason = Reason::syntax);  // always false
  const Problem& problem() const { return problem_; }

 private:
  bool string(Value& out);
  bool number(Value& out);
  bool literal(Value& out);
  bool nested(Value& out);

  const char* begin_;
  const char* p_;
  const char* end_;
  Problem problem_;
};

// The members of one object. Keys of one ASCII character, which is most of them, cost an array access.
class Object {
 public:
  // Reads `text`, which must be one object and nothing else but blanks.
  bool read(std::string_view text, Problem& problem);
  Value get(char key) const {  // ASCII only
    const std::size_t index = static_cast<unsigned char>(key);
    return (seen_[index >> 6] >> (index & 63) & 1) != 0 ? single_[index] : Value{};
  }
  Value get(std::string_view key) const;
  bool has(char key) const { return get(key).type != Type::none; }
  bool has(std::string_view key) const { return get(key).type != Type::none; }

 private:
  bool add(std::string_view key, const Value& value);  // false: it is there already

  std::array<Value, 128> single_;  // only those in seen_ are set
  std::array<std::uint64_t, 2> seen_{};
  std::vector<std::pair<std::string_view, Value>> longer_;
  std::unordered_set<std::string_view> index_;  // of longer_, once it is long
  std::deque<std::string> unescaped_;           // keys that were written with escapes
};

// The text of a string value with its escapes undone. The reader has checked them.
std::string unescape(std::string_view text);

}  // namespace truetape::json
