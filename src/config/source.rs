//! Reading the file: how large it may be, and what may not stand in it before anybody asks whether it is YAML.

use std::io::Read as _;
use std::path::Path;

use super::diagnostic::Diagnostics;
use super::fields::Problems;
use super::hidden::{Hidden, is_direction};
use crate::policy::spec::Position;

/// The largest file that is read.
const FILE_LEN_MAX: u64 = 8 * 1_024 * 1_024;
/// Of a file that is no text, this many wrong characters are told.
const STRAY_MAX: usize = 10;

/// A policy file's text.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) text: String,
    /// `sha256:…` of the bytes.
    pub(super) digest: String,
}

impl Source {
    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read, is too large, or is not text.
    pub(super) fn read(path: &Path) -> Result<Self, Diagnostics> {
        let bytes = read_file(path, FILE_LEN_MAX).map_err(|why| Diagnostics::of_file(path, why))?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        let digest = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = before.filter(|byte| **byte == b'\n').count() + 1;
            Diagnostics::of_file(path, format!("line {line} is not UTF-8; save the file as UTF-8"))
        })?;
        let mut problems = Problems::default();
        check_characters(&text, &mut problems);
        if problems.errors.is_empty() {
            return Ok(Self { text, digest: format!("sha256:{digest}") });
        }
        Err(problems.into_diagnostics(path, &text, &Hidden::in_broken(&text)).0)
    }
}

/// Reads a file of limited size. What is no regular file is not even opened: a FIFO would wait for its writer, and a device
/// has no end.
///
/// # Errors
/// Why not, in words that go behind the path.
pub(super) fn read_file(path: &Path, len_max: u64) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("is no regular file".to_owned());
    }
    // One more, in which nothing is read: that is the end.
    let len = usize::try_from(metadata.len().min(len_max)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(len + 1);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(len_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > len_max {
        return Err(format!("is larger than {len_max} bytes"));
    }
    Ok(bytes)
}

/// Control characters (a lone CR is a line end to YAML and to nobody else), byte order marks, and characters that make a
/// policy read differently from what it says.
fn check_characters(text: &str, problems: &mut Problems) {
    let mut at = Position { line: 1, column: 0 };
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        at.column = at.column.saturating_add(1);
        let what = match character {
            '\n' => {
                at = Position { line: at.line.saturating_add(1), column: 0 };
                continue;
            }
            '\t' => continue,
            '\r' if characters.peek() == Some(&'\n') => continue,
            '\u{FEFF}' => "a byte order mark",
            character if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => {
                "a control character"
            }
            character if is_direction(character) => "a character that turns text round",
            _ => continue,
        };
        let code = u32::from(character);
        let help = match character {
            '\u{FEFF}' => "save the file as UTF-8 without a byte order mark",
            _ => "delete it; it cannot be seen, so look for the place by line and column",
        };
        problems.error(at, format!("{what} (U+{code:04X})"), Some(help.to_owned()));
        if problems.errors.len() >= STRAY_MAX {
            return;
        }
    }
}
