// One request to the venue's REST interface: its parameters, what it weighs, its answer. For files of src/sim.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/messages.h"
#include "sim/rest.h"

namespace truetape::sim {

class RestCall {
 public:
  RestCall(const Market& market, const Limits& limits, const RestRequest& request, std::vector<RestGiven>& given);

  bool known() const { return endpoint_ != nullptr; }
  std::int64_t weight() const;
  RestAnswer run();

  struct Endpoint;

 private:
  using Answer = RestAnswer;

  // Each null: fine; else what is answered instead.
  std::optional<Answer> check_parameters();
  std::optional<Answer> need_instrument();
  std::optional<Answer> read_whole(std::string_view name, std::optional<std::int64_t>& into) const;
  std::optional<Answer> read_limit(std::int64_t preset, std::int64_t most);
  std::optional<Answer> read_times();

  Answer ping();
  Answer time();
  Answer exchange_info();
  Answer trades();
  Answer historical_trades();
  Answer aggregate_trades();
  Answer klines();
  Answer average_price();
  Answer day_ticker();
  Answer price_ticker();
  Answer book_ticker();

  std::optional<std::string_view> parameter(std::string_view name) const;
  std::vector<std::uint32_t> wanted(std::optional<Answer>& refused, bool& single) const;
  Answer list_prints(std::size_t from, std::size_t to);
  void append_time(std::string& out, Time t) const;
  void append_symbol(std::string& out, std::uint32_t instrument) const;
  std::size_t visible_prints(Duration lag) const;
  std::size_t visible_aggregates(Duration lag) const;

  const Market& market_;
  const Limits& limits_;
  const RestRequest& request_;
  std::vector<RestGiven>& given_;
  const bool spot_;
  const Endpoint* endpoint_ = nullptr;
  std::uint32_t instrument_ = 0;
  std::int64_t limit_ = 0;
  std::optional<Time> start_, end_;
};

}  // namespace truetape::sim
