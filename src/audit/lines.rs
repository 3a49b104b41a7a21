//! [`Lines`]: a segment line by line, in bounded memory, with the position of each line.

use std::io::{self, BufRead};

use super::compress::SegmentReader;

/// The longest line that is read. A packet has at most 16 MiB, and JSON makes six bytes of some.
const LINE_LEN_MAX: usize = 128 * 1024 * 1024;

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The file is over. NULs behind the last line are its end too.
    End,
    /// The file ends inside a line.
    Torn,
    /// A whole line.
    Whole,
}

/// Reads lines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    /// Where the line begins, and where the next one does.
    pub(super) start: u64,
    pub(super) next: u64,
    /// The number of the line, from 1.
    pub(super) number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), start: 0, next: 0, number: 0 }
    }

    /// The line without its newline.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Goes forward to a position, which has to be the beginning of a line and not behind. Numbers of lines are lost.
    pub(super) fn skip_to(&mut self, start: u64) -> io::Result<()> {
        while self.next < start {
            let chunk = self.reader.fill_buf()?.len();
            if chunk == 0 {
                return Ok(());
            }
            let consumed = chunk.min(usize::try_from(start - self.next).unwrap_or(usize::MAX));
            self.reader.consume(consumed);
            self.next += u64::try_from(consumed).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads the next line.
    pub(super) fn read(&mut self) -> io::Result<Line> {
        self.line.clear();
        self.start = self.next;
        self.number += 1;
        let mut is_all_nul = true;
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                let is_over = self.start == self.next || is_all_nul;
                return Ok(if is_over { Line::End } else { Line::Torn });
            }
            let newline = memchr::memchr(b'\n', chunk);
            let taken = newline.unwrap_or(chunk.len());
            let text = chunk.get(..taken).unwrap_or_default();
            is_all_nul &= newline.is_none() && text.iter().all(|b| *b == 0);
            // Preallocated space, or not a record at all: nothing of it has to be kept.
            if !is_all_nul && self.line.len() < LINE_LEN_MAX {
                if self.line.is_empty() && self.next > self.start {
                    self.line.push(0);
                }
                self.line.extend_from_slice(text);
            }
            let consumed = taken + usize::from(newline.is_some());
            self.reader.consume(consumed);
            self.next += u64::try_from(consumed).unwrap_or_default();
            if newline.is_some() {
                return Ok(Line::Whole);
            }
        }
    }
}

impl Lines<SegmentReader> {
    /// Goes back to the beginning of the line that was read last, so that the next read sees what was written since.
    /// What is compressed does not grow.
    pub(super) fn retry(&mut self) -> io::Result<()> {
        if self.reader.rewind_to(self.start)? {
            self.next = self.start;
            self.number = self.number.saturating_sub(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(text: &[u8], buffer: usize) -> Vec<(Line, Vec<u8>, u64, u64)> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, text));
        let mut found = Vec::new();
        loop {
            let line = lines.read().expect("read");
            found.push((line, lines.line().to_vec(), lines.start, lines.next));
            if line != Line::Whole {
                return found;
            }
        }
    }

    #[test]
    fn lines_have_positions_and_nuls_are_the_end() {
        for buffer in 1..8 {
            let whole = [(Line::Whole, b"ab".to_vec(), 0, 3), (Line::Whole, vec![], 3, 4)];
            assert_eq!(lines(b"ab\n\n", buffer)[..2], whole);
            assert_eq!(lines(b"ab\n\n", buffer)[2].0, Line::End);
            assert_eq!(lines(b"ab\n\n\0\0\0", buffer)[2].0, Line::End);
            assert_eq!(lines(b"ab\n\ncd", buffer)[2], (Line::Torn, b"cd".to_vec(), 4, 6));
            assert_eq!(lines(b"ab\n\ncd\0\0", buffer)[2].0, Line::Torn);
            let hole = lines(b"\0\0\0{}\n", buffer);
            assert!(hole[0].0 == Line::Whole && hole[0].1.starts_with(b"\0"), "{hole:?}");
        }
    }
}
