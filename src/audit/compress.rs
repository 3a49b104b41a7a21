//! Closed segments as `.jsonl.zst`: how they are made, and a reader that takes both forms alike.
//!
//! The compressed file gets its name only when it was read back and is on disk, and the plain one goes only after that.
//! While both are there the plain one counts, so a crash at any point leaves a log that reads the same.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use super::segment::{Segment, list_segments, open_regular, sync_directory};

/// What a compressed segment has behind the name of the plain one.
pub(super) const COMPRESSED: &str = ".zst";
/// Good for text, and still faster than a log is written.
const LEVEL: i32 = 6;
/// What a file may make its reader keep: 8 MiB. [`LEVEL`] needs 2; a file that wants more was not made here.
const WINDOW_LOG_MAX: u32 = 23;
/// Bytes that are read at once.
pub(super) const BUFFER_LEN: usize = 256 * 1024;

/// The bytes of a segment's lines, whichever form it has.
pub(super) enum SegmentReader {
    Plain(BufReader<File>),
    Compressed(Box<BufReader<Decoder<'static, BufReader<File>>>>),
}

impl std::fmt::Debug for SegmentReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Compressed(_) => "Compressed",
        })
    }
}

impl SegmentReader {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if path.extension().is_some_and(|extension| extension == "zst") {
            return Self::open_compressed(path);
        }
        match open_regular(OpenOptions::new().read(true), path) {
            // It was compressed since the directory was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut compressed = path.as_os_str().to_owned();
                compressed.push(COMPRESSED);
                Self::open_compressed(Path::new(&compressed)).map_err(|_| error)
            }
            file => Ok(Self::Plain(BufReader::with_capacity(BUFFER_LEN, file?))),
        }
    }

    /// Goes to a position of a plain segment. False: it is compressed.
    pub(super) fn rewind_to(&mut self, position: u64) -> io::Result<bool> {
        match self {
            Self::Plain(reader) => reader.seek(SeekFrom::Start(position)).map(|_| true),
            Self::Compressed(_) => Ok(false),
        }
    }

    /// Which file it is, so that another one with the same name is noticed.
    pub(super) fn identity(&self) -> io::Result<(u64, u64)> {
        let metadata = match self {
            Self::Plain(reader) => reader.get_ref().metadata()?,
            Self::Compressed(reader) => reader.get_ref().get_ref().get_ref().metadata()?,
        };
        Ok((metadata.dev(), metadata.ino()))
    }

    fn open_compressed(path: &Path) -> io::Result<Self> {
        let file = open_regular(OpenOptions::new().read(true), path)?;
        let mut decoder = Decoder::new(file)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Ok(Self::Compressed(Box::new(BufReader::with_capacity(BUFFER_LEN, decoder))))
    }
}

impl Read for SegmentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Compressed(reader) => reader.read(buffer),
        }
    }
}

impl BufRead for SegmentReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Plain(reader) => reader.fill_buf(),
            Self::Compressed(reader) => reader.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match self {
            Self::Plain(reader) => reader.consume(amount),
            Self::Compressed(reader) => reader.consume(amount),
        }
    }
}

/// What came of a compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compressed {
    /// Segments that are compressed now and were not before.
    pub segments: u64,
    /// Their bytes before.
    pub before: u64,
    /// Their bytes now.
    pub after: u64,
}

/// Compresses every closed segment that is not yet: all but the last one and those that were given up.
///
/// # Errors
/// If the directory or a segment cannot be read, or a file cannot be written. What is there then reads as before.
pub fn compress_closed(directory: &Path) -> io::Result<Compressed> {
    let segments = list_segments(directory)?;
    let mut done = Compressed::default();
    for pair in segments.windows(2) {
        // What shares its first seq with the next one is not whole without it.
        let [segment, next] = pair else { continue };
        if !segment.is_suspect() && !segment.is_compressed() && segment.first < next.first {
            let (before, after) = write_compressed(directory, &segment.name)?;
            done.segments += 1;
            done.before += before;
            done.after += after;
        }
    }
    Ok(done)
}

/// Compresses one closed segment. The last segment of a log (it may be open) and one that was given up are refused.
///
/// # Errors
/// If it is not such a segment, or a file cannot be read or written. What is there then reads as before.
pub fn compress(directory: &Path, name: &str) -> io::Result<Compressed> {
    let segments = list_segments(directory)?;
    let is_closed = |segment: &Segment| !segment.is_suspect() && !segment.is_compressed();
    let at = segments.iter().position(|segment| segment.name == name && is_closed(segment));
    if at.is_none_or(|at| at + 1 == segments.len()) {
        let problem = format!("`{name}` is not a closed, plain segment of the log in `{}`", directory.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let (before, after) = write_compressed(directory, name)?;
    Ok(Compressed { segments: 1, before, after })
}

fn write_compressed(directory: &Path, name: &str) -> io::Result<(u64, u64)> {
    let plain = directory.join(name);
    let compressed = directory.join(format!("{name}{COMPRESSED}"));
    let temporary = directory.join(format!("{name}{COMPRESSED}.tmp"));
    // A crash may have left it.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let lengths = write_checked(&plain, &temporary).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    fs::rename(&temporary, &compressed)?;
    sync_directory(directory)?;
    fs::remove_file(&plain)?;
    sync_directory(directory)?;
    Ok(lengths)
}

/// Writes the compressed form, makes it durable, and reads it back.
fn write_checked(plain: &Path, temporary: &Path) -> io::Result<(u64, u64)> {
    let mut source = File::open(plain)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    let mut encoder = Encoder::new(file, LEVEL)?;
    encoder.include_checksum(true)?;
    let before = io::copy(&mut source, &mut encoder)?;
    let file = encoder.finish()?;
    file.sync_all()?;
    let mut read_back = Decoder::new(File::open(temporary)?)?;
    read_back.window_log_max(WINDOW_LOG_MAX)?;
    if !are_same(BufReader::with_capacity(BUFFER_LEN, read_back), BufReader::new(File::open(plain)?))? {
        return Err(io::Error::other(format!("`{}` does not read as it was written", temporary.display())));
    }
    Ok((before, file.metadata()?.len()))
}

fn are_same(mut one: impl BufRead, mut other: impl BufRead) -> io::Result<bool> {
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let len = left.len().min(right.len());
        if len == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        if left.get(..len) != right.get(..len) {
            return Ok(false);
        }
        one.consume(len);
        other.consume(len);
    }
}
