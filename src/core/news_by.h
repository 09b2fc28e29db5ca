// How a venue's headlines are come by, where it has some.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace truetape {

enum class NewsBy : std::uint8_t { off, poll, stream };

inline std::string_view name(NewsBy news) {
  return news == NewsBy::off ? "off" : news == NewsBy::poll ? "poll" : "stream";
}

inline std::optional<NewsBy> parse_news_by(std::string_view text) {
  for (const NewsBy news : {NewsBy::off, NewsBy::poll, NewsBy::stream})
    if (name(news) == text) return news;
  return std::nullopt;
}

}  // namespace truetape
