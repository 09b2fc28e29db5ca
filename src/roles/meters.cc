#include "roles/meters.h"

#include <array>
#include <string>
#include <utility>

#include "core/raw.h"

namespace truetape {
namespace {

Labels of(std::string_view label, std::string_view value) { return {{std::string{label}, std::string{value}}}; }

}  // namespace

void meter_lost(Metrics& metrics, std::uint64_t records) {
  metrics
      .counter("truetape_process_lost_records_total",
               "Records of raw that retention deleted before process had read them; their ids become gaps.")
      .add(records);
}

void meter(Metrics& metrics, const ProcessCounts& step) {
  meter_lost(metrics, 0);
  metrics.counter("truetape_process_steps_total", "Steps that process committed.").add(step.steps);
  metrics.counter("truetape_process_outputs_total", "Records that process wrote to all topics.").add(step.outputs);
  metrics
      .counter("truetape_process_crashed_total",
               "Records of raw left out and quarantined because processing them ended the process three times.")
      .add(step.crashed);
  metrics
      .counter("truetape_process_cut_total",
               "Quarantined items too large for a record, of which only the beginning was kept.")
      .add(step.cut);
  for (std::size_t i = 0; i < step.candles.size(); ++i)
    metrics
        .counter("truetape_candle_rows_total",
                 "Rows of candles written, by status; corrected ones changed after closing.",
                 of("status", name(static_cast<CandleStatus>(i))))
        .add(step.candles[i]);
  for (std::size_t i = 0; i < step.gaps.size(); ++i)
    metrics
        .counter("truetape_gap_rows_total", "Rows of gaps written, by state.",
                 of("state", name(static_cast<GapState>(i))))
        .add(step.gaps[i]);
  for (const auto& [venue, c] : step.venues) {
    const auto items = [&, &v = venue](std::string_view outcome, std::uint64_t count) {
      metrics
          .counter("truetape_items_total",
                   "Items of raw by what became of them; all outcomes and what is set aside make what came in.",
                   {{"venue", v}, {"outcome", std::string{outcome}}})
          .add(count);
    };
    items("accepted", c.accepted);
    items("duplicate", c.duplicate);
    items("contradiction", c.contradiction);
    items("held", c.held);
    items("quarantined", c.quarantined);
    items("void", c.empty);
    items("other_tape", c.other_tape);
    items("not_a_trade", c.not_a_trade);
    items("undecodable", c.undecodable);
    const Labels of_venue = of("venue", venue);
    metrics.counter("truetape_items_in_total", "Items of raw.", of_venue).add(c.in);
    metrics
        .gauge("truetape_items_set_aside",
               "Items that wait for a series of ids to be believed, less those that waited at the start.", of_venue)
        .add(c.set_aside);
    metrics
        .counter("truetape_items_late_total", "Accepted items whose windows could not change any more (topic late).",
                 of_venue)
        .add(c.late);
    metrics.counter("truetape_items_marked_total", "Accepted items that a rule marked.", of_venue).add(c.marked);
    metrics
        .counter("truetape_items_duplicate_unchecked_total", "Duplicates too old for their content to be compared.",
                 of_venue)
        .add(c.duplicate_unchecked);
    metrics.counter("truetape_items_released_total", "Held ids that were accepted or dropped after all.", of_venue)
        .add(c.released);
    metrics
        .counter("truetape_quotes_crossed_total", "Quotes whose bid is not below their ask (rule crossed).", of_venue)
        .add(c.crossed);
    const auto quarantine = [&](std::string_view outcome, std::uint64_t count) {
      metrics
          .counter("truetape_quarantine_worked_total",
                   "Quarantined items that were replayed and wait no more, dropped, or replayed and are still bad.",
                   {{"venue", venue}, {"outcome", std::string{outcome}}})
          .add(count);
    };
    quarantine("replayed", c.replayed);
    quarantine("dropped", c.dropped);
    quarantine("still_bad", c.still_bad);
    for (std::size_t i = 0; i < c.records.size(); ++i)
      if (c.records[i] > 0)
        metrics
            .counter("truetape_raw_records_total", "Records of raw processed, by kind.",
                     {{"venue", venue}, {"kind", std::string{name(static_cast<RawKind>(i))}}})
            .add(c.records[i]);
  }
}

void meter_foreign(Metrics& metrics, std::string_view store, std::string_view topic, std::uint64_t records) {
  metrics
      .counter("truetape_load_foreign_total",
               "Records in topics of results that truetape did not write; the store has them in quarantine.",
               {{"store", std::string{store}}, {"topic", std::string{topic}}})
      .add(records);
}

void meter(Metrics& metrics, std::string_view store, const SinkCounts& before, const SinkCounts& now,
           std::uint64_t times) {
  const Labels of_store = of("store", store);
  metrics.counter("truetape_load_batches_total", "Batches that the store took.", of_store).add(times);
  metrics.counter("truetape_load_rows_total", "Rows given to the store.", of_store).add(now.rows - before.rows);
  metrics
      .counter("truetape_load_rows_unchanged_total", "Rows that the store had already, or newer ones of their key.",
               of_store)
      .add(now.unchanged - before.unchanged);
  metrics
      .counter("truetape_load_contradictions_total",
               "ALARM: rows of the same order as the store's with other content. Always 0 in a sound system.", of_store)
      .add(now.contradictions - before.contradictions);
}

void meter_failed_load(Metrics& metrics, std::string_view store, std::uint64_t times) {
  metrics
      .counter("truetape_load_failed_batches_total", "Batches that the store did not take; each is tried again.",
               of("store", store))
      .add(times);
}

void meter_retry(Metrics& metrics, std::string_view role, std::uint64_t times) {
  metrics.counter("truetape_role_retries_total", "Errors that a role survived by trying again.", of("role", role))
      .add(times);
}

Histogram& process_hop(Metrics& metrics) {
  return metrics.histogram("truetape_process_raw_to_commit_seconds",
                           "From the log taking a record of raw to what process made of it being durable.");
}
Histogram& load_hop(Metrics& metrics, std::string_view store) {
  return metrics.histogram("truetape_load_commit_to_store_seconds",
                           "From process committing a record to the store having it.", of("store", store));
}

void meter_behind(Metrics& metrics, std::string_view role, std::int64_t records) {
  metrics.gauge("truetape_role_behind_records", "Records that a role has before it.", of("role", role)).set(records);
}

}  // namespace truetape
