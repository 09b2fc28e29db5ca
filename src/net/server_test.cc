// Server against clients that do wrong, over real sockets on loopback; time is manual.
#include "net/server.h"

#include <gmock/gmock.h>

#include <sys/resource.h>

#include "net/channel.h"
#include "net/testing.h"

namespace truetape::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

class ServerTest : public testing::Test {
 protected:
  void serve(ServerConfig config = {}, Handlers handlers = {}) {
    if (!handlers.http) {
      handlers.http = [this](RequestPtr request) -> awaitable<ServerAnswer> {
        requests_.push_back(request);
        co_return text_answer(200, "text/plain", request->method + " " + request->where.path + " " + request->body);
      };
    }
    server_ = std::make_unique<Server>(loop_, std::move(config), std::move(handlers));
    server_->on_trouble([this](const std::string& sentence) { trouble_ += sentence; });
    const auto port = server_->listen();
    ASSERT_TRUE(port) << port.error().detail;
  }
  // Says these bytes on a new connection; all that comes back until the server ends it.
  std::string say(std::string bytes) {
    return run<std::string>(loop_, [&]() -> awaitable<std::string> {
      RawPeer peer{loop_};
      co_await peer.connect(server_->port());
      co_await peer.write(bytes);
      co_return co_await peer.read_to_end();
    });
  }
  // A connection that stays, and what it has received so far.
  struct Client {
    explicit Client(Loop& loop) : peer{loop} {}
    RawPeer peer;
    std::string heard;
    bool ended = false;
  };
  std::shared_ptr<Client> connect(const std::string& bytes) {
    const auto client = std::make_shared<Client>(loop_);
    bool connected = false;
    loop_.spawn([this, client, bytes, &connected]() -> awaitable<void> {
      co_await client->peer.connect(server_->port());
      if (!bytes.empty()) co_await client->peer.write(bytes);
      connected = true;
      client->heard = co_await client->peer.read_to_end();
      client->ended = true;
    });
    EXPECT_TRUE(loop_.run_until([&] { return connected; }));
    settle(loop_, 10ms);
    return client;
  }
  bool ends(const std::shared_ptr<Client>& client) {
    return loop_.run_until([&] { return client->ended; });
  }

  ManualClock clock_{*parse_rfc3339("2024-08-08T23:59:00Z")};
  Loop loop_{clock_};
  std::vector<RequestPtr> requests_;
  std::string trouble_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, RequestsInOneConnectionAreAnsweredInTheirOrder) {
  serve();
  const std::string said =
      say("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
          "POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
          "BREW http://host.example/3?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(said,
            "HTTP/1.1 200 OK\r\nDate: Thu, 08 Aug 2024 23:59:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: "
            "7\r\n\r\nGET /1 "
            "HTTP/1.1 200 OK\r\nDate: Thu, 08 Aug 2024 23:59:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: "
            "11\r\n\r\nPOST /2 abc"
            "HTTP/1.1 200 OK\r\nDate: Thu, 08 Aug 2024 23:59:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: "
            "8\r\nConnection: close\r\n\r\nBREW /3 ");
  ASSERT_EQ(requests_.size(), 3u);
  EXPECT_EQ(requests_[2]->where.find("a"), "b");
  EXPECT_EQ(requests_[0]->received, clock_.now());
}

TEST_F(ServerTest, HeadAndEmptyAnswersHaveNoBody) {
  serve({}, {.http = [](RequestPtr request) -> awaitable<ServerAnswer> {
          ServerAnswer answer = text_answer(200, "text/plain", "body");
          if (request->where.path == "/304") answer.status = 304;
          answer.then = request->where.path == "/end" ? ServerAnswer::Then::close : ServerAnswer::Then::keep;
          co_return answer;
        }});
  const std::string said = say(
      "HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET /304 HTTP/1.1\r\nHost: x\r\n\r\nHEAD /end HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(
      said,
      "HTTP/1.1 200 OK\r\nDate: Thu, 08 Aug 2024 23:59:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n"
      "HTTP/1.1 304 Not Modified\r\nDate: Thu, 08 Aug 2024 23:59:00 GMT\r\nContent-Type: text/plain\r\n\r\n"
      "HTTP/1.1 200 OK\r\nDate: Thu, 08 Aug 2024 23:59:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: "
      "4\r\nConnection: close\r\n\r\n");
}

TEST_F(ServerTest, OldHttpGetsOneAnswerAndTheEnd) {
  serve();
  EXPECT_THAT(say("GET / HTTP/1.0\r\n\r\n"), HasSubstr("Connection: close\r\n\r\nGET / "));
}

TEST_F(ServerTest, WhatIsNoRequestIsRefusedWithTheReason) {
  ServerConfig config;
  config.most_header = 1024;
  config.most_body = 100;
  serve(config);
  struct Case {
    std::string said, status, why;
  };
  for (const Case& c : {
           Case{"hello\r\n\r\n", "HTTP/1.1 400 Bad Request", "this is no HTTP request"},
           Case{std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 13), "HTTP/1.1 400 Bad Request",
                "this is no HTTP request"},
           Case{"GET / HTTP/9.9\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request", "this is no HTTP request"},
           Case{"GET / HTTP/1.1\r\nHost x\r\n\r\n", "HTTP/1.1 400 Bad Request", "this is no HTTP request"},
           Case{"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request", "the Host field is missing"},
           Case{"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request",
                "the path has a segment '..'"},
           Case{"GET /%2e%2e/%2e%2e/etc HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request",
                "the path has a segment '..'"},
           Case{"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request", "NUL"},
           Case{"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request", "is no target of a request"},
           Case{"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request", "is no target of a request"},
           Case{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
                "HTTP/1.1 400 Bad Request", "this is no HTTP request"},
           Case{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "HTTP/1.1 400 Bad Request", "this is no HTTP request"},
           Case{"GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(2000, 'x') + "\r\n\r\n",
                "HTTP/1.1 431 Request Header Fields Too Large", "longer than 1024 bytes"},
           Case{"GET /" + std::string(70000, 'x'), "HTTP/1.1 431 Request Header Fields Too Large",
                "longer than 1024 bytes"},
           Case{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n" + std::string(101, 'x'),
                "HTTP/1.1 413 Payload Too Large", "longer than 100 bytes"},
           Case{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999999\r\nExpect: 100-continue\r\n\r\n",
                "HTTP/1.1 413 Payload Too Large", "longer than 100 bytes"},
           Case{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + std::string(65535, 'x') +
                    "\r\n",
                "HTTP/1.1 413 Payload Too Large", "longer than 100 bytes"},
       }) {
    const std::string said = say(c.said);
    EXPECT_THAT(said, StartsWith(c.status)) << c.said.substr(0, 200);
    EXPECT_THAT(said, HasSubstr(c.why)) << c.said.substr(0, 200);
    EXPECT_THAT(said, HasSubstr("Content-Type: application/problem+json\r\n"));
    EXPECT_THAT(said, HasSubstr("Connection: close\r\n"));
  }
  EXPECT_TRUE(requests_.empty());
  EXPECT_EQ(server_->stats().bad_requests, 17u);
  EXPECT_THAT(say("GET /still HTTP/1.0\r\n\r\n"), HasSubstr("GET /still"));
}

TEST_F(ServerTest, ASlowClientIsEndedAtEachStage) {
  serve();
  const auto silent = connect("");
  const auto header = connect("GET / HTTP/1.1\r\nHos");
  const auto body = connect("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  const auto kept = connect("GET /kept HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(server_->stats().open, 4u);
  loop_.advance(9999ms);
  settle(loop_);
  EXPECT_FALSE(silent->ended || header->ended || body->ended || kept->ended);
  loop_.advance(1ms);
  EXPECT_TRUE(ends(silent));
  EXPECT_EQ(silent->heard, "");
  EXPECT_TRUE(ends(header));
  EXPECT_THAT(header->heard, StartsWith("HTTP/1.1 408 Request Timeout"));
  EXPECT_FALSE(body->ended || kept->ended);
  loop_.advance(10s);
  EXPECT_TRUE(ends(body));
  EXPECT_THAT(body->heard, HasSubstr("the request's body did not come in time"));
  EXPECT_FALSE(kept->ended);
  loop_.advance(40s);
  EXPECT_TRUE(ends(kept));
  EXPECT_THAT(kept->heard, HasSubstr("GET /kept"));
  EXPECT_TRUE(loop_.run_until([&] { return server_->stats().open == 0; }));
}

// As urllib does: nothing is read before the whole body has been sent.
TEST_F(ServerTest, WhoSendsAllBeforeReadingGetsTheRefusal) {
  constexpr std::size_t kBody = 12 << 20;  // more than the network's buffers hold
  serve();
  for (const std::string& head :
       {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kBody) + "\r\n\r\n",
        std::string{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n"},
        std::string{"GET / HTTP/1.1\r\nHost: x\r\nX: "}, std::string{"no request\r\n\r\n"}}) {
    bool sent = false;
    const std::string heard = run<std::string>(loop_, [&]() -> awaitable<std::string> {
      RawPeer peer{loop_};
      co_await peer.connect(server_->port());
      sent = co_await peer.write(head + std::string(kBody, 'x'));
      co_return co_await peer.read_to_end();
    });
    EXPECT_TRUE(sent) << head;
    EXPECT_THAT(heard, StartsWith(head.starts_with("POST")  ? "HTTP/1.1 413 "
                                  : head.starts_with("GET") ? "HTTP/1.1 431 "
                                                            : "HTTP/1.1 400 "))
        << head;
    EXPECT_THAT(heard, HasSubstr("application/problem+json"));
  }
}

TEST_F(ServerTest, WhoNeverEndsIsReadAwayForALimitedTimeOnly) {
  serve();
  const auto client = connect("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
  EXPECT_TRUE(ends(client));  // the answer came, and its end
  EXPECT_THAT(client->heard, StartsWith("HTTP/1.1 413"));
  for (int second = 0; second < 9; ++second) {
    run_void(loop_, [&]() -> awaitable<void> { co_await client->peer.write("x"); });
    settle(loop_);  // the byte is seen
    loop_.advance(1s);
  }
  settle(loop_);
  EXPECT_EQ(server_->stats().open, 1u);
  loop_.advance(1s);
  EXPECT_TRUE(loop_.run_until([&] { return server_->stats().open == 0; }));

  const auto silent = connect("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
  EXPECT_TRUE(ends(silent));
  EXPECT_EQ(server_->stats().open, 1u);
  loop_.advance(2s);
  EXPECT_TRUE(loop_.run_until([&] { return server_->stats().open == 0; }));
}

TEST_F(ServerTest, WhoNeverEndsIsReadAwayUpToALimitOfBytesOnly) {
  serve();
  RawPeer peer{loop_};
  std::size_t sent = 0;
  run_void(loop_, [&]() -> awaitable<void> {
    co_await peer.connect(server_->port());
    co_await peer.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
    const std::string piece(1 << 20, 'x');
    while (co_await peer.write(piece)) sent += piece.size();
  });
  EXPECT_GE(sent, kLingerBytes - (1 << 20));
  EXPECT_TRUE(loop_.run_until([&] { return server_->stats().open == 0; }));
}

TEST_F(ServerTest, AHeaderThatDripsIsCutAtTheLimitOfTheWhole) {
  serve();
  const auto client = connect("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 12 && !client->ended; ++i) {
    run_void(loop_, [&]() -> awaitable<void> { co_await client->peer.write("X: y\r\n"); });
    loop_.advance(1s);
    settle(loop_, 2ms);
  }
  EXPECT_TRUE(ends(client));
  EXPECT_THAT(client->heard, StartsWith("HTTP/1.1 408"));
}

TEST_F(ServerTest, AClientThatDoesNotReadItsAnswerIsCut) {
  bool ended = false;
  serve({}, {.http = [&](RequestPtr) -> awaitable<ServerAnswer> {
          ServerAnswer answer;
          answer.source = [&]() -> awaitable<Result<std::string>> {
            co_return std::string(1 << 20, 'x');
          };  // without end
          co_return answer;
        }});
  RawPeer peer{loop_};
  run_void(loop_, [&]() -> awaitable<void> {
    co_await peer.connect(server_->port());
    co_await peer.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  });
  settle(loop_, 200ms);  // until the network's buffers are full
  EXPECT_EQ(server_->stats().open, 1u);
  loop_.advance(20s);
  EXPECT_TRUE(loop_.run_until([&] { return server_->stats().open == 0; }));
  EXPECT_FALSE(ended);
}

TEST_F(ServerTest, StreamedBodies) {
  serve({}, {.http = [this](RequestPtr request) -> awaitable<ServerAnswer> {
          ServerAnswer answer = text_answer(200, "text/csv", "");
          const auto left = std::make_shared<int>(3);
          const bool broken = request->where.path == "/broken";
          answer.source = [this, left, broken]() -> awaitable<Result<std::string>> {
            co_await loop_.turn();
            if (--*left < 0) co_return std::string{};
            if (broken && *left == 0) co_return failure(Fault::io, Retry::never, "lost");
            co_return "line " + std::to_string(*left) + "\n";
          };
          co_return answer;
        }});
  EXPECT_THAT(say("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              HasSubstr("Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n7\r\nline 2\n\r\n7\r\nline "
                        "1\n\r\n7\r\nline 0\n\r\n0\r\n\r\n"));
  EXPECT_THAT(say("GET / HTTP/1.0\r\n\r\n"), HasSubstr("Connection: close\r\n\r\nline 2\nline 1\nline 0\n"));
  const std::string broken = say("GET /broken HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(broken.ends_with("\r\n\r\n7\r\nline 2\n\r\n7\r\nline 1\n\r\n"))
      << broken << ": no last chunk: the client sees that it is not whole";
}

TEST_F(ServerTest, AHandlerThatThrowsIs500AndIsTold) {
  serve({}, {.http = [](RequestPtr request) -> awaitable<ServerAnswer> {
          if (request->where.path == "/ok") co_return text_answer(200, "text/plain", "fine");
          throw std::runtime_error{"no such table \"x\""};
        }});
  const std::string said =
      say("GET /bad?token=secret HTTP/1.1\r\nHost: x\r\n\r\nGET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(said, StartsWith("HTTP/1.1 500 Internal Server Error"));
  EXPECT_EQ(said.find("no such table"), std::string::npos);
  EXPECT_TRUE(said.ends_with("fine"));
  EXPECT_EQ(trouble_, "GET /bad failed: no such table \"x\"");
}

TEST_F(ServerTest, AHeaderValueCannotWriteFurtherFields) {
  serve({}, {.http = [](RequestPtr) -> awaitable<ServerAnswer> {
          ServerAnswer answer = text_answer(200, "text/plain", "");
          answer.headers.add("X", "a\r\nSet-Cookie: b");
          answer.then = ServerAnswer::Then::close;
          co_return answer;
        }});
  EXPECT_EQ(say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").find("Set-Cookie"), std::string::npos);
}

TEST_F(ServerTest, ProblemsAreValidJson) {
  EXPECT_EQ(problem(404, "no \"x\\y\"\n\xff\xc3").body,
            "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\"detail\":\"no "
            "\\\"x\\\\y\\\"\\u000a\ufffd\ufffd\"}\n");
}

TEST_F(ServerTest, AnAnswerMayBeWithheld) {
  serve({}, {.http = [](RequestPtr request) -> awaitable<ServerAnswer> {
          ServerAnswer answer;
          answer.then = request->where.path == "/cut" ? ServerAnswer::Then::cut : ServerAnswer::Then::reset;
          co_return answer;
        }});
  EXPECT_EQ(say("GET /cut HTTP/1.1\r\nHost: x\r\n\r\n"), "");
  const error_code ec = run<error_code>(loop_, [&]() -> awaitable<error_code> {
    RawPeer peer{loop_};
    co_await peer.connect(server_->port());
    co_await peer.write("GET /reset HTTP/1.1\r\nHost: x\r\n\r\n");
    char byte = 0;
    const auto [result, n] = co_await peer.socket.async_read_some(asio::buffer(&byte, 1), kTuple);
    co_return result;
  });
  EXPECT_EQ(ec, asio::error::connection_reset);
}

TEST_F(ServerTest, ExpectedContinueIsSaid) {
  serve();
  const auto client =
      connect("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  run_void(loop_, [&]() -> awaitable<void> { co_await client->peer.write("ab"); });
  ASSERT_TRUE(ends(client));
  EXPECT_THAT(client->heard, StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(client->heard.ends_with("POST / ab"));
}

TEST_F(ServerTest, ConnectionsOverTheLimitGet503AndRoomIsGivenAgain) {
  ServerConfig config;
  config.most_connections = 1000;
  config.most_per_address = 1000;
  serve(config);
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  ASSERT_GE(files.rlim_cur, 2100u) << "this test needs 2,100 open files (ulimit -n)";
  std::vector<std::unique_ptr<RawPeer>> peers;
  run_void(loop_, [&]() -> awaitable<void> {
    for (int i = 0; i < 1000; ++i) {
      peers.push_back(std::make_unique<RawPeer>(loop_));
      EXPECT_TRUE(co_await peers.back()->connect(server_->port()));
    }
  });
  ASSERT_TRUE(loop_.run_until([&] { return server_->stats().open == 1000; }));
  for (int i = 0; i < 3; ++i)
    EXPECT_THAT(say(""), StartsWith("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n"));
  EXPECT_EQ(server_->stats().refused_connections, 3u);
  EXPECT_EQ(server_->stats().open, 1000u);
  // Those that are in are served, and who goes makes room.
  peers.resize(999);
  ASSERT_TRUE(loop_.run_until([&] { return server_->stats().open == 999; }));
  EXPECT_THAT(say("GET /in HTTP/1.0\r\n\r\n"), HasSubstr("GET /in"));
}

TEST_F(ServerTest, OneAddressCannotTakeAll) {
  ServerConfig config;
  config.most_per_address = 2;
  serve(config);
  const auto a = connect(""), b = connect("");
  EXPECT_THAT(say(""), StartsWith("HTTP/1.1 503"));
  // Another address of loopback is another client.
  const std::string other = run<std::string>(loop_, [&]() -> awaitable<std::string> {
    RawPeer peer{loop_};
    peer.socket.open(asio::ip::tcp::v4());
    const asio::ip::tcp::endpoint from{asio::ip::make_address("127.0.0.2"), 0};
    peer.socket.bind(from);
    co_await peer.connect(server_->port());
    co_await peer.write("GET /other HTTP/1.0\r\n\r\n");
    co_return co_await peer.read_to_end();
  });
  EXPECT_THAT(other, HasSubstr("GET /other"));
}

TEST_F(ServerTest, APortThatIsTakenAndAnAddressThatIsNoneAreTold) {
  serve();
  Server second{loop_, {.port = server_->port()}, {}};
  const auto port = second.listen();
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().detail, "cannot listen on 127.0.0.1 port " + std::to_string(server_->port()) +
                                     ": another program has it; choose another port, or 0");
  Server third{loop_, {.address = "localhost"}, {}};
  EXPECT_THAT(third.listen().error().detail, HasSubstr("no numeric address"));
  Server fourth{loop_, {.certificate_file = "x.pem"}, {}};
  EXPECT_THAT(fourth.listen().error().detail, HasSubstr("TLS needs a certificate and a key"));
}

TEST_F(ServerTest, StopFinishesWhatIsUnderWayAndEndsTheRest) {
  Event go{loop_};
  serve({}, {.http = [&](RequestPtr) -> awaitable<ServerAnswer> {
          co_await go.wait();
          co_return text_answer(200, "text/plain", "done");
        }});
  const auto idle = connect("");
  const auto busy = connect("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  bool stopped = false;
  loop_.spawn([&]() -> awaitable<void> {
    co_await server_->stop(5s);
    stopped = true;
  });
  EXPECT_TRUE(ends(idle));
  EXPECT_FALSE(stopped);
  go.set();
  EXPECT_TRUE(ends(busy));
  EXPECT_THAT(busy->heard, HasSubstr("Connection: close\r\n\r\ndone"));
  EXPECT_FALSE(stopped) << "the client has time to read";
  busy->peer.socket.close();
  EXPECT_TRUE(loop_.run_until([&] { return stopped; }));
  RawPeer late{loop_};
  EXPECT_FALSE(run<bool>(loop_, [&] { return late.connect(server_->port()); }));
}

TEST_F(ServerTest, StopCutsWhatDoesNotEnd) {
  Event never{loop_};
  serve({}, {.http = [&](RequestPtr) -> awaitable<ServerAnswer> {
          co_await never.wait();
          co_return ServerAnswer{};
        }});
  const auto busy = connect("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  bool stopped = false;
  loop_.spawn([&]() -> awaitable<void> {
    co_await server_->stop(5s);
    stopped = true;
  });
  settle(loop_);
  EXPECT_FALSE(stopped || busy->ended);
  loop_.advance(5s);
  EXPECT_TRUE(loop_.run_until([&] { return stopped; }));
  EXPECT_TRUE(ends(busy));
  EXPECT_EQ(busy->heard, "");
}

}  // namespace
}  // namespace truetape::net
