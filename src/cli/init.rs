//! `amiwall init`.

use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: &Args) -> Result<Exit, Failure> {
    Err(Failure::incomplete("not there yet"))
}
