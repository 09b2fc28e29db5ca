#include "codec/cells.h"

#include "core/utf8.h"

namespace truetape {

void append_csv(std::string_view text, std::string& out) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return append_utf8(text, out);
  out += '"';
  while (!text.empty()) {
    const std::size_t quote = text.find('"');
    append_utf8(text.substr(0, quote), out);
    if (quote == std::string_view::npos) break;
    out += "\"\"";
    text.remove_prefix(quote + 1);
  }
  out += '"';
}

void append_json(std::string_view text, std::string& out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out += '"';
  std::size_t plain = 0;  // beginning of what is appended as it stands
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f) continue;
    append_utf8(text.substr(plain, i - plain), out);
    plain = i + 1;
    switch (byte) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
  }
  append_utf8(text.substr(plain), out);
  out += '"';
}

std::size_t append_plain(std::string_view text, std::size_t longest, std::string& out) {
  std::size_t count = 0, before_last = out.size();
  while (!text.empty()) {
    if (count == longest) {
      out.resize(before_last);
      out += "…";
      return count;
    }
    const Utf8 next = first_character(text);
    before_last = out.size();
    const bool control =
        next.code_point < 0x20 || (next.code_point >= 0x7f && next.code_point < 0xa0) ||
        (next.code_point >= 0x200e && next.code_point <= 0x200f) ||
        (next.code_point >= 0x2028 && next.code_point <= 0x202e) ||
        (next.code_point >= 0x2066 && next.code_point <= 0x2069);  // C0, C1, line breaks, writing direction
    if (control)
      out += "·";
    else
      out.append(next.valid ? text.substr(0, next.size) : kReplacement);
    text.remove_prefix(next.size);
    ++count;
  }
  return count;
}

}  // namespace truetape
