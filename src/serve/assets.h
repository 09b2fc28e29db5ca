// The page (web/ and the chart library), compiled into the binary: nothing is read from disk or from another host.
// Any thread; all of it lives as long as the process.
#pragma once

#include <span>
#include <string_view>

namespace truetape {

struct Asset {
  std::string_view path;          // of the request: "/", "/page/app.js"
  std::string_view content_type;  // "text/html; charset=utf-8"
  std::string_view bytes;
  std::string_view etag;  // with its quotes, strong: of the bytes' SHA-256
};

// In order of path.
std::span<const Asset> page_assets();

// To be sent with each of them. Scripts, styles and data come from this server alone, none of them inline; the chart
// library sets styles of its own elements by script, which a policy does not forbid.
inline constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace truetape
