#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <memory>
#include <sstream>
#include <string>

#include "app/command.h"

namespace {

// A list of subcommands shows the first line of each description; the rest is for its own help.
class Manual : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    return '\n' + Formatter::make_usage(app, name);
  }
  std::string make_subcommand(const CLI::App* sub) const override {
    std::ostringstream out;
    const std::string text = sub->get_description();
    CLI::detail::format_help(out, sub->get_display_name(true), text.substr(0, text.find('\n')), get_column_width());
    return out.str();
  }
};

constexpr const char* kAbout =
    "Every trade once, every gap known.\n\n"
    "Recorded market data goes in (import), is kept in a durable log in the data directory, becomes trades and "
    "candles\n"
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
  const auto manual = std::make_shared<Manual>();
  manual->column_width(28);
  manual->label("SUBCOMMAND", "COMMAND");
  manual->label("Subcommands", "Commands");
  root.formatter(manual);  // before the subcommands, which inherit it

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
