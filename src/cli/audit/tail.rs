//! `amiwall audit tail`: the last records, and the ones that come.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use super::super::{Exit, Failure};
use super::filters::Filters;
use super::output::{Printer, RecordFormat, end, width};
use crate::audit::{Follow, VerifyError};
use crate::search::{Filter, Found, last};

/// How often the directory is looked at.
const POLL_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory of the log (`audit.directory` of the policy).
    dir: PathBuf,
    /// How many of the last records.
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    count: usize,
    /// Go on with every new record, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    filters: Filters,
    /// How to print them.
    #[arg(long, value_enum, default_value_t)]
    format: RecordFormat,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut filter = Filter::new(args.filters.query(jiff::Timestamp::now()).0);
    let (records, head) = match last(&args.dir, &mut filter, args.count) {
        Ok(found) => found,
        Err(error) => return end(0, Err(error)),
    };
    let mut printer = Printer::new(std::io::stdout().lock(), args.format, width());
    if records.iter().any(|record| printer.print(record).is_break()) {
        return Ok(Exit::Ok);
    }
    if !args.follow {
        return end(u64::try_from(records.len()).unwrap_or(u64::MAX), Ok(()));
    }
    let failed = |error| Failure::incomplete(format!("cannot wait: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let mut follow = Follow::behind(&args.dir, head);
    runtime.block_on(async {
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            match poll(&mut follow, &mut filter, &mut printer) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(Exit::Ok),
                Err(error) => return end(1, Err(error)),
            }
            tokio::select! {
                _ = &mut interrupt => return Ok(Exit::Ok),
                () = tokio::time::sleep(POLL_EVERY) => {}
            }
        }
    })
}

/// Prints what came since. Breaks if nobody reads it any more.
pub(super) fn poll<W: std::io::Write>(
    follow: &mut Follow,
    filter: &mut Filter,
    printer: &mut Printer<W>,
) -> Result<ControlFlow<()>, VerifyError> {
    let mut flow = ControlFlow::Continue(());
    follow.poll(|raw| {
        if let Some(record) = Found::of(filter, &raw).flatten()
            && flow.is_continue()
        {
            flow = printer.print(&record);
        }
    })?;
    Ok(if flow.is_continue() { printer.flush() } else { flow })
}
