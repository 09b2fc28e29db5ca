// What goes to the venue over a WebSocket, and what it answers. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "venues/feed_dialect.h"

namespace truetape::binance {

// {"method":"SUBSCRIBE","params":[...],"id":7}. Numbers as ids, which both products take.
std::string subscribe_message(bool subscribe, std::span<const std::string> names, std::int64_t id);

// The first of `names` that fit into one message, at least one: longer ones failed silently at 4 to 8 KB.
std::size_t batch_size(std::span<const std::string> names, std::size_t most, std::size_t most_bytes);

// An answer to such a message. The venue has two forms of an error, nested and flat, with and without id.
// nullopt: the frame is no answer.
std::optional<feeds::Reply> read_reply(std::string_view frame);

// The name in the envelope of a combined stream; empty: it has none, or not in its usual place.
std::string_view stream_name(std::string_view frame);
// The venue is about to close the connection, which it does without a given lead time.
bool is_shutdown_notice(std::string_view frame, std::string_view stream);

}  // namespace truetape::binance
