#include "serve/stream_client.h"

#include <algorithm>
#include <utility>

#include "codec/cells.h"

namespace truetape {
namespace {

constexpr Nanoseconds kPatience = std::chrono::seconds{10};  // slow for so long: closed
constexpr std::size_t kMostWaiting = 20'000;                 // rows kept for a slow client
constexpr std::size_t kMessageBytes = 128 * 1024;            // of rows that waited, in one message

}  // namespace

StreamClient::StreamClient(net::Loop& loop, std::shared_ptr<net::WebSocket> socket, Render render, StreamCounts& counts)
    : loop_{loop}, socket_{std::move(socket)}, render_{std::move(render)}, counts_{counts}, patience_{loop} {
  socket_->on_slow([this] {
    slow_ = true;
    patience_.after(kPatience, [this] { give_up("too slow: what is sent is not taken"); });
  });
  socket_->on_drained([this] { catch_up(); });
}

StreamClient::~StreamClient() {
  socket_->on_slow({});
  socket_->on_drained({});
}

void StreamClient::give_up(const char* why) {
  if (gone_ || socket_->end()) return;
  gone_ = true;
  ++counts_.closed_slow;
  patience_.cancel();
  socket_->close(1013, why, true);
}

// The queue is full, or the connection is closing for another reason.
void StreamClient::refused() {
  if (socket_->queued() > 0) give_up("too slow: more waits than can be kept");
}

void StreamClient::send(std::string_view type, std::string_view tail) {
  if (gone_) return;
  std::string message;
  message.reserve(tail.size() + 48);
  message += "{\"type\":\"";
  message += type;
  message += "\",\"seq\":";
  append_number(++seq_, message);
  message += ',';
  message += tail;
  ++counts_.messages;
  if (!socket_->send(std::move(message))) refused();
}

void StreamClient::plain(std::string message) {
  if (gone_) return;
  if (!socket_->send(std::move(message))) refused();
}

void StreamClient::snapshot(std::string_view tail) { send("snapshot", tail); }

void StreamClient::update(const StreamUpdate& update) {
  if (slow_)
    keep(update);
  else
    send("update", update.tail);
}

void StreamClient::status(const Instrument& instrument, const std::string& tail) {
  if (slow_)
    moved_.insert(instrument);
  else
    send("status", tail);
}

void StreamClient::forget(const ChannelKey& channel) {
  subscriptions.erase(channel);
  skipped_.erase(channel);
  if (const auto found = waiting_.find(channel); found != waiting_.end()) {
    waiting_rows_ -= found->second.size();
    waiting_.erase(found);
  }
  const auto same = [&](const ChannelKey& other) { return other.instrument == channel.instrument; };
  if (std::none_of(subscriptions.begin(), subscriptions.end(), same)) moved_.erase(channel.instrument);
}

void StreamClient::keep(const StreamUpdate& update) {
  if (gone_) return;
  if (update.channel->kind == ChannelKind::trades) {
    skipped_[*update.channel] += update.count;
    counts_.skipped += update.count;
    return;
  }
  auto& rows = waiting_[*update.channel];
  for (const StreamRow& row : update.rows) {
    auto& slot = rows[row.key];
    if (slot)
      ++counts_.conflated;
    else
      ++waiting_rows_;
    slot = row.json;
  }
  if (waiting_rows_ > kMostWaiting) give_up("too slow: more waits than can be kept");
}

// All that went out before has been taken: now what waited, as far as the client takes it.
void StreamClient::catch_up() {
  slow_ = false;
  patience_.cancel();
  while (!slow_ && !gone_ && !waiting_.empty()) {
    const auto channel = waiting_.begin();
    auto& rows = channel->second;
    std::string text;
    while (!rows.empty() && text.size() < kMessageBytes) {
      if (!text.empty()) text += ',';
      text += *rows.begin()->second;
      rows.erase(rows.begin());
      --waiting_rows_;
    }
    const std::string tail = text.empty() ? std::string{} : render_.tail(channel->first, text);
    if (rows.empty()) waiting_.erase(channel);
    if (!tail.empty()) send("update", tail);
  }
  while (!slow_ && !skipped_.empty()) {
    const auto [channel, count] = *skipped_.begin();
    skipped_.erase(skipped_.begin());
    std::string tail = "\"channel\":\"" + channel_name(channel) + "\",\"instrument\":";
    append_json(channel.instrument.text(), tail);
    send("skipped", tail + ",\"rows\":" + std::to_string(count) + "}");
  }
  while (!slow_ && !moved_.empty()) {
    const Instrument instrument = *moved_.begin();
    moved_.erase(moved_.begin());
    send("status", render_.status(instrument));
  }
}

}  // namespace truetape
