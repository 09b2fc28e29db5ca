// Inside of KuCoin's feed: what is said to the venue, and what it says about a connection. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "venues/feed_dialect.h"

namespace truetape::kucoin {

// "/market/match:BTC-USDT" of a frame that has data of one; a view into it. Empty: none.
std::string_view topic_of(std::string_view frame);

// The first of `topics` that one message can ask for: those of one channel, as many as the limits allow; at least 1.
std::size_t batch_size(std::span<const std::string> topics, const feeds::PlanLimits& limits);
// Of one channel: "/market/match:BTC-USDT,ETH-USDT".
std::string subscribe_message(bool subscribe, std::span<const std::string> topics, std::int64_t id);
std::string ping_message(std::int64_t id);

// A welcome, ack, pong or error.
std::optional<feeds::Reply> read_reply(std::string_view frame);

// The answer to the token call: where this connection goes. An endpoint that is not encrypted is taken only from a REST
// interface that is not either. `settings.stream_url` stands for the endpoint's scheme and host, if there is one.
Result<feeds::Address> read_address(std::string_view answer, const feeds::Settings& settings);

}  // namespace truetape::kucoin
