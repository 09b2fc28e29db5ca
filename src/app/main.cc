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

// CLI11 says of a slip in a command's name only that "A subcommand is required". The first word that is none, or empty.
std::string unknown_command(const CLI::App& root, int argc, char** argv) {
  const CLI::App* at = &root;
  for (int i = 1; i < argc; ++i) {
    const auto commands = at->get_subcommands([](const CLI::App*) { return true; });
    if (commands.empty() || argv[i][0] == '-') return {};
    const CLI::App* next = nullptr;
    std::string known;
    for (const CLI::App* command : commands) {
      if (command->get_name() == argv[i]) next = command;
      known += (known.empty() ? "" : ", ") + command->get_name();
    }
    if (next == nullptr)
      return "there is no command \"" + std::string{argv[i]} + "\"" +
             (at == &root ? "" : " of `truetape " + at->get_name() + "`") + "; there are " + known;
    at = next;
  }
  return {};
}

// The command whose subcommand was left out, as in `truetape` or `truetape query`; nullptr: none was.
const CLI::App* left_open(const CLI::App& root, int argc, char** argv) {
  const CLI::App* at = &root;
  for (int i = 1; i < argc; ++i) {
    const auto named = at->get_subcommands([&](const CLI::App* command) { return command->get_name() == argv[i]; });
    if (named.empty()) return nullptr;
    at = named.front();
  }
  return at->get_require_subcommand_min() > 0 ? at : nullptr;
}

constexpr const char* kAbout =
    "Every trade once, every gap known.\n\n"
    "Market data goes in, live (run) or recorded (import), is kept in a durable log in the data directory, becomes\n"
    "trades and candles exactly once, and can be asked for (HTTP, a page, query). Every candle says how far it can be\n"
    "trusted, and on what evidence.";

constexpr const char* kFooter =
    "Examples:\n"
    "  truetape demo\n"
    "  truetape run --data market binance:BTCUSDT\n"
    "  truetape import --data market --venue binance session.frames.zst\n"
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
  root.failure_message([](const CLI::App*, const CLI::Error& e) {
    return "truetape: " + std::string{e.what()} + "\nRun with --help for more information.\n";
  });
  const auto manual = std::make_shared<Manual>();
  manual->column_width(28);
  manual->label("SUBCOMMAND", "COMMAND");
  manual->label("Subcommands", "Commands");
  root.formatter(manual);  // before the subcommands, which inherit it

  Run run;
  add_import(root, run);
  add_query(root, run);
  add_quarantine(root, run);
  add_rules(root, run);
  add_digest(root, run);
  add_audit(root, run);
  add_reconcile(root, run);
  add_cross(root, run);
  add_explain(root, run);
  add_log(root, run);
  add_readers(root, run);
  add_schemas(root, run);
  add_config(root, run);
  add_control(root, run);
  add_init(root, run);
  add_run(root, run);
  add_demo(root, run);
  add_sim(root, run);
  add_backup(root, run);
  add_restore(root, run);
  add_rebuild(root, run);
  add_topics(root, run);
  add_process(root, run);
  add_load(root, run);
  add_backfill(root, run);
  if (const std::string unknown = unknown_command(root, argc, argv); !unknown.empty()) {
    fail(unknown);
    return kUsage;
  }
  if (const CLI::App* open = left_open(root, argc, argv)) {
    std::fputs(open->help(open == &root ? "" : "truetape").c_str(), stderr);
    return kUsage;
  }
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
