#include "store.h"

#include "core/row_order.h"

namespace truetape::simulation {

TradeKey key_of(const Trade& t) { return {t.instrument, t.tape, t.era, t.order}; }
CandleKey key_of(const Candle& c) { return {c.instrument, c.tape, c.interval.count(), c.start}; }
CandleKey key_of(const LateWindow& l) { return {l.instrument, l.tape, l.interval.count(), l.start}; }
GapKey key_of(const Gap& g) { return {g.instrument, g.tape, g.era, g.first_id}; }
ProgressKey key_of(const Progress& p) { return {p.instrument, p.tape}; }

namespace {

// What a trade says of the market, not how it came.
bool same_content(const Trade& a, const Trade& b) {
  return a.first_id == b.first_id && a.last_id == b.last_id && a.price == b.price && a.quantity == b.quantity &&
         a.taker_side == b.taker_side && a.kind == b.kind && content_time(a.event_time) == content_time(b.event_time);
}

class MemorySink final : public Sink {
 public:
  MemorySink(Tables& tables, std::string log_id, bool adopt)
      : tables_{tables}, log_id_{std::move(log_id)}, adopt_{adopt} {}

  SinkCounts counts() const override { return counts_; }
  Status open() override { return {}; }

  Result<std::optional<std::int64_t>> claim(std::string_view topic, std::int32_t partition) override {
    if (tables_.log_id != log_id_) {
      if (!tables_.log_id.empty() && !adopt_)
        return failure(Fault::mismatch, Retry::never, "the store holds the rows of log " + tables_.log_id);
      tables_.log_id = log_id_;
      for (auto& [place, position] : tables_.positions) position.next.reset();
      tables_.loaded_to.clear();
    }
    Tables::Position& position = tables_.positions[{std::string{topic}, partition}];
    if (adopt_) position.next.reset();
    ++position.owner;
    owned_[{std::string{topic}, partition}] = position;
    return position.next;
  }

  Result<std::int64_t> write(const Batch& batch) override {
    if (auto done = write_all({&batch, 1}); !done) return tl::unexpected{done.error()};
    return *owned_.at({std::string{batch.topic}, batch.partition}).next;
  }

  Status write_all(std::span<const Batch> batches) override {
    for (const Batch& batch : batches) {  // all or none
      const std::pair place{std::string{batch.topic}, batch.partition};
      const auto owned = owned_.find(place);
      if (owned == owned_.end())
        return failure(Fault::refused, Retry::rebuild, place.first + " was not claimed before it was written");
      if (owned->second.next && batch.first > *owned->second.next)
        return failure(Fault::out_of_range, Retry::rebuild, place.first + ": rows between would be missing");
      if (tables_.positions.at(place).owner != owned->second.owner)
        return failure(Fault::refused, Retry::rebuild, place.first + " was claimed by another");
      for (const Row& row : batch.rows)
        if (std::holds_alternative<Quote>(row) || std::holds_alternative<News>(row))
          return failure(Fault::refused, Retry::never, "there is no table for " + place.first);
    }
    for (const Batch& batch : batches) {
      next_ = batch.next;
      for (const Row& row : batch.rows) std::visit([this](const auto& r) { put(r); }, row);
      counts_.rows += batch.rows.size();
      const std::pair place{std::string{batch.topic}, batch.partition};
      auto& next = tables_.positions.at(place).next;
      next = std::max(next.value_or(batch.next), batch.next);
      owned_.at(place).next = std::max(owned_.at(place).next.value_or(batch.next), batch.next);
    }
    return {};
  }

 private:
  void put(const Trade& row) {
    const auto [at, fresh] = tables_.rows.trades.try_emplace(key_of(row), row);
    tell(fresh, !fresh && !same_content(at->second, row), "trade " + row.id.str());
  }
  template <class T, class Key>
  void put_ordered(std::map<Key, T>& table, const T& row) {
    const auto [at, fresh] = table.try_emplace(key_of(row), row);
    if (fresh) return tell(true, false, {});
    const bool newer = replaces(row_order(row), row_order(at->second));
    const bool contradicts = row_order(row) == row_order(at->second) && !(row == at->second);
    if (newer) at->second = row;
    tell(newer, contradicts, row.instrument.str());
  }
  void put(const Candle& row) { put_ordered(tables_.rows.candles, row); }
  void put(const Gap& row) { put_ordered(tables_.rows.gaps, row); }
  void put(const Progress& row) { put_ordered(tables_.rows.progress, row); }
  void put(const LateWindow& row) {
    const auto [at, fresh] = tables_.rows.late.try_emplace(key_of(row), row);
    const bool more = !fresh && row.trades > at->second.trades;
    if (more) at->second = row;
    tell(fresh || more, false, {});
  }
  void put(const Quarantined& row) {
    const auto [at, fresh] =
        tables_.rows.quarantined.try_emplace({log_id_, row.partition, row.offset, row.ordinal}, row);
    const bool newer = !fresh && row.rule_version > at->second.rule_version;
    const bool contradicts = !fresh && row.rule_version == at->second.rule_version && !(row == at->second);
    if (newer) at->second = row;
    tell(fresh || newer, contradicts, "raw/" + std::to_string(row.partition) + " " + std::to_string(row.offset));
  }
  void put(const Reference& row) {
    auto& loaded = tables_.loaded_to[row.instrument];
    if (next_ < loaded) return tell(false, false, {});
    loaded = next_;
    tables_.rows.references.insert_or_assign(row.instrument, row);
    tell(true, false, {});
  }
  void put(const Quote&) {}
  void put(const News&) {}
  void put(const NewsCount&) {}
  void tell(bool written, bool contradicts, const std::string& key) {
    ++(written ? counts_.written : counts_.unchanged);
    if (!contradicts) return;
    ++counts_.contradictions;
    counts_.last_contradiction = key + " with equal order and other content";
  }

  Tables& tables_;
  const std::string log_id_;
  const bool adopt_;
  std::map<std::pair<std::string, std::int32_t>, Tables::Position> owned_;  // as this sink knows them
  std::int64_t next_ = 0;                                                   // of the batch that is being written
  SinkCounts counts_;
};

class FaultySink final : public Sink {
 public:
  FaultySink(std::unique_ptr<Sink> inner, const StoreWeather& weather, Random& random, Trace& trace)
      : inner_{std::move(inner)}, weather_{weather}, random_{random}, trace_{trace} {}

  bool keeps_positions() const override { return inner_->keeps_positions(); }
  SinkCounts counts() const override { return inner_->counts(); }
  Status open() override {
    return call("open", [this] { return inner_->open(); });
  }
  Result<std::optional<std::int64_t>> claim(std::string_view topic, std::int32_t partition) override {
    return call("claim", [&] { return inner_->claim(topic, partition); });
  }
  Result<std::int64_t> write(const Batch& batch) override {
    return call("write", [&] { return inner_->write(batch); });
  }
  Status write_all(std::span<const Batch> batches) override {
    return call("write", [&] { return inner_->write_all(batches); });
  }

 private:
  template <class Call>
  auto call(std::string_view what, Call inner) -> decltype(inner()) {
    if (weather_.down) {
      trace_.fault("store down", what);
      return failure(Fault::unavailable, Retry::after_backoff, "the store does not answer");
    }
    if (weather_.full && what == "write") {
      trace_.fault("store full", what);
      return failure(Fault::no_space, Retry::after_backoff, "the store is full");
    }
    const bool crashes = random_.per_mille(weather_.crashes), after = random_.one_in(2);
    if (crashes && !after) {
      trace_.fault("sink crash before", what);
      return failure(Fault::unavailable, Retry::rebuild, "the sink crashed");
    }
    auto done = inner();
    if (crashes) {
      trace_.fault("sink crash after", what);
      return failure(Fault::unavailable, Retry::rebuild, "the sink crashed");
    }
    return done;
  }

  std::unique_ptr<Sink> inner_;
  const StoreWeather& weather_;
  Random& random_;
  Trace& trace_;
};

}  // namespace

std::unique_ptr<Sink> make_memory_sink(Tables& tables, std::string log_id, bool adopt) {
  return std::make_unique<MemorySink>(tables, std::move(log_id), adopt);
}
std::unique_ptr<Sink> make_faulty_sink(std::unique_ptr<Sink> inner, const StoreWeather& weather, Random& random,
                                       Trace& trace) {
  return std::make_unique<FaultySink>(std::move(inner), weather, random, trace);
}

Result<Rows> read_rows(const History& history, const std::string& log_id) {
  Rows out;
  const auto into = [](auto& table) {
    return [&table](const auto& row) {
      table.insert_or_assign(key_of(row), row);
      return true;
    };
  };
  Status done = history.trades({}, into(out.trades));
  if (done) done = history.candles({}, into(out.candles));
  if (done) done = history.gaps({}, into(out.gaps));
  if (done) done = history.progress({}, into(out.progress));
  if (done)
    done = history.quarantine({}, [&](const Quarantined& q) {
      out.quarantined.insert_or_assign({log_id, q.partition, q.offset, q.ordinal}, q);
      return true;
    });
  if (done)
    done = history.instruments({}, [&](const Reference& r) {
      out.references.insert_or_assign(r.instrument, r);
      return true;
    });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

}  // namespace truetape::simulation
