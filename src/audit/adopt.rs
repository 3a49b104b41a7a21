//! Whether the end of a log may be signed. A key vouches for all that stands before its signature: so a start that found a
//! log which somebody else had written, and signed on behind it, would make a forgery good.

use std::path::Path;

use super::chain::BadRecord;
use super::read::Walk;
use super::signing::VerifyingKey;
use super::verify::{Evidence, VerifyError, Witness};

/// A signature stands in one of the last so many segments, or there is none: each segment ends with one.
const SEGMENTS_MAX: usize = 3;

/// Says what is wrong with the end of a log, if it may not be signed with this key.
pub(super) fn doubt(directory: &Path, key: &VerifyingKey) -> Result<Option<BadRecord>, VerifyError> {
    let evidence = Evidence { keys: vec![key.clone()], ..Evidence::default() };
    let mut doubt = None;
    for back in 1..=SEGMENTS_MAX {
        let Some(mut walk) = Walk::begin_back(directory, back)? else { break };
        let mut witness = Witness::new(&evidence);
        // What stands before a good signature is vouched for by it, whoever had signed there before.
        let mut seen = Ok(());
        while let Some(step) = walk.next()? {
            let before = witness.signatures();
            match witness.see(&step, None) {
                Ok(()) if witness.signatures() > before => seen = Ok(()),
                Ok(()) => {}
                Err(problem) => seen = Err(problem),
            }
        }
        if walk.head.seq == 0 {
            // A log without a record says nothing.
            return Ok(None);
        }
        doubt = seen.and_then(|()| witness.end(&walk.head)).err();
        if witness.signatures() > 0 || doubt.is_none() {
            return Ok(doubt);
        }
    }
    Ok(doubt)
}
