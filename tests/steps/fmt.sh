#!/usr/bin/env bash
# fmt.sh: cargo fmt --all -- --check
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$repo"
exec cargo fmt --all -- --check
