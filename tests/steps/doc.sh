#!/usr/bin/env bash
# doc.sh: the API documentation builds without a warning.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$repo"
RUSTDOCFLAGS="-D warnings" exec cargo doc --locked --no-deps --document-private-items
