#!/usr/bin/env bash
# pages.sh: the commands of the pages by question go as shown, with their answers; those that connect need openssl.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$repo"
exec cargo test --locked --all-features --test pages --test getting_started -- --include-ignored
