// truetape config check | settings
#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/command.h"

namespace truetape::app {

void add_config(CLI::App& root, Run& chosen) {
  CLI::App* config = root.add_subcommand("config", "Check and show the configuration");
  config->require_subcommand(1);
  config->footer(
      "Examples:\n"
      "  truetape config check --config prod.toml\n"
      "  truetape config settings\n\n"
      "`truetape config COMMAND --help` tells more of each.");

  CLI::App* check = config->add_subcommand(
      "check",
      "Prints the effective configuration, or says what is wrong with it.\n\n"
      "Reads it as the other commands would and prints the value of every setting as TOML, with where it comes from.\n"
      "Values of secrets are masked. A wrong key, type or value is refused with file, line, key and what is allowed.");
  check->footer(
      "Examples:\n"
      "  truetape config check --config base.toml --config prod.toml\n"
      "  truetape config check --set log.partitions=8\n\n"
      "Exit status:\n"
      "  0  the configuration is sound\n"
      "  2  it is refused; the sentence on standard error says where and why");
  const auto common = add_common(*check);
  check->callback([common, &chosen] {
    chosen = [common] {
      Effective effective = load_config(common->config_files, common->sets);
      if (!common->data.empty()) {
        effective.config.set_data(common->data);
        effective.origins["data"] = "--data";
      }
      std::fputs(effective_text(effective).c_str(), stdout);
      return static_cast<int>(kOk);
    };
  });

  CLI::App* list = config->add_subcommand("settings", "Lists every setting with default, allowed values and meaning");
  list->footer(
      "One row of a Markdown table for each, as in docs/config.md.\n\n"
      "Exit status:\n"
      "  0  done");
  list->callback([&chosen] {
    chosen = [] {
      std::fputs(settings_table().c_str(), stdout);
      return static_cast<int>(kOk);
    };
  });
}

}  // namespace truetape::app
