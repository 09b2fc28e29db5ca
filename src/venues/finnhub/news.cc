// Headlines: objects of `/news` and `/company-news`, and the same in news frames.
#include <algorithm>

#include "core/digits.h"
#include "venues/finnhub/item.h"

namespace truetape::finnhub {
namespace {

using json::Object;
using json::Type;
using json::Value;
using payload::shown;
using payload::spoil;

constexpr std::size_t kMaxRelated = 64;

// A text that may be missing or null.
std::string optional_text(const Object& object, std::string_view key, const Context& context, Item& item) {
  const Value value = object.get(key);
  if (value.type == Type::string) return value.escaped ? json::unescape(value.text) : std::string{value.text};
  if (value.type != Type::none && value.type != Type::null)
    spoil(item, Reason::wrong_type, context, key, " is " + std::string{json::name(value.type)} + ", a text is needed");
  return {};
}

// "AAPL,MSFT": what cannot be an instrument is left out.
std::vector<Instrument> related(std::string_view text) {
  std::vector<Instrument> out;
  while (!text.empty() && out.size() < kMaxRelated) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view symbol = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (symbol.starts_with(' ')) symbol.remove_prefix(1);
    while (symbol.ends_with(' ')) symbol.remove_suffix(1);
    const auto instrument = instrument_of(symbol);
    if (instrument && std::find(out.begin(), out.end(), *instrument) == out.end()) out.push_back(*instrument);
  }
  return out;
}

}  // namespace

bool is_news(const Object& object) { return object.has("headline") && object.has("datetime"); }

void add_news(const Object& object, std::string_view raw, Context& context, Events& out) {
  if (!context.share.has_nameless()) return;  // news names no instrument: all of it has one place (README.md)
  Item item;
  News news;
  news.venue = kName;
  const std::string_view id_key = object.has("id") || !object.has("urlId") ? "id" : "urlId";
  const Value id = object.get(id_key);
  if (id.type == Type::none)
    spoil(item, Reason::missing_field, context, id_key, " is missing");
  else if (id.type != Type::integer)
    spoil(item, Reason::wrong_type, context, id_key,
          " is " + std::string{json::name(id.type)} + ", an integer is needed");
  else if (!digits::natural(id.text))
    spoil(item, Reason::id_range, context, id_key, " is " + shown(id.text) + ", an id from 0 to 2^63 - 1 is needed");
  else
    news.id = id.text;
  const Value datetime = object.get("datetime");
  const auto seconds = datetime.type == Type::integer ? digits::natural(datetime.text) : std::nullopt;
  if (datetime.type != Type::integer)
    spoil(item, Reason::wrong_type, context, "datetime",
          " is " + std::string{json::name(datetime.type)} + ", an integer is needed");
  else if (!seconds || guess_time_unit(*seconds) != TimeUnit::s)
    spoil(item, Reason::time_unit, context, "datetime",
          " is " + shown(datetime.text) + ", which is no time in seconds since 2001");
  else if (const auto time = from_epoch(*seconds, TimeUnit::s); !time)
    spoil(item, Reason::time_range, context, "datetime",
          " is " + shown(datetime.text) + ", which is beyond the year 2262");
  else
    news.event_time = *time;
  news.headline = optional_text(object, "headline", context, item);
  news.source = optional_text(object, "source", context, item);
  news.url = optional_text(object, "url", context, item);
  news.summary = optional_text(object, "summary", context, item);
  news.related = related(optional_text(object, "related", context, item));
  if (item.type != Item::Type::bad) {
    out.news.push_back(std::move(news));
    return;
  }
  Item& bad = add_item(raw, context, out);
  bad.type = Item::Type::bad;
  bad.reason = item.reason;
  bad.detail = std::move(item.detail);
}

}  // namespace truetape::finnhub
