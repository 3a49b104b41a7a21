#!/usr/bin/env bash
# doc.sh: the API documentation builds without a warning, and the package has every file that is compiled in.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$repo"
cargo package --locked --allow-dirty --no-verify --quiet
listed=$(cargo package --locked --allow-dirty --list)
for page in docs/*.md; do
  grep -qxF "$page" <<<"$listed" || { say "the package has no $page, which \`amiwall help\` may need"; exit 1; }
done
if grep -E '^(fuzz|\.ci|target|tests/\.cache)/' <<<"$listed"; then say "these have no business in the package"; exit 1; fi
RUSTDOCFLAGS="-D warnings" exec cargo doc --locked --no-deps --document-private-items
