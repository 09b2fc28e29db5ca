#include "sim/finnhub_messages.h"

#include <algorithm>
#include <chrono>

namespace truetape::sim::finnhub {
namespace {

constexpr std::array<std::string_view, 8> kBrokers{"OANDA",      "FXCM",        "FOREX.COM", "FHFX",
                                                   "IC MARKETS", "PEPPERSTONE", "FXPRO",     "ICM"};

// The rule of since 2007: from the second Sunday of March to the first of November, at 02:00.
Duration new_york_offset(Time t) {
  using namespace std::chrono;
  const year_month_day day{floor<days>(t)};
  const Time begin = Time{sys_days{day.year() / March / Sunday[2]}} + hours{7};
  const Time end = Time{sys_days{day.year() / November / Sunday[1]}} + hours{6};
  return t >= begin && t < end ? hours{-4} : hours{-5};
}

}  // namespace

Class class_of(std::string_view symbol) {
  const std::size_t colon = symbol.find(':');
  if (colon == std::string_view::npos) return Class::shares;
  return std::ranges::find(kBrokers, symbol.substr(0, colon)) != kBrokers.end() ? Class::currencies : Class::crypto;
}

MarketSession session_at(Time t) {
  using namespace std::chrono;
  const Time local = t + new_york_offset(t);
  const auto day = floor<days>(local);
  const weekday name{day};
  const Duration since = local - Time{day};
  if (name == Saturday || name == Sunday || since < hours{4} || since >= hours{20}) return MarketSession::closed;
  if (since < minutes{9 * 60 + 30}) return MarketSession::pre;
  return since < hours{16} ? MarketSession::regular : MarketSession::post;
}

std::string trade_item(const Listing& listing, const Deal& deal) {
  const DealText& text = *deal.text;
  std::string out = "{";
  if (text.conditions) {
    out += "\"c\":" + *text.conditions + ',';
  } else if (text.made && class_of(listing.symbol) == Class::shares) {
    out += R"("c":["1")";
    if (text.sweep) out += R"(,"8")";
    if (session_at(deal.traded) != MarketSession::regular) out += R"(,"24")";
    if (deal.quantity < 100 * kOne) out += R"(,"12")";  // an odd lot
    out += "],";
  }
  out += "\"p\":" + text.price + ",\"s\":";
  append_json(out, listing.symbol);
  out += ",\"t\":";
  append_number(out, to_ms(deal.traded));
  return out + ",\"v\":" + text.quantity + '}';
}

std::string news_item(const News& news) {
  std::string out = "{\"category\":";
  append_json(out, news.text->category);
  out += ",\"datetime\":";
  append_number(out, to_us(news.traded) / 1'000'000);
  for (const auto& [name, member] : kNewsTexts) {
    if (name == "category") continue;
    out += ",\"";
    out += name;
    out += "\":";
    append_json(out, news.text.get()->*member);
    if (name == "headline") {
      out += ",\"id\":";
      append_number(out, news.text->id);
    }
  }
  return out + '}';
}

std::string data_message(const std::vector<std::string>& items, std::string_view type) {
  std::string out = "{\"data\":[";
  for (const std::string& item : items) {
    if (out.back() != '[') out += ',';
    out += item;
  }
  out += "],\"type\":\"";
  out += type;
  return out + "\"}";
}

std::string error_message(std::string_view text) {
  std::string out = "{\"msg\":";
  append_json(out, text);
  return out + ",\"type\":\"error\"}";
}

}  // namespace truetape::sim::finnhub
