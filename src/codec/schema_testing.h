// Schemas changed a little, for tests. (Not by <regex>: GCC 12 cannot compile it with sanitizers and our warnings.)
#pragma once

#include <string>
#include <string_view>

namespace truetape {

// The first `from` of the text as `to`; the same text where there is none.
inline std::string replaced(std::string text, std::string_view from, std::string_view to) {
  if (const std::size_t at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

// With other words in every description.
inline std::string told_anew(std::string_view schema) {
  constexpr std::string_view kDoc = "\"doc\": \"";
  std::string out{schema};
  for (std::size_t at = out.find(kDoc); at != std::string::npos; at = out.find(kDoc, at)) {
    at += kDoc.size();
    std::size_t end = at;
    while (out[end] != '"') end += out[end] == '\\' ? 2u : 1u;
    out.replace(at, end - at, "anew");
  }
  return out;
}

}  // namespace truetape
