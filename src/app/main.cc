#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "app/command.h"

namespace {

constexpr const char* kAbout =
    "truetape keeps every trade once and knows every gap.\n\n"
    "Recorded market data goes in (import), is kept in a durable log in the data directory, becomes trades and candles\n"
    "exactly once, and can be asked for (query). Every candle says how far it can be trusted, and on what evidence.";

constexpr const char* kFooter =
    "Examples:\n"
    "  truetape import --data market --venue binance capture.frames.zst\n"
    "  truetape query candles --data market --interval 1m\n"
    "  truetape query gaps --data market --format csv\n"
    "  truetape digest --data market --compare\n\n"
    "Exit status:\n"
    "  0  done\n"
    "  1  failed: one sentence on standard error says what happened and what to do\n"
    "  2  command line or configuration refused; nothing was done\n"
    "  3  a comparison or check found a difference or damage\n\n"
    "Files:\n"
    "  DIR/log/      the durable log: what came in, and all that was made of it\n"
    "  DIR/store.db  the SQLite store that query reads; any SQLite tool may read it too\n\n"
    "`truetape COMMAND --help` tells more of each.";

}  // namespace

int main(int argc, char** argv) {
  using namespace truetape::app;
  CLI::App root{kAbout, "truetape"};
  root.footer(kFooter);
  root.set_version_flag("--version", std::string{"truetape "} + TRUETAPE_VERSION);
  root.require_subcommand(1);
  root.get_formatter()->column_width(28);

  Run run;
  add_import(root, run);
  add_query(root, run);
  add_digest(root, run);
  add_log(root, run);
  add_config(root, run);
  add_init(root, run);
  try {
    root.parse(argc, argv);
    return run();
  } catch (const CLI::ParseError& e) {
    return root.exit(e) == 0 ? kOk : kUsage;
  } catch (const ConfigError& e) {
    fail(e.what());
    return kUsage;
  } catch (const std::exception& e) {
    return fail(e.what());
  }
}
