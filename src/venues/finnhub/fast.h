// The quick look at a trade frame as the venue writes it: keys in alphabetical order, no blanks, no escapes. For decode
// and for route, so that both take the same frames for such.
#pragma once

#include <string_view>

#include "venues/finnhub/item.h"
#include "venues/plain_json.h"

namespace truetape::finnhub {

// What stands behind "c": null or a list of plain texts.
inline bool fast_conditions(json::Cursor& in) {
  if (in.eat("null")) return true;
  if (!in.eat("[")) return false;
  if (in.eat("]")) return true;
  for (json::Value ignored;;) {
    if (!in.eat("\"") || !in.text(ignored)) return false;
    if (in.eat("]")) return true;
    if (!in.eat(",")) return false;
  }
}

inline bool fast_entry(json::Cursor& in, TradeFields& f) {
  if (!in.eat("{")) return false;
  if (in.eat("\"c\":") && (!fast_conditions(in) || !in.eat(","))) return false;  // absent until 2021
  return in.eat("\"p\":") && in.number(f.price) && in.eat(",\"s\":\"") && in.text(f.symbol) && in.eat(",\"t\":") &&
         in.number(f.time) && in.eat(",\"v\":") && in.number(f.volume) && in.eat("}");
}

// Calls `each(fields, bytes)` for the elements of `data`. False: the frame is another one, or damaged, and what `each`
// was called for says nothing.
template <class Each>
[[gnu::always_inline]] inline bool each_entry_fast(std::string_view frame, Each each) {
  json::Cursor in{frame};
  if (!in.eat("{\"data\":[")) return false;
  TradeFields fields;
  do {
    const char* const start = in.position();
    if (!fast_entry(in, fields)) return false;
    each(fields, std::string_view{start, static_cast<std::size_t>(in.position() - start)});
  } while (in.eat(","));
  return in.eat("],\"type\":\"trade\"}") && in.at_end();
}

}  // namespace truetape::finnhub
