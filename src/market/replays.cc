#include "market/replays.h"

#include "market/bytes.h"

namespace truetape::market {

void Replays::note(std::span<const Quarantined> rows) {
  for (const Quarantined& row : rows) {
    const QuarantinePlace place = place_of(row);
    if (row.resolution == Resolution::none) {
      put(place, true);
    } else if (place.partition != partition_ || place.offset <= floor_) {
      put(place, false);  // (other partitions: of a frame that named no instrument when it came)
    } else if (waits_.erase(place) > 0) {
      touched_.insert(place);
    }
  }
}

void Replays::put(const QuarantinePlace& place, bool waits) {
  const auto [found, fresh] = waits_.try_emplace(place, waits);
  if (!fresh && found->second == waits) return;
  found->second = waits;
  touched_.insert(place);
  while (waits_.size() > kPlaces) {
    const QuarantinePlace oldest = waits_.begin()->first;
    touched_.insert(oldest);
    waits_.erase(waits_.begin());
    if (oldest.partition != partition_ || oldest.offset <= floor_) continue;
    floor_ = oldest.offset;
    dirty_ = true;
  }
}

bool Replays::is_settled(const QuarantinePlace& place) const {
  if (const auto found = waits_.find(place); found != waits_.end()) return !found->second;
  return place.partition == partition_ && place.offset > floor_;
}

void Replays::begin(std::int64_t offset) {
  if (known_) return;
  known_ = dirty_ = true;
  floor_ = offset - 1;
}

void Replays::finish_batch(Results& out) {
  const auto save = [&](std::string key, std::optional<std::string> value) {
    out.state.emplace_back("\n" + std::move(key), std::move(value));
  };
  if (dirty_) {
    std::string value;
    Writer{value}.integer(floor_);
    save("q", std::move(value));
    dirty_ = false;
  }
  for (const QuarantinePlace& place : touched_) {
    std::string key = "q/";
    Writer w{key};
    w.integer(place.partition);
    w.integer(place.offset);
    w.number(place.ordinal);
    const auto found = waits_.find(place);
    save(std::move(key), found == waits_.end() ? std::nullopt : std::optional<std::string>{found->second ? "w" : "d"});
  }
  touched_.clear();
}

void Replays::restore(std::string_view key, std::string_view value) {
  if (key == "q") {
    Reader in{value};
    floor_ = in.integer();
    in.end();
    known_ = true;
    return;
  }
  Reader name{key.substr(2)};
  QuarantinePlace place;
  place.partition = static_cast<std::int32_t>(name.integer());
  place.offset = name.integer();
  place.ordinal = static_cast<std::uint32_t>(name.number());
  name.end();
  waits_.insert_or_assign(place, value == "w");
}

}  // namespace truetape::market
