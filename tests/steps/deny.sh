#!/usr/bin/env bash
# deny.sh: the dependencies are of allowed licences and sources, and none is banned (deny.toml). The advisories are
# left out here: they need the network, and change without a change of ours.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$repo"
PATH=$PATH:$AMIWALL_TEST_CACHE/cargo/bin
if ! command -v cargo-deny >/dev/null; then
  say "installing cargo-deny into the cache"
  timeout 1800 cargo install --locked --quiet --root "$AMIWALL_TEST_CACHE/cargo" cargo-deny ||
    { say "cargo-deny cannot be installed"; exit 3; }
fi
exec cargo deny --locked check bans licenses sources
