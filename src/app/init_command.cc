// truetape init
#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "app/command.h"

namespace truetape::app {

void add_init(CLI::App& root, Run& chosen) {
  CLI::App* init = root.add_subcommand(
      "init",
      "Writes a commented configuration file.\n\n"
      "It has every setting, its default, what is allowed and what it does; `data`, which has no default, is set to\n"
      "\"truetape-data\". A file that exists is left alone.");
  init->footer(
      "Examples:\n"
      "  truetape init\n"
      "  truetape init prod.toml\n"
      "  truetape config check --config prod.toml\n\n"
      "Exit status:\n"
      "  0  written\n"
      "  1  the file exists, or cannot be written");
  const auto file = std::make_shared<std::string>("truetape.toml");
  init->add_option("FILE", *file, "Where to write; \"-\" is standard output")->capture_default_str();
  init->callback([file, &chosen] {
    chosen = [file] {
      const std::string text = commented_config();
      if (*file == "-") {
        std::fputs(text.c_str(), stdout);
        return static_cast<int>(kOk);
      }
      std::FILE* out = std::fopen(file->c_str(), "wbx");
      if (out == nullptr && errno == EEXIST) return fail(*file + " exists; name another file, or remove it first");
      if (out == nullptr) return fail(*file + " cannot be written: " + std::strerror(errno));
      const bool written = std::fputs(text.c_str(), out) >= 0;
      if (std::fclose(out) != 0 || !written) {
        const int error = errno;
        std::filesystem::remove(*file);
        return fail(*file + " cannot be written: " + std::strerror(error));
      }
      std::printf("%s: written. Next: truetape config check --config %s\n", file->c_str(), file->c_str());
      return static_cast<int>(kOk);
    };
  });
}

}  // namespace truetape::app
