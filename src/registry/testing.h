// A schema registry for the tests of this folder: a real HTTP server on a thread of its own, since the client blocks.
// What it knows and how it misbehaves is set from the test's thread.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "codec/cells.h"
#include "core/clock.h"
#include "net/server.h"

namespace truetape {

class FakeRegistry {
 public:
  struct Version {
    std::uint32_t id;
    std::string schema;
  };
  struct Seen {
    std::string method, target, body, content_type, authorization;
  };
  using Answer = std::optional<net::ServerAnswer>;

  explicit FakeRegistry(net::ServerConfig config = {}) : config_{std::move(config)} { start(); }
  ~FakeRegistry() { stop(); }

  // Down, and up again on the same port with all that it knew.
  void stop() {
    if (!thread_.joinable()) return;
    loop_->stop();
    thread_.join();
  }
  void start() {
    std::promise<void> ready;
    thread_ = std::thread{[this, &ready] {
      net::Loop loop{clock_};
      net::Server server{loop, config_, {.http = [this](net::RequestPtr request) -> net::awaitable<net::ServerAnswer> {
                           co_return answer(*request);
                         }}};
      const auto port = server.listen();
      if (!port) throw std::runtime_error{port.error().detail};
      config_.port = *port;
      origin = server.origin();
      loop_ = &loop;
      loop.post([&ready] { ready.set_value(); });  // not before it runs: an earlier stop() would be lost
      loop.run();
    }};
    ready.get_future().wait();
  }

  // What answers instead of the registry, for as long as it gives an answer.
  void instead(std::function<Answer(const net::ServerRequest&)> call) {
    const std::lock_guard lock{mutex_};
    instead_ = std::move(call);
  }
  void put(const std::string& subject, Version version) {
    const std::lock_guard lock{mutex_};
    subjects_[subject].push_back(std::move(version));
  }
  // Under no subject.
  void put_id(std::uint32_t id, std::string body) {
    const std::lock_guard lock{mutex_};
    ids_[id] = std::move(body);
  }
  std::vector<Seen> seen() {
    const std::lock_guard lock{mutex_};
    return seen_;
  }
  std::size_t count() { return seen().size(); }
  void forget() {
    const std::lock_guard lock{mutex_};
    seen_.clear();
  }

  static net::ServerAnswer json(int status, std::string body) {
    return net::text_answer(status, "application/vnd.schemaregistry.v1+json", std::move(body));
  }
  static net::ServerAnswer error(int status, int code, const std::string& message) {
    std::string body = "{\"error_code\":" + std::to_string(code) + ",\"message\":";
    append_json(message, body);
    return json(status, body + "}");
  }
  static std::string quoted(std::string_view text) {
    std::string out;
    append_json(text, out);
    return out;
  }

  std::string origin;

 private:
  net::ServerAnswer answer(const net::ServerRequest& request) {
    const std::lock_guard lock{mutex_};
    seen_.push_back({request.method, request.target, request.body, std::string{request.headers.get("Content-Type")},
                     std::string{request.headers.get("Authorization")}});
    if (instead_)
      if (auto other = instead_(request)) return std::move(*other);
    std::string_view path = request.where.path;
    constexpr std::string_view kIds = "/schemas/ids/", kSubjects = "/subjects/", kLatest = "/versions/latest";
    if (path.starts_with(kIds)) {
      const auto id = static_cast<std::uint32_t>(std::stoul(std::string{path.substr(kIds.size())}));
      if (const auto found = ids_.find(id); found != ids_.end()) return json(200, found->second);
      for (const auto& [subject, versions] : subjects_)
        for (const Version& version : versions)
          if (version.id == id) return json(200, "{\"schema\":" + quoted(version.schema) + "}");
      return error(404, 40403, "Schema not found");
    }
    if (path.starts_with("/compatibility")) return error(404, 40401, "Subject not found.");
    if (!path.starts_with(kSubjects)) return error(404, 404, "HTTP 404 Not Found");
    path.remove_prefix(kSubjects.size());
    const bool latest = path.ends_with(kLatest);
    if (latest) path.remove_suffix(kLatest.size());
    const auto subject = subjects_.find(path);
    if (subject == subjects_.end()) return error(404, 40401, "Subject '" + std::string{path} + "' not found.");
    int number = 0;
    for (const Version& version : subject->second) {
      ++number;
      const bool asked = request.body == "{\"schema\":" + quoted(version.schema) + "}";
      if (latest ? number == static_cast<int>(subject->second.size()) : asked)
        return json(200, "{\"subject\":" + quoted(subject->first) + ",\"id\":" + std::to_string(version.id) +
                             ",\"version\":" + std::to_string(number) + ",\"schema\":" + quoted(version.schema) + "}");
    }
    return error(404, 40403, "Schema not found");
  }

  SystemClock clock_;
  net::ServerConfig config_;
  std::mutex mutex_;  // of what follows, but for the thread
  std::function<Answer(const net::ServerRequest&)> instead_;
  std::map<std::string, std::vector<Version>, std::less<>> subjects_;
  std::map<std::uint32_t, std::string> ids_;
  std::vector<Seen> seen_;
  net::Loop* loop_ = nullptr;
  std::thread thread_;
};

}  // namespace truetape
