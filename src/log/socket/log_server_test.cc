#include "log/socket/log_server.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <mutex>
#include <thread>

#include "log/conformance/following.h"
#include "log/lmdb/lmdb_log.h"
#include "log/memory/memory_log.h"
#include "log/socket/protocol.h"
#include "log/socket/remote_appender.h"
#include "log/socket/unix_socket.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;
using namespace log_socket;
using conformance::kLong;
using conformance::Lines;
using conformance::read_all;
using conformance::value;
namespace fs = std::filesystem;

class LogSocket : public testing::Test {
 protected:
  LogSocket() {
    char name[] = "/tmp/truetape_socket_XXXXXX";
    directory_ = ::mkdtemp(name);
    socket_ = directory_ / "truetape.sock";
  }
  ~LogSocket() override {
    server_.reset();
    fs::remove_all(directory_);
  }
  void start(LogServerOptions options = {}) {
    options.tell = [this](const std::string& sentence) {
      const std::lock_guard lock{mutex_};
      told_ += sentence + '\n';
    };
    auto server = LogServer::start(log_, socket_, options);
    ASSERT_TRUE(server) << server.error().detail;
    server_ = std::move(*server);
  }
  std::string told() {
    const std::lock_guard lock{mutex_};
    return told_;
  }
  // Raw bytes as a client; all that is answered until the server closes or `enough` frames have come.
  struct Answered {
    std::vector<Kind> kinds;
    std::optional<Failed> failed;
    bool closed = false;
  };
  Answered say(const std::string& bytes, std::size_t enough = 100) const {
    const auto fd = connect_to(socket_);
    EXPECT_TRUE(fd) << fd.error().detail;
    if (!fd) return {};
    (void)send_all(fd->get(), bytes, 5s);  // the server may have closed on the way: what it said tells
    return hear(fd->get(), enough);
  }
  static Answered hear(int fd, std::size_t enough) {
    Answered out;
    Frames frames;
    while (out.kinds.size() < enough) {
      const auto frame = frames.next();
      EXPECT_TRUE(frame);
      if (!frame) break;
      if (!*frame) {
        std::string more;
        const Io done = receive(fd, more, kLong);
        EXPECT_NE(done, Io::late) << "no answer";
        out.closed = done == Io::closed;
        if (done != Io::ok) break;
        frames.add(more);
        continue;
      }
      out.kinds.push_back((*frame)->kind);
      if ((*frame)->kind == Kind::failed) out.failed = parse_failed((*frame)->body).value();
    }
    return out;
  }
  static MemoryOptions four_partitions() {
    MemoryOptions options;
    options.partitions = 4;
    return options;
  }
  std::int64_t end(std::int32_t partition = 0) { return log_.span(topic::raw, partition)->end; }

  fs::path directory_, socket_;
  MemoryLog log_{four_partitions()};
  std::unique_ptr<LogServer> server_;
  std::mutex mutex_;
  std::string told_;
};

std::string greeting(const Hello& hello = {}) {
  std::string out;
  put(hello, out);
  return out;
}
std::string opening(std::uint8_t channel, std::string topic) {
  std::string out;
  put(Open{channel, std::move(topic)}, out);
  return out;
}
std::string appending(std::uint8_t channel, const std::vector<std::pair<std::int32_t, std::string>>& values,
                      std::uint32_t more = 0) {
  std::string records, out;
  for (const auto& [partition, text] : values) put_record(partition, value(text), records);
  put(Append{channel, static_cast<std::uint32_t>(values.size()) + more, records}, out);
  return out;
}
const std::string kReady = greeting() + opening(0, "raw");

TEST_F(LogSocket, OnlyTheOwnerMayConnectAndTheNameGoesWithTheServer) {
  ::umask(0);
  start();
  struct stat info {};
  ASSERT_EQ(::lstat(socket_.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  server_.reset();
  EXPECT_FALSE(fs::exists(socket_));
  const auto none = connect_log(socket_);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().fault, Fault::not_found);
}

TEST_F(LogSocket, WhatAKilledProcessLeftIsReplacedAndWhatIsAnsweredOrNoSocketIsNot) {
  {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const auto listener = Listener::open(socket_);
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(fs::exists(socket_));  // left over
    EXPECT_EQ(connect_log(socket_).error().fault, Fault::not_found);
  }
  start();
  ASSERT_TRUE(connect_log(socket_));
  const auto second = LogServer::start(log_, socket_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().fault, Fault::refused);
  EXPECT_NE(second.error().detail.find("is answered by another process"), std::string::npos);
  ASSERT_TRUE(connect_log(socket_)) << "the first one is still there";

  const fs::path file = directory_ / "file";
  std::ofstream{file} << "precious";
  const auto blocked = LogServer::start(log_, file);
  ASSERT_FALSE(blocked);
  EXPECT_NE(blocked.error().detail.find("is there and is no socket; move it away"), std::string::npos);
  EXPECT_EQ(fs::file_size(file), 8U);
  EXPECT_EQ(connect_log(file).error().fault, Fault::not_found);
}

TEST_F(LogSocket, AnothersSocketUnderTheNameIsNotRemovedAtTheEnd) {
  start();
  fs::rename(socket_, directory_ / "moved");
  auto other = LogServer::start(log_, socket_);
  ASSERT_TRUE(other);
  server_.reset();
  EXPECT_TRUE(connect_log(socket_));
}

TEST_F(LogSocket, PathsLongerThanASocketsNameWork) {
  socket_ = directory_ / std::string(100, 'a') / std::string(200, 'b') / "truetape.sock";
  fs::create_directories(socket_.parent_path());
  start();
  auto remote = connect_log(socket_);
  ASSERT_TRUE(remote) << remote.error().detail;
  auto appender = (*remote)->appender(topic::raw).value();
  ASSERT_TRUE(appender->append(2, value("far")));
  ASSERT_TRUE(appender->flush(kLong).value());
  EXPECT_EQ(read_all(log_, topic::raw), (Lines{"2@0=far"}));
  server_.reset();
  EXPECT_FALSE(fs::exists(socket_));
  EXPECT_EQ(LogServer::start(log_, directory_ / "none" / "x").error().fault, Fault::refused);
  EXPECT_EQ(connect_log(socket_.parent_path() / "none" / "x").error().fault, Fault::not_found);
}

TEST_F(LogSocket, AClientKnowsTheLogAndAppendsIntoRawAndControl) {
  start();
  ConnectOptions options;
  options.log_id = std::string{log_.id()};
  auto remote = connect_log(socket_, options);
  ASSERT_TRUE(remote) << remote.error().detail;
  EXPECT_EQ((*remote)->id(), log_.id());
  EXPECT_EQ((*remote)->epoch(), log_.epoch());
  EXPECT_EQ((*remote)->partitions(), 4);
  auto raw = (*remote)->appender(topic::raw).value();
  auto control = (*remote)->appender(topic::control).value();
  for (int i = 0; i < 5'000; ++i) {
    ASSERT_TRUE(raw->append(i % 4, value("r" + std::to_string(i))));
    ASSERT_TRUE(i % 1'000 != 0 || control->append(0, value("c" + std::to_string(i))));
  }
  ASSERT_TRUE(raw->flush(kLong).value());
  ASSERT_TRUE(control->flush(kLong).value());
  Lines expected;
  for (int p = 0; p < 4; ++p)
    for (int i = p, n = 0; i < 5'000; i += 4, ++n)
      expected.push_back(std::to_string(p) + '@' + std::to_string(n) + "=r" + std::to_string(i));
  Lines found = read_all(log_, topic::raw);
  std::sort(found.begin(), found.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(found, expected);
  EXPECT_EQ(read_all(log_, topic::control), (Lines{"0@0=c0", "0@1=c1000", "0@2=c2000", "0@3=c3000", "0@4=c4000"}));
  EXPECT_EQ(server_->counts().records, 5'005U);
}

// The appender's own thread sends: who does not flush need not.
TEST_F(LogSocket, WhatIsAppendedGoesByItself) {
  start();
  ConnectOptions options;
  options.append_buffer_bytes = 100'000;
  auto remote = connect_log(socket_, options);
  auto raw = (*remote)->appender(topic::raw).value();
  const std::string kilobyte(1'000, 'x');
  const auto until = std::chrono::steady_clock::now() + kLong;
  for (int i = 0; i < 10'000;) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
    i += raw->append(0, value(kilobyte)) ? 1 : 0;
  }
  ASSERT_TRUE(raw->flush(kLong).value());
  EXPECT_EQ(end(), 10'000);
}

TEST_F(LogSocket, AppendersMayComeAndGoAndAreBounded) {
  start();
  auto remote = connect_log(socket_).value();
  for (int round = 0; round < 50; ++round) {
    auto raw = remote->appender(topic::raw);
    ASSERT_TRUE(raw) << raw.error().detail;
    ASSERT_TRUE((*raw)->append(0, value("x")));
    ASSERT_TRUE((*raw)->flush(kLong).value());
  }
  EXPECT_EQ(end(), 50);
  std::vector<std::unique_ptr<Appender>> held;
  for (std::size_t i = 0; i < kMostChannels; ++i) held.push_back(remote->appender(topic::raw).value());
  EXPECT_EQ(remote->appender(topic::raw).error().fault, Fault::refused);
  EXPECT_EQ(remote->appender(topic::trades).error().fault, Fault::refused);
  held.pop_back();
  EXPECT_TRUE(remote->appender(topic::raw));
  EXPECT_EQ(remote->appender(topic::trades).error().fault, Fault::refused) << "refused by the log itself";
  EXPECT_TRUE(remote->health());
  remote.reset();  // appenders keep the connection
  ASSERT_TRUE(held[0]->append(0, value("y")));
  ASSERT_TRUE(held[0]->flush(kLong).value());
  EXPECT_EQ(end(), 51);
}

TEST_F(LogSocket, AnotherVersionOrLogIsToldWhatToDo) {
  start();
  const auto version = say(greeting({7, "", ""}));
  ASSERT_TRUE(version.failed);
  EXPECT_TRUE(version.failed->ends && version.closed);
  EXPECT_EQ(version.failed->error.fault, Fault::mismatch);
  EXPECT_EQ(version.failed->error.detail,
            "the process that writes the log speaks version 1 of the socket, this command version 7; use the same "
            "truetape for both");
  ConnectOptions options;
  options.log_id = "another";
  const auto remote = connect_log(socket_, options);
  ASSERT_FALSE(remote);
  EXPECT_EQ(remote.error().fault, Fault::mismatch);
  EXPECT_NE(remote.error().detail.find("is the data directory right?"), std::string::npos);
  EXPECT_EQ(server_->counts().refused, 2U);
}

TEST_F(LogSocket, TheSeventeenthClientIsToldToComeLater) {
  start();
  std::vector<std::unique_ptr<RemoteLog>> clients;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(connect_log(socket_).value());
    ASSERT_TRUE(clients.back());
  }
  const auto refused = connect_log(socket_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::refused);
  EXPECT_EQ(refused.error().retry, Retry::after_backoff);
  EXPECT_EQ(refused.error().detail,
            "16 commands write through the socket already, which is the most; wait until one has ended");
  auto last = clients.back()->appender(topic::raw).value();
  ASSERT_TRUE(last->append(0, value("x")));
  ASSERT_TRUE(last->flush(kLong).value());
  clients.erase(clients.begin());
  const auto until = std::chrono::steady_clock::now() + kLong;
  auto next = connect_log(socket_);
  while (!next && std::chrono::steady_clock::now() < until) next = connect_log(socket_);
  EXPECT_TRUE(next) << "one has ended";
}

TEST_F(LogSocket, WhatIsDoneAloneIsDoneByOneAtATime) {
  LogServerOptions options;
  options.alone = 50ms;
  start(options);
  ConnectOptions import;
  import.alone = "import";
  auto first = connect_log(socket_, import).value();
  const auto second = connect_log(socket_, import);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().fault, Fault::refused);
  EXPECT_EQ(second.error().retry, Retry::after_backoff);
  EXPECT_EQ(second.error().detail,
            "another import is writing through the socket; wait until it has ended, then run this one");
  EXPECT_TRUE(connect_log(socket_)) << "others may";
  import.alone = "export";
  EXPECT_TRUE(connect_log(socket_, import));
  first.reset();
  import.alone = "import";
  const auto until = std::chrono::steady_clock::now() + kLong;
  auto next = connect_log(socket_, import);
  while (!next && std::chrono::steady_clock::now() < until) next = connect_log(socket_, import);
  EXPECT_TRUE(next);
}

// Each is answered with an error and closed, nothing of it is appended, and others go on.
TEST_F(LogSocket, ABrokenClientIsClosedAndTheLogUnmoved) {
  LogServerOptions options;
  options.greeting = options.frame = options.idle = 500ms;
  start(options);
  const std::string sound = appending(0, {{0, "never"}});
  std::string large = appending(0, {{0, "never"}, {1, std::string(kMaxRecordBytes, 'x')}});
  const std::vector<std::tuple<std::string, std::string, Fault>> cases{
      {"silence", "", Fault::unavailable},
      {"a request of another protocol", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", Fault::malformed},
      {"zeros", std::string(1'000, '\0'), Fault::malformed},
      {"an announced 4 GiB", std::string(1'000, '\xff'), Fault::malformed},
      {"half a greeting", greeting().substr(0, 9), Fault::unavailable},
      {"a greeting of another program", std::string{"\x0a\0\0\0\x01", 5} + "othertape!", Fault::malformed},
      {"no greeting", opening(0, "raw"), Fault::malformed},
      {"records before a channel", greeting() + sound, Fault::malformed},
      {"a channel beyond the last", greeting() + opening(4, "raw"), Fault::malformed},
      {"a channel twice", kReady + opening(0, "raw"), Fault::malformed},
      {"half an append", kReady + sound.substr(0, sound.size() - 1), Fault::unavailable},
      {"silence after the opening", kReady, Fault::unavailable},
      {"a partition that is not there", kReady + appending(0, {{0, "never"}, {4, "x"}}), Fault::out_of_range},
      {"a negative partition", kReady + appending(0, {{0, "never"}, {-1, "x"}}), Fault::out_of_range},
      {"a record too large behind a sound one", kReady + large, Fault::out_of_range},
      {"fewer records than counted", kReady + appending(0, {{0, "never"}}, 1), Fault::malformed},
      {"more bytes than records", kReady + appending(0, {{0, "never"}, {0, "x"}}, static_cast<std::uint32_t>(-1)),
       Fault::malformed},
      {"a frame of the server", kReady + greeting().replace(4, 1, "\x02"), Fault::malformed},
      {"an unknown kind", kReady + std::string{"\x01\0\0\0\x63x", 6}, Fault::malformed},
      {"again without a channel", kReady + std::string{"\x01\0\0\0\x08\x05", 6}, Fault::malformed},
  };
  for (const auto& [name, bytes, fault] : cases) {
    const Answered answered = say(bytes);
    EXPECT_TRUE(answered.closed) << name;
    ASSERT_TRUE(answered.failed) << name;
    EXPECT_TRUE(answered.failed->ends) << name;
    EXPECT_EQ(answered.failed->error.fault, fault) << name << ": " << answered.failed->error.detail;
    EXPECT_GT(answered.failed->error.detail.size(), 20U) << name;
  }
  EXPECT_EQ(end(0) + end(1), 0);
  EXPECT_EQ(server_->counts().broken, cases.size());
  EXPECT_EQ(server_->counts().records, 0U);
  EXPECT_NE(told().find("was closed: half a frame came and no more of it"), std::string::npos);
}

// A byte now and then does not keep a frame open for ever.
TEST_F(LogSocket, AFrameThatDripsIsGivenUp) {
  LogServerOptions options;
  options.frame = 300ms;
  start(options);
  const auto fd = connect_to(socket_).value();
  const std::string bytes = greeting();
  Io sent = Io::ok;
  for (std::size_t i = 0; i < bytes.size() && sent == Io::ok && server_->counts().broken == 0; ++i) {
    sent = send_all(fd.get(), bytes.substr(i, 1), 1s);
    std::this_thread::sleep_for(50ms);
  }
  const Answered answered = hear(fd.get(), 100);
  ASSERT_TRUE(answered.failed);
  EXPECT_EQ(answered.failed->error.detail, "half a frame came and no more of it");
}

TEST_F(LogSocket, AConversationByteByByteIsUnderstood) {
  start();
  const auto fd = connect_to(socket_).value();
  std::string bytes = kReady + appending(0, {{1, "slow"}, {3, ""}});
  put(Kind::close, 0, bytes);
  for (const char byte : bytes) ASSERT_EQ(send_all(fd.get(), {&byte, 1}, 5s), Io::ok);
  EXPECT_EQ(hear(fd.get(), 4).kinds, (std::vector{Kind::welcome, Kind::opened, Kind::durable, Kind::closed}));
  EXPECT_EQ(read_all(log_, topic::raw), (Lines{"1@0=slow", "3@0="}));
}

TEST_F(LogSocket, AFullLogIsToldAndTheBufferKeptInOrder) {
  start();
  auto remote = connect_log(socket_).value();
  auto raw = remote->appender(topic::raw).value();
  auto control = remote->appender(topic::control).value();
  ASSERT_TRUE(raw->append(0, value("a")));
  ASSERT_TRUE(raw->flush(kLong).value());
  log_.set_full(true);
  ASSERT_TRUE(raw->append(0, value("b")));
  auto flushed = raw->flush(kLong);
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().fault, Fault::no_space);
  EXPECT_EQ(flushed.error().retry, Retry::after_backoff);
  ASSERT_TRUE(control->append(0, value("x")));
  EXPECT_FALSE(control->flush(kLong));
  ASSERT_TRUE(raw->append(0, value("c")));
  EXPECT_EQ(end(), 1);
  EXPECT_TRUE(remote->health()) << "the session goes on";
  log_.set_full(false);
  const auto until = std::chrono::steady_clock::now() + kLong;
  do flushed = raw->flush(1s);
  while ((!flushed || !*flushed) && std::chrono::steady_clock::now() < until);
  ASSERT_TRUE(flushed && *flushed);
  EXPECT_EQ(read_all(log_, topic::raw), (Lines{"0@0=a", "0@1=b", "0@2=c"}));
  while (!control->flush(1s).value_or(false)) ASSERT_LT(std::chrono::steady_clock::now(), until);
  EXPECT_EQ(read_all(log_, topic::control), (Lines{"0@0=x"}));
}

TEST_F(LogSocket, AnErrorOfTheLogEndsTheSession) {
  start();
  auto remote = connect_log(socket_).value();
  auto raw = remote->appender(topic::raw).value();
  ASSERT_TRUE(raw->append(0, value("a")));
  ASSERT_TRUE(raw->flush(kLong).value());
  log_.crash();
  ASSERT_TRUE(raw->append(0, value("b")));
  const auto flushed = raw->flush(kLong);
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().retry, Retry::rebuild);
  EXPECT_FALSE(remote->health());
  EXPECT_FALSE(raw->append(0, value("c")));
  EXPECT_FALSE(remote->appender(topic::raw));
  auto again = connect_log(socket_).value()->appender(topic::raw).value();
  ASSERT_TRUE(again->append(0, value("d")));
  ASSERT_TRUE(again->flush(kLong).value());
}

TEST_F(LogSocket, AServerThatEndsTellsItsClientsAtOnce) {
  start();
  auto remote = connect_log(socket_).value();
  auto raw = remote->appender(topic::raw).value();
  ASSERT_TRUE(raw->append(0, value("a")));
  ASSERT_TRUE(raw->flush(kLong).value());
  server_.reset();
  const auto until = std::chrono::steady_clock::now() + kLong;
  while (remote->health() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
  ASSERT_FALSE(remote->health());
  EXPECT_EQ(remote->health().error().retry, Retry::reconnect);
  EXPECT_EQ(remote->health().error().detail,
            "the process that writes the log is ending; what was flushed is in the log, try again");
  // A record that is refused for good must not leave its writer trying for ever.
  EXPECT_FALSE(raw->append(0, value("b")));
  const auto flushed = raw->flush(kLong);
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().retry, Retry::reconnect);
}

TEST_F(LogSocket, AProcessThatSaysNothingIsTakenForStopped) {
  const auto listener = Listener::open(socket_).value();  // listens, and never accepts
  ConnectOptions options;
  options.patience = 100ms;
  const auto remote = connect_log(socket_, options);
  ASSERT_FALSE(remote);
  EXPECT_EQ(remote.error().fault, Fault::unavailable);
  EXPECT_NE(remote.error().detail.find("says nothing for 1 s; is it stopped?"), std::string::npos);
}

// Children that are killed, on the embedded log. They are made while this process has no other thread.
class LogSocketKills : public LogSocket {
 protected:
  std::unique_ptr<LmdbLog> open_log() const {
    LmdbOptions options;
    options.create = true;
    options.partitions = 2;
    return open_lmdb_log(directory_ / "log", options).value();
  }
  // Runs `work` in a process of its own, which is killed if it does not kill itself.
  static pid_t in_a_child(const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    work();
    ::_exit(1);
  }
  Result<std::unique_ptr<RemoteLog>> connect() const {
    const auto until = std::chrono::steady_clock::now() + kLong;
    for (;;) {
      auto remote = connect_log(socket_);
      if (remote || std::chrono::steady_clock::now() > until) return remote;
      std::this_thread::sleep_for(1ms);
    }
  }
};

TEST_F(LogSocketKills, AReaderIsForgottenThroughTheSocket) {
  const auto log = open_log();
  ASSERT_TRUE(log->reader(topic::trades, "gone", Share::group));
  const auto at_work = log->reader(topic::trades, "busy", Share::group).value();
  auto server = LogServer::start(*log, socket_, {.forget = [&](std::string_view name) {
                  return log->forget_reader(name);
                }}).value();
  auto remote = connect().value();
  auto raw = remote->appender(topic::raw).value();
  ASSERT_TRUE(raw->append(0, value("before")));
  ASSERT_TRUE(remote->forget_reader("gone"));
  EXPECT_EQ(log->readers()->size(), 2U) << "busy, in each partition";
  // What is refused there is said here, and the connection goes on.
  EXPECT_EQ(remote->forget_reader("gone").error().fault, Fault::not_found);
  EXPECT_NE(remote->forget_reader("gone").error().detail.find("no reader 'gone'; it has 'busy'"), std::string::npos);
  EXPECT_EQ(remote->forget_reader("busy").error().fault, Fault::refused);
  EXPECT_EQ(remote->forget_reader(std::string(100'000, 'n')).error().fault, Fault::not_found);
  ASSERT_TRUE(raw->append(0, value("after")));
  ASSERT_TRUE(raw->flush(kLong).value());
  EXPECT_EQ(server->counts().broken, 0U);
  server.reset();
  EXPECT_EQ(remote->forget_reader("busy").error().fault, Fault::unavailable);
  server = LogServer::start(*log, socket_).value();
  EXPECT_EQ(connect().value()->forget_reader("busy").error().fault, Fault::refused) << "nobody there who forgets";
}

TEST_F(LogSocketKills, OfAKilledServerWhatWasConfirmedIsInTheLog) {
  for (const int life : {0, 7, 31}) {
    const pid_t child = in_a_child([&] {
      const auto log = open_log();
      const auto server = LogServer::start(*log, socket_).value();
      for (;;) ::pause();
    });
    ASSERT_GT(child, 0);
    auto remote = connect().value();
    auto raw = remote->appender(topic::raw).value();
    const std::string before = std::to_string(life) + '.';
    int confirmed = 0, sent = 0;
    std::thread killer{[&] {
      std::this_thread::sleep_for(std::chrono::milliseconds{life});
      ::kill(child, SIGKILL);
    }};
    Result<bool> flushed = true;
    while (flushed) {
      for (int i = 0; i < 20 && raw->append(1, value(before + std::to_string(sent))); ++i) ++sent;
      flushed = raw->flush(kLong);
      if (flushed && *flushed) confirmed = sent;
    }
    killer.join();
    EXPECT_EQ(flushed.error().fault, Fault::unavailable);
    EXPECT_EQ(flushed.error().retry, Retry::reconnect);
    EXPECT_NE(flushed.error().detail.find("run the same command again"), std::string::npos) << flushed.error().detail;
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    int found = 0;
    for (const std::string& line : read_all(*open_log(), topic::raw)) {
      const std::string text = line.substr(line.find('=') + 1);
      if (!text.starts_with(before)) continue;
      EXPECT_EQ(text, before + std::to_string(found));
      ++found;
    }
    EXPECT_GE(found, confirmed);
    EXPECT_LE(found, sent);
  }
}

TEST_F(LogSocketKills, AKilledClientLosesOnlyWhatItHadNotFlushed) {
  for (const int flushes : {0, 1, 5}) {
    int tell[2];
    ASSERT_EQ(::pipe(tell), 0);
    const std::string before = std::to_string(flushes) + '.';
    const pid_t child = in_a_child([&] {
      const auto remote = connect().value();
      const auto raw = remote->appender(topic::raw).value();
      for (int i = 0, number = 0; i <= flushes; ++i) {
        for (int j = 0; j < 100; ++j)
          if (!raw->append(0, value(before + std::to_string(number++)))) ::_exit(2);
        if (i < flushes && !raw->flush(kLong).value()) ::_exit(3);
      }
      [[maybe_unused]] const ssize_t n = ::write(tell[1], "x", 1);
      ::kill(::getpid(), SIGKILL);
    });
    ASSERT_GT(child, 0);
    {
      const auto log = open_log();
      const auto server = LogServer::start(*log, socket_).value();
      char byte = 0;
      EXPECT_EQ(::read(tell[0], &byte, 1), 1);
      int status = 0;
      ::waitpid(child, &status, 0);
      EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
      const auto until = std::chrono::steady_clock::now() + kLong;
      while (server->counts().clients > 0 && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
      EXPECT_EQ(server->counts().clients, 0U);
      EXPECT_EQ(server->counts().broken, 0U) << "to go is no fault";
      int found = 0;
      for (const std::string& line : read_all(*log, topic::raw)) {
        const std::string text = line.substr(line.find('=') + 1);
        if (!text.starts_with(before)) continue;
        EXPECT_EQ(text, before + std::to_string(found));
        ++found;
      }
      EXPECT_GE(found, flushes * 100);
      EXPECT_LE(found, (flushes + 1) * 100);
      auto next = connect().value()->appender(topic::raw).value();  // others go on
      ASSERT_TRUE(next->append(1, value("x")));
      ASSERT_TRUE(next->flush(kLong).value());
    }
    ::close(tell[0]);
    ::close(tell[1]);
  }
}

}  // namespace
}  // namespace truetape
