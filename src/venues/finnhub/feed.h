// The live feed of Finnhub: what of it is the venue's own (venues/feed_dialect.h). README.md says what was done with
// each of the venue's quirks.
#pragma once

#include <memory>
#include <optional>

#include "venues/feed_dialect.h"
#include "venues/feed_errand.h"

namespace truetape::finnhub {

std::unique_ptr<const feeds::Dialect> make_dialect();
// What the documents say, and what the options do. Tests change the times.
feeds::Settings feed_settings(const FeedOptions& options);

struct NewsPolling {
  Nanoseconds every = std::chrono::minutes{1};        // a round begins, at the soonest
  Nanoseconds spacing = std::chrono::seconds{3};      // between questions: a third of a free key's 60 a minute
  Nanoseconds first_pause = std::chrono::minutes{1};  // after a failure, or `every` if that is less
  Nanoseconds longest_pause = std::chrono::hours{1};  // after failures one after the other, of the same question
  Nanoseconds whole_after = std::chrono::hours{1};    // without a headline behind the newest: all are asked for
  // A connection that carries anew has a round begin so long after the last one; nullopt: it changes nothing.
  std::optional<Nanoseconds> every_carried = std::nullopt;
};
// Beside the stream of headlines, which tells nothing where the plan lacks it, and nothing of what a connection missed.
inline constexpr NewsPolling kNewsBesideStream{
    .every = std::chrono::hours{1}, .whole_after = std::chrono::hours{6}, .every_carried = std::chrono::minutes{5}};
// Asks for `/news` and the wanted instruments' `/company-news`, round after round, and puts what is new in the pages.
std::unique_ptr<feeds::Errand> make_news_errand(const NewsPolling& polling = {});

}  // namespace truetape::finnhub
