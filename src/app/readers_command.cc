// truetape readers ls | forget
#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>

#include "app/beside.h"
#include "app/command.h"
#include "app/open.h"
#include "codec/rows.h"

namespace truetape::app {
namespace {

constexpr std::array<RowColumn, 7> kColumns{{{"reader"},
                                             {"topic"},
                                             {"partition", true},
                                             {"stored", true},
                                             {"behind", true},
                                             {"held_bytes", true},
                                             {"held_since"}}};

// A Hold as a row; its own type, so that the row's cells are found.
struct HoldRow {
  const LmdbLog::Hold& hold;
};
void put_cells(const HoldRow& row, RowCells& out) {
  const LmdbLog::Hold& hold = row.hold;
  out.text(hold.name);
  out.text(hold.topic);
  out.number(std::int64_t{hold.partition});
  out.number(hold.stored);
  out.number(std::max<std::int64_t>(hold.end - hold.stored, 0));
  out.number(hold.bytes);
  hold.since ? out.time(*hold.since) : out.null();
}

int run_ls(const Common& common, const std::string& format) {
  const Config config = configure(common);
  const auto log = open_log_to_read(config);
  if (!log) return fail(log.error().detail);
  const auto holds = (*log)->holds();
  if (!holds) return fail(holds.error().detail);
  bool readable = true;
  RowWriter writer{parse_row_format(format).value(), kColumns, [](std::string_view text) {
                     return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
                   }};
  for (const LmdbLog::Hold& hold : *holds)
    if (hold.end > 0 && readable) readable = writer.write(HoldRow{hold});
  readable = writer.finish() && readable;
  if (std::fflush(stdout) != 0 || !readable) return fail("standard output cannot be written");
  return kOk;
}

int run_forget(const Common& common, const std::string& name) {
  const Config config = configure(common);
  if (const Status there = expect_log(config); !there) return fail(there.error().detail);
  if (name == "process")
    return fail("process is no registered reader and cannot be forgotten; what it has not done yet is done by " +
                finish_command(config));
  const auto own = open_log_to_write(config);
  Status done;
  if (own) {
    done = (*own)->forget_reader(name);
  } else if (BesideLog::is_locked(own.error())) {
    auto beside = BesideLog::open(config, "", own.error());
    if (!beside) return fail(beside.error().detail);
    done = (*beside)->forget_reader(name);
  } else {
    return fail(own.error().detail);
  }
  if (!done) return fail(done.error().detail);
  std::printf("forgotten: %s\n", name.c_str());
  return kOk;
}

}  // namespace

void add_readers(CLI::App& root, Run& chosen) {
  CLI::App* readers = root.add_subcommand(
      "readers",
      "Shows who keeps records in the log, and forgets who never comes back.\n\n"
      "Retention deletes nothing that a registered reader has not stored: each store's load is one. A reader that is\n"
      "gone for good holds the log until it is full and nothing is taken in any more.");
  readers->require_subcommand(1);
  readers->footer(
      "Examples:\n"
      "  truetape readers ls --data market\n"
      "  truetape readers forget load:sqlite --data market\n\n"
      "`truetape readers COMMAND --help` tells more of each.");

  CLI::App* ls = readers->add_subcommand(
      "ls",
      "Lists readers with what they hold back.\n\n"
      "By topic and partition: the offset below which all is stored, how many offsets are behind it, the bytes of\n"
      "the blocks from there on, and when the first of them was appended. `process` of raw is not registered, but\n"
      "what it has not done yet is kept too. Works while another process writes.");
  ls->footer(
      "Exit status:\n"
      "  0  done\n"
      "  1  there is no log, or it cannot be opened\n"
      "  2  command line or configuration refused\n");
  const auto ls_common = add_common(*ls);
  const auto format = std::make_shared<std::string>("table");
  ls->add_option("--format", *format, "table, csv or json (one object a line)")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->type_name("F");
  ls->callback([=, &chosen] { chosen = [=] { return run_ls(*ls_common, *format); }; });

  CLI::App* forget = readers->add_subcommand(
      "forget",
      "Forgets a reader in all topics: it keeps nothing back any more.\n\n"
      "What it has not stored may be deleted from now on; should it come again, it begins at the oldest record.\n"
      "Works beside `truetape run`, too; a reader that is at work there is refused.");
  forget->footer(
      "Exit status:\n"
      "  0  it is forgotten\n"
      "  1  there is no such reader, or it is at work; or there is no log, or it cannot be opened\n"
      "  2  command line or configuration refused; nothing was done\n");
  const auto forget_common = add_common(*forget);
  const auto name = std::make_shared<std::string>();
  forget->add_option("NAME", *name, "As `readers ls` prints it")->required()->type_name("");
  forget->callback([=, &chosen] { chosen = [=] { return run_forget(*forget_common, *name); }; });
}

}  // namespace truetape::app
