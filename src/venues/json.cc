#include "venues/json.h"

#include <cstring>

namespace truetape::json {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }
bool blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
int hex(char c) {
  if (digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// -1 unless four hexadecimal digits begin at p.
int hex4(const char* p, const char* end) {
  if (end - p < 4) return -1;
  int code = 0;
  for (int i = 0; i < 4; ++i) {
    const int h = hex(p[i]);
    if (h < 0) return -1;
    code = code * 16 + h;
  }
  return code;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

}  // namespace

std::string_view name(Type type) {
  switch (type) {
    case Type::object:
      return "an object";
    case Type::array:
      return "an array";
    case Type::string:
      return "a text";
    case Type::integer:
      return "an integer";
    case Type::number:
      return "a number with a point or exponent";
    case Type::boolean:
      return "a boolean";
    case Type::null:
      return "null";
    case Type::none:
      return "missing";
  }
  return "missing";
}

bool Reader::fail(std::string what, Reason reason) {
  problem_ = {reason, position(), std::move(what)};
  return false;
}

void Reader::blanks() {
  while (p_ != end_ && blank(*p_)) ++p_;
}

bool Reader::take(char c) {
  if (p_ == end_ || *p_ != c) return false;
  ++p_;
  return true;
}

bool Reader::value(Value& out) {
  blanks();
  if (p_ == end_) return fail("ends where a value is needed");
  switch (*p_) {
    case '"':
      return string(out);
    case '{':
    case '[':
      return nested(out);
    case 't':
    case 'f':
    case 'n':
      return literal(out);
    default:
      return number(out);
  }
}

bool Reader::string(Value& out) {
  ++p_;
  const char* const start = p_;
  bool escaped = false;
  for (;;) {
    while (p_ != end_ && *p_ != '"' && *p_ != '\\' && static_cast<unsigned char>(*p_) >= 0x20) ++p_;
    if (p_ == end_) return fail("ends inside a text");
    if (*p_ == '"') break;
    if (*p_ != '\\') return fail("has a control character inside a text");
    escaped = true;
    if (++p_ == end_) return fail("ends inside a text");
    if (*p_ == 'u') {
      const int code = hex4(p_ + 1, end_);
      if (code < 0) return fail("has a broken \\u escape");
      p_ += 5;
      if (code >= 0xDC00 && code < 0xE000) return fail("has half of a surrogate pair", Reason::encoding);
      if (code >= 0xD800 && code < 0xDC00) {
        const int low = end_ - p_ >= 6 && p_[0] == '\\' && p_[1] == 'u' ? hex4(p_ + 2, end_) : -1;
        if (low < 0xDC00 || low >= 0xE000) return fail("has half of a surrogate pair", Reason::encoding);
        p_ += 6;
      }
    } else if (std::strchr("\"\\/bfnrt", *p_) != nullptr && *p_ != '\0') {
      ++p_;
    } else {
      return fail("has an unknown escape");
    }
  }
  out = {Type::string, escaped, {start, static_cast<std::size_t>(p_ - start)}};
  ++p_;
  return true;
}

bool Reader::number(Value& out) {
  const char* const start = p_;
  Type type = Type::integer;
  if (*p_ == '-') ++p_;
  if (p_ == end_ || !digit(*p_)) {
    p_ = start;
    const std::string_view rest{p_, static_cast<std::size_t>(end_ - p_)};
    for (const std::string_view word : {"NaN", "Infinity", "-Infinity"})
      if (rest.starts_with(word))
        return fail("has " + std::string{word} + ", which is no JSON value", Reason::wrong_type);
    return fail("has something that is no JSON value");
  }
  if (*p_ == '0') {
    ++p_;
  } else {
    while (p_ != end_ && digit(*p_)) ++p_;
  }
  if (p_ != end_ && *p_ == '.') {
    type = Type::number;
    ++p_;
    if (p_ == end_ || !digit(*p_)) return fail("has a number without digits after the point");
    while (p_ != end_ && digit(*p_)) ++p_;
  }
  if (p_ != end_ && (*p_ == 'e' || *p_ == 'E')) {
    type = Type::number;
    ++p_;
    if (p_ != end_ && (*p_ == '+' || *p_ == '-')) ++p_;
    if (p_ == end_ || !digit(*p_)) return fail("has a number without an exponent");
    while (p_ != end_ && digit(*p_)) ++p_;
  }
  out = {type, false, {start, static_cast<std::size_t>(p_ - start)}};
  return true;
}

bool Reader::literal(Value& out) {
  for (const std::string_view word : {"true", "false", "null"}) {
    if (std::string_view{p_, static_cast<std::size_t>(end_ - p_)}.starts_with(word)) {
      out = {word == "null" ? Type::null : Type::boolean, false, {p_, word.size()}};
      p_ += word.size();
      return true;
    }
  }
  return fail("has something that is no JSON value");
}

// An object or array inside: checked and skipped, without recursion. One bit a level: 1 for an object.
bool Reader::nested(Value& out) {
  const char* const start = p_;
  std::uint64_t objects = 0;
  int depth = 0;
  bool open_allowed_close = false;  // just behind an opening bracket, where the closing one may follow
  const auto open = [&] {
    if (depth == kMaxDepth) return fail("is nested deeper than 64 levels");
    objects = objects << 1 | (*p_ == '{' ? 1U : 0U);
    ++depth;
    ++p_;
    open_allowed_close = true;
    return true;
  };
  if (!open()) return false;
  Value ignored;
  for (;;) {
    blanks();
    if (p_ == end_) return fail("ends inside an object or array");
    const bool in_object = (objects & 1) != 0;
    bool closed = false;
    if (open_allowed_close && *p_ == (in_object ? '}' : ']')) {
      ++p_;
      closed = true;
    } else {
      if (in_object) {
        if (*p_ != '"') return fail("has no key where one is needed");
        if (!string(ignored)) return false;
        blanks();
        if (!take(':')) return fail("has no colon behind a key");
        blanks();
        if (p_ == end_) return fail("ends where a value is needed");
      }
      if (*p_ == '{' || *p_ == '[') {
        if (!open()) return false;
        continue;
      }
      if (!value(ignored)) return false;
    }
    // Behind a value: a comma, or one or more closing brackets.
    open_allowed_close = false;
    for (;;) {
      if (closed) {
        objects >>= 1;
        if (--depth == 0) {
          out = {*start == '{' ? Type::object : Type::array, false, {start, static_cast<std::size_t>(p_ - start)}};
          return true;
        }
      }
      blanks();
      if (take(',')) break;
      if (!take((objects & 1) != 0 ? '}' : ']'))
        return fail(p_ == end_ ? "ends inside an object or array" : "has no comma where one is needed");
      closed = true;
    }
  }
}

bool Object::add(std::string_view key, const Value& value) {
  if (key.size() == 1 && static_cast<unsigned char>(key[0]) < 0x80) {
    const std::size_t index = static_cast<unsigned char>(key[0]);
    const std::uint64_t bit = std::uint64_t{1} << (index & 63);
    if ((seen_[index >> 6] & bit) != 0) return false;
    seen_[index >> 6] |= bit;
    single_[index] = value;
    return true;
  }
  constexpr std::size_t kLong = 24;
  if (longer_.size() < kLong) {
    for (const auto& [other, ignored] : longer_)
      if (other == key) return false;
  } else {
    if (index_.empty())
      for (const auto& [other, ignored] : longer_) index_.insert(other);
    if (!index_.insert(key).second) return false;
  }
  longer_.emplace_back(key, value);
  return true;
}

Value Object::get(std::string_view key) const {
  if (key.size() == 1 && static_cast<unsigned char>(key[0]) < 0x80) return get(key[0]);
  for (const auto& [other, value] : longer_)
    if (other == key) return value;
  return {};
}

bool Object::read(std::string_view text, Problem& problem) {
  Reader in{text};
  const auto fail = [&](std::string what, Reason reason = Reason::syntax) {
    problem = {reason, in.position(), std::move(what)};
    return false;
  };
  in.blanks();
  if (!in.take('{')) return fail("is no object");
  in.blanks();
  if (!in.take('}')) {
    for (;;) {
      in.blanks();
      if (in.at_end()) return fail("ends inside an object or array");
      if (in.peek() != '"') return fail("has no key where one is needed");
      Value key, value;
      if (!in.value(key)) return problem = in.problem(), false;
      in.blanks();
      if (!in.take(':')) return fail(in.at_end() ? "ends behind a key" : "has no colon behind a key");
      if (!in.value(value)) return problem = in.problem(), false;
      std::string_view key_text = key.text;
      if (key.escaped) key_text = unescaped_.emplace_back(unescape(key.text));
      if (!add(key_text, value))
        return fail("has the key \"" + std::string{key_text.substr(0, 64)} + "\" twice", Reason::duplicate_key);
      in.blanks();
      if (in.take('}')) break;
      if (!in.take(','))
        return fail(in.at_end() ? "ends inside an object or array" : "has no comma where one is needed");
    }
  }
  in.blanks();
  if (!in.at_end()) return fail("goes on behind its end");
  return true;
}

std::string unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p != end) {
    if (*p != '\\') {
      out.push_back(*p++);
      continue;
    }
    ++p;
    switch (const char c = *p++) {
      case 'b':
        out.push_back('\b');
        break;
      case 'f':
        out.push_back('\f');
        break;
      case 'n':
        out.push_back('\n');
        break;
      case 'r':
        out.push_back('\r');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'u': {
        auto code = static_cast<std::uint32_t>(hex4(p, end));
        p += 4;
        if (code >= 0xD800 && code < 0xDC00) {
          const auto low = static_cast<std::uint32_t>(hex4(p + 2, end));
          p += 6;
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        append_utf8(out, code);
        break;
      }
      default:
        out.push_back(c);
    }
  }
  return out;
}

}  // namespace truetape::json
