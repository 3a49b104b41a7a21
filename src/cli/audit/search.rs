//! `amiwall audit search`: records by what they hold.

use std::io::{BufWriter, IsTerminal as _};
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::super::{Exit, Failure};
use super::filters::Filters;
use super::output::{Printer, RecordFormat, end, width};
use super::progress::Bar;
use crate::audit::{Trail, VerifyError};
use crate::search::{Filter, search};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory of the log (`audit.directory` of the policy).
    dir: PathBuf,
    #[command(flatten)]
    filters: Filters,
    /// No more than the first N.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// How to print them.
    #[arg(long, value_enum, default_value_t)]
    format: RecordFormat,
    /// Do not check the chain on the way: faster, and for logs that are known to be whole.
    #[arg(long)]
    unverified: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let (mut found, mut bar) = (0, Bar::new());
    let outcome = run_in(args, &mut found, &mut bar);
    bar.end();
    end(found, outcome)
}

fn run_in(args: &Args, found: &mut u64, bar: &mut Bar) -> Result<(), VerifyError> {
    let (query, span) = args.filters.query(jiff::Timestamp::now());
    let trail = Trail::open(&args.dir)?.within(span.wide_since.as_deref(), span.wide_until.as_deref())?;
    let mut trail = if args.unverified { trail.unchecked() } else { trail };
    let stdout = std::io::stdout();
    // Somebody who looks on sees each record at once; a program gets them in blocks.
    let is_watched = stdout.is_terminal();
    let mut printer = Printer::new(BufWriter::new(stdout.lock()), args.format, width());
    let bar = std::cell::RefCell::new(bar);
    search(&mut trail, &mut Filter::new(query), &mut |done, all| bar.borrow_mut().update(done, all), |record| {
        *found += 1;
        bar.borrow().aside(|| {
            printer.print(&record)?;
            if is_watched { printer.flush() } else { ControlFlow::Continue(()) }
        })?;
        if Some(*found) == args.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .map(|_| ())
}
