#include "sim/truth.h"

namespace truetape::sim {
namespace {

void key(std::string& out, std::string_view name) {
  if (out.back() != '{' && out.back() != '[') out += ',';
  append_json(out, name);
  out += ':';
}
void text(std::string& out, std::string_view name, std::string_view value) {
  key(out, name);
  append_json(out, value);
}
void number(std::string& out, std::string_view name, std::uint64_t value) {
  key(out, name);
  append_number(out, value);
}
void moment(std::string& out, std::string_view name, Time t) {
  key(out, name);
  append_number(out, to_us(t));
}
void ranges(std::string& out, std::string_view name, const IdRanges& ids) {
  key(out, name);
  out += '[';
  for (const auto& [first, last] : ids.ranges()) {
    if (out.back() != '[') out += ',';
    out += '[';
    append_number(out, first);
    out += ',';
    append_number(out, last);
    out += ']';
  }
  out += ']';
}

void stream_json(std::string& out, const StreamLog& log) {
  out += "\n    {";
  text(out, "stream", log.name);
  key(out, "subscribed_us");
  out += '[';
  for (const auto& [from, until] : log.subscribed) {
    out += out.back() == '[' ? "[" : ",[";
    append_number(out, to_us(from));
    out += ',';
    if (until)
      append_number(out, to_us(*until));
    else
      out += "null";
    out += ']';
  }
  out += ']';
  number(out, "messages", log.messages);
  number(out, "duplicated", log.duplicated);
  number(out, "reordered", log.reordered);
  number(out, "delayed", log.delayed);
  ranges(out, "sent", log.sent);
  key(out, "withheld");
  out += '{';
  for (const auto& [reason, count] : log.counts) {
    key(out, reason);
    out += '{';
    number(out, "messages", count);
    const auto ids = log.withheld.find(reason);
    ranges(out, "ids", ids == log.withheld.end() ? IdRanges{} : ids->second);
    out += '}';
  }
  out += "}}";
}

}  // namespace

std::string truth_json(const Truth& truth, const Market& market, const std::vector<RestGiven>& given,
                       const RestCounts& counts) {
  std::string out = "{\"format\":1";
  text(out, "venue", venue_name(market.product()));
  text(out, "tape", truth.tape);
  number(out, "seed", truth.seed);
  text(out, "ended", truth.ended);
  moment(out, "from_us", truth.from);
  moment(out, "to_us", truth.to);
  key(out, "instruments");
  out += '[';
  for (std::uint32_t i = 0; i < market.size(); ++i) {
    const Listing& listing = market.listing(i);
    out += out.back() == '[' ? "\n  {" : ",\n  {";
    text(out, "instrument", std::string{venue_name(market.product())} + ':' + listing.symbol);
    text(out, "symbol", listing.symbol);
    number(out, "published_trades", market.trade_ids(i).count());
    ranges(out, "trades", market.trade_ids(i));
    number(out, "published_aggregates", market.aggregate_ids(i).count());
    ranges(out, "aggregates", market.aggregate_ids(i));
    ranges(out, "rest_trades", given[i].trades);
    ranges(out, "rest_aggregates", given[i].aggregates);
    out += '}';
  }
  out += ']';
  if (market.product() == Product::finnhub) ranges(out, "news", market.news_ids());
  key(out, "connections");
  out += '[';
  for (const auto& connection : truth.connections) {
    out += out.back() == '[' ? "\n  {" : ",\n  {";
    number(out, "number", connection->number);
    text(out, "address", connection->address);
    text(out, "path", connection->path);
    moment(out, "opened_us", connection->opened);
    if (connection->closed) moment(out, "closed_us", *connection->closed);
    text(out, "end", connection->end);
    number(out, "received", connection->received);
    number(out, "pings", connection->pings);
    number(out, "pongs", connection->pongs);
    key(out, "streams");
    out += '[';
    for (const StreamLog& log : connection->streams) {
      if (out.back() != '[') out += ',';
      stream_json(out, log);
    }
    out += "]}";
  }
  out += ']';
  key(out, "rest");
  out += '{';
  for (const auto& [path, statuses] : counts) {
    key(out, path);
    out += '{';
    for (const auto& [status, count] : statuses) number(out, std::to_string(status), count);
    out += '}';
  }
  out += '}';
  key(out, "faults");
  out += '[';
  for (std::size_t i = 0; i < truth.faults.size(); ++i) {
    out += out.back() == '[' ? "\n  {" : ",\n  {";
    text(out, "fault", truth.faults[i]);
    number(out, "hits", truth.hits[i]);
    out += '}';
  }
  return out + "]}\n";
}

}  // namespace truetape::sim
