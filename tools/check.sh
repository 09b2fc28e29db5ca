#!/usr/bin/env bash
# What `./dev check` looks at, all of it even when one part fails: format, clang-tidy, arrows, docs, the list of mutants.
# build/dev is built.
# usage: tools/check.sh [--all]    clang-tidy looks at changed files, with --all at every file
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
failed=()

sources() { git ls-files -co --exclude-standard 'src/*.cc' 'src/*.h' 'tests/*.cc' 'tests/*.h' 'bench/*.cc' 'bench/*.h'; }
# Changed: not yet committed, or committed since the upstream branch (without one: in the last commit).
changed() {
  local base
  base=$(git merge-base HEAD '@{upstream}' 2>/dev/null || git rev-parse HEAD~1 2>/dev/null || git rev-parse HEAD)
  { git diff --name-only --diff-filter=d "$base"; git ls-files -o --exclude-standard; } | sort -u
}

echo "== format"
if sources | xargs -r clang-format --dry-run -Werror; then echo "format: as .clang-format says"; else failed+=("format (./dev fmt mends it)"); fi

echo "== clang-tidy"
if [[ ${1:-} == --all ]]; then files=$(sources); else files=$(comm -12 <(sources | sort) <(changed)); fi
# Only what the build compiles; a header is looked at through the .cc files that include it.
files=$(grep '\.cc$' <<<"$files" | while read -r file; do grep -qF "/$file\"" build/dev/compile_commands.json && echo "$file"; done)
if [[ -z $files ]]; then
  echo "tidy: no changed file"
elif xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p build/dev <<<"$files" 2> >(grep -v 'warnings generated' >&2); then
  echo "tidy: $(wc -l <<<"$files") files clean"
else
  failed+=("clang-tidy")
fi

echo "== arrows"
tools/check_arrows.py build/dev || failed+=("arrows")

echo "== docs"
tools/generate_docs.py --check build/dev/truetape || failed+=("docs")

echo "== mutants"
tools/mutants.py --check || failed+=("mutants (tests/model/mutants/list.toml must follow the sources)")

if ((${#failed[@]})); then
  printf '\ncheck: failed: %s\n' "$(IFS=,; echo "${failed[*]}")"
  exit 1
fi
printf '\ncheck: all passed\n'
