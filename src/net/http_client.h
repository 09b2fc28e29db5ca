// An HTTP/1.1 client: one request, one answer, with limits on every wait and size. Connections are kept and used again,
// for each origin. Redirects are not followed, cookies not kept, bodies not decompressed (none is asked for). Loop's
// thread only; any number of requests at once.
//
//   HttpClient client{connector, {}};
//   const HttpRequest request{.url = "https://api.example.com/v1/time"};
//   auto answer = co_await client.send(request);
//   if (!answer) ...          // answer.error().detail is a sentence
//   if (answer->status != 200 || answer->headers.content_type() != "application/json") ...
#pragma once

#include <memory>
#include <string>

#include "core/result.h"
#include "net/connector.h"
#include "net/headers.h"
#include "net/loop.h"

namespace truetape::net {

struct HttpClientConfig {
  Nanoseconds header_timeout = std::chrono::seconds{15};  // request sent and the answer's header received
  Nanoseconds body_timeout = std::chrono::seconds{60};    // the whole body
  Nanoseconds idle_timeout = std::chrono::seconds{30};    // an unused connection is closed
  std::uint32_t most_header = 16 * 1024;                  // bytes
  std::uint64_t most_body = 16 * 1024 * 1024;             // bytes
  std::size_t most_connections = 6;                       // to one origin; further requests wait their turn
  std::string user_agent = "truetape";
};

struct HttpRequest {
  std::string method = "GET";
  std::string url = {};  // http or https
  Headers headers = {};  // besides Host, User-Agent, Content-Length, which are set here
  std::string body = {};
};

struct HttpAnswer {
  int status = 0;
  Headers headers;
  std::string body;
  Timestamp sent, received;  // by our clock: before the first byte went out, after the header came
};

class HttpClient {
 public:
  HttpClient(Connector& connector, HttpClientConfig config);  // the connector outlives the client
  ~HttpClient();                                              // as close()

  // Every status is an answer; an error is that none came, with Retry::never if the same request fails again. A GET or
  // HEAD that fails on a kept connection before any byte of an answer is sent once more on a new one.
  awaitable<Result<HttpAnswer>> send(HttpRequest request);

  // Ends all requests under way with an error; later ones too.
  void close();

  struct Stats {
    std::uint64_t requests = 0, connections = 0, reused = 0;
  };
  const Stats& stats() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace truetape::net
