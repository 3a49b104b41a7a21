//! [`Index`]: where in a log the records of calls stand, by number and by id. A cache: it can be thrown away at any time.
//!
//! An answer never comes from it. It only says where to look; what stands there is read from the log, with its hash.
//! What it may have lost is noticed so: beside the places of a key stands how many there are; if a key is not there at all,
//! the caller reads the whole log before he says "nobody". It belongs to one log: it keeps seq and hash of the last
//! record that it has seen, and is made anew when the log does not have that record any more.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::calls::{is_call, is_sign};
use super::filter::{is_id, member};
use super::find::Progress;
use super::number::{each_number, is_caller_id};
use crate::audit::{LoggedHeader, LoggedValue, Place, RawRecord, Trail, VerifyError};

/// Says in the file's head whose it is: `amiw`.
const APPLICATION_ID: u32 = 0x616d_6977;
/// Another number when the tables or the keys change.
const VERSION: i64 = 1;
/// Rows that are kept in memory until they are written, and committed: 32 MB.
const ROWS_MAX: usize = 1_000_000;
/// Records between two reports of progress.
const REPORT_EVERY: u64 = 1 << 12;
/// Calls whose answer is waited for. More are only where answers are not in the log.
const PENDING_MAX: usize = 100_000;

const TABLES: &str = "
    CREATE TABLE entry (key INTEGER NOT NULL, seq INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL,
        PRIMARY KEY (key, seq)) WITHOUT ROWID;
    CREATE TABLE state (version INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL, pending TEXT NOT NULL);";

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The log.
    #[error(transparent)]
    Log(#[from] VerifyError),
    /// A file cannot be read or made.
    #[error("cannot use `{}`: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// The file is something else.
    #[error("`{}` is not an index of amiwall; name another file", .0.display())]
    NotAnIndex(PathBuf),
    /// Whoever can write it can hide calls.
    #[error("`{}` can be written by others, who could hide calls in it: `chmod go-w` it, or name another file", .0.display())]
    Writable(PathBuf),
    /// `SQLite` cannot go on with it.
    #[error("the index does not work: {0}")]
    Sql(#[from] rusqlite::Error),
    /// What it says is not so.
    #[error("the index does not fit the log: {0}")]
    Wrong(String),
}

/// What came of bringing an index up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was right, and so many records were added.
    Extended(u64),
    /// It was made anew, for that reason.
    Rebuilt(String),
}

/// Where records of calls stand.
#[derive(Debug)]
pub struct Index {
    database: Connection,
    /// None for one that nobody keeps.
    path: Option<PathBuf>,
}

impl Index {
    /// An index for one question, of what the trail has.
    ///
    /// # Errors
    /// If the log is broken or cannot be read.
    pub fn temporary(trail: &mut Trail, progress: Progress<'_>) -> Result<Self, IndexError> {
        // SQLite makes a file that has no name and goes with the connection.
        let mut index = Self::of(Connection::open("")?, None)?;
        index.prepare()?;
        index.read(trail, Pass::default(), progress)?;
        Ok(index)
    }

    /// Opens the index in a file, or begins one, and brings it up to date with the log.
    ///
    /// # Errors
    /// If the file is something else or can be written by others, or the log is broken or cannot be read.
    pub fn open(path: &Path, directory: &Path, progress: Progress<'_>) -> Result<(Self, Kept), IndexError> {
        let is_new = make_file(path)?;
        let kept = Self::open_file(path).and_then(|mut index| {
            if is_new {
                index.prepare()?;
            }
            let added = index.extend(directory, &mut *progress)?;
            Ok((index, Kept::Extended(added)))
        });
        match kept {
            Err(IndexError::Wrong(why)) => Self::rebuild(path, directory, why, progress),
            Err(IndexError::Sql(error)) => Self::rebuild(path, directory, error.to_string(), progress),
            kept => kept,
        }
    }

    /// Throws the index in a file away and makes it anew.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn rebuild(
        path: &Path,
        directory: &Path,
        why: String,
        progress: Progress<'_>,
    ) -> Result<(Self, Kept), IndexError> {
        let failed = |error| IndexError::Io { path: path.to_owned(), error };
        make_file(path)?;
        std::fs::remove_file(path).map_err(failed)?;
        let mut journal = path.as_os_str().to_owned();
        journal.push("-journal");
        // What SQLite would take for the rest of a transaction of the new file.
        match std::fs::remove_file(PathBuf::from(journal)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        make_file(path)?;
        let mut index = Self::open_file(path)?;
        index.prepare()?;
        index.extend(directory, progress)?;
        Ok((index, Kept::Rebuilt(why)))
    }

    /// The file, if the index is kept in one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    fn open_file(path: &Path) -> Result<Self, IndexError> {
        Self::of(Connection::open(path)?, Some(path.to_owned()))
    }

    fn of(database: Connection, path: Option<PathBuf>) -> Result<Self, IndexError> {
        // 64 MiB.
        database.pragma_update(None, "cache_size", -65_536)?;
        Ok(Self { database, path })
    }

    fn prepare(&self) -> Result<(), IndexError> {
        self.database.pragma_update(None, "application_id", APPLICATION_ID)?;
        self.database.execute_batch(TABLES)?;
        Ok(())
    }

    /// Reads what was written since.
    fn extend(&mut self, directory: &Path, progress: Progress<'_>) -> Result<u64, IndexError> {
        let state = self.database.query_row("SELECT version, seq, hash, pending FROM state", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?, row.get::<_, String>(3)?))
        });
        let trail = Trail::open(directory)?;
        let Some((version, seq, hash, pending)) = state.optional()? else {
            return self.read(&mut { trail }, Pass::default(), progress);
        };
        let seq = u64::try_from(seq).unwrap_or_default();
        if version != VERSION {
            return Err(IndexError::Wrong("another version of amiwall made it".to_owned()));
        }
        let pending: VecDeque<String> = pending.lines().map(str::to_owned).collect();
        let waiting = pending.iter().cloned().collect();
        self.read(&mut trail.from_seq(seq), Pass { last: Some((seq, hash)), pending, waiting }, progress)
    }

    fn read(&mut self, trail: &mut Trail, mut pass: Pass, progress: Progress<'_>) -> Result<u64, IndexError> {
        let known = pass.last.take();
        let mut is_known_seen = known.is_none();
        let (mut added, mut last) = (0_u64, None);
        let mut rows: Vec<Row> = Vec::new();
        let mut transaction = self.database.unchecked_transaction()?;
        while let Some(raw) = trail.next_record()? {
            if let Some((seq, hash)) = &known
                && raw.seq <= *seq
            {
                if raw.seq == *seq && raw.hash[..] != hash[..] {
                    return Err(IndexError::Wrong(format!("record {seq} of the log is another one now")));
                }
                is_known_seen |= raw.seq == *seq;
                continue;
            }
            if !is_known_seen {
                break;
            }
            let Some(keys) = pass.keys(&raw) else { return Err(trail.malformed().into()) };
            rows.extend(keys.into_iter().map(|key| (key, raw.seq, raw.place)));
            last = Some((raw.seq, raw.hash));
            added += 1;
            if added.is_multiple_of(REPORT_EVERY) {
                let (done, all) = trail.progress();
                progress(done, all);
            }
            if rows.len() >= ROWS_MAX {
                insert(&transaction, &mut rows)?;
                pass.save(&transaction, last)?;
                transaction.commit()?;
                transaction = self.database.unchecked_transaction()?;
            }
        }
        if !is_known_seen {
            return Err(IndexError::Wrong("the log does not have the last record that was indexed".to_owned()));
        }
        insert(&transaction, &mut rows)?;
        pass.save(&transaction, last)?;
        transaction.commit()?;
        Ok(added)
    }

    /// Where the records of a key stand, in the order of the log.
    pub(super) fn places(&self, key: &Key<'_>) -> Result<Vec<(u64, Place)>, IndexError> {
        let mut statement =
            self.database.prepare("SELECT seq, segment, offset FROM entry WHERE key = ?1 ORDER BY seq")?;
        let read = |row: &rusqlite::Row<'_>| {
            let number = |column| row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or_default());
            Ok((number(0)?, Place { segment: number(1)?, offset: number(2)? }))
        };
        let mut places = statement.query_map([key.digest()], read)?.collect::<Result<VecDeque<_>, _>>()?;
        // The row of seq 0, which no record has, says how many there are.
        let count = places.pop_front().map_or(0, |(seq, place)| if seq == 0 { place.offset } else { u64::MAX });
        if count != u64::try_from(places.len()).unwrap_or_default() {
            return Err(IndexError::Wrong("entries are missing in it".to_owned()));
        }
        Ok(places.into())
    }
}

/// One row: key, seq, segment, offset.
type Row = (i64, u64, Place);

/// Adds rows in the order of the table, in which that is many times faster, and counts them.
fn insert(database: &Connection, rows: &mut Vec<Row>) -> Result<(), rusqlite::Error> {
    let mut entry = database.prepare("INSERT OR IGNORE INTO entry VALUES (?1, ?2, ?3, ?4)")?;
    let mut count = database
        .prepare("INSERT INTO entry VALUES (?1, 0, 0, ?2) ON CONFLICT (key, seq) DO UPDATE SET offset = offset + ?2")?;
    rows.sort_unstable();
    for of_key in rows.chunk_by(|one, other| one.0 == other.0) {
        let (mut key, mut added) = (0, 0);
        for (own, seq, place) in of_key {
            key = *own;
            added += entry.execute(params![key, signed(*seq), signed(place.segment), signed(place.offset)])?;
        }
        count.execute(params![key, i64::try_from(added).unwrap_or(i64::MAX)])?;
    }
    rows.clear();
    Ok(())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What a record is found by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key<'k> {
    /// The `id` that joins an action and its answers.
    Action(&'k str),
    /// A channel's `Uniqueid`, `Linkedid` or `ChannelId`.
    Channel(&'k [u8]),
    /// A number that was dialled.
    Number(&'k [u8]),
}

impl Key<'_> {
    /// As in the table. That two keys are alike there costs a look at the log, no more.
    fn digest(&self) -> i64 {
        let (kind, text) = match self {
            Self::Action(id) => (b'a', id.as_bytes()),
            Self::Channel(id) => (b'c', *id),
            Self::Number(digits) => (b'n', *digits),
        };
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&[kind]);
        context.update(&text.to_ascii_lowercase());
        let digest = context.finish();
        digest.as_ref().first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
    }
}

/// What is known on the way along a log.
#[derive(Debug, Default)]
struct Pass {
    /// Seq and hash of the last record that is in the index.
    last: Option<(u64, Vec<u8>)>,
    /// Ids of calls without an answer yet, oldest first; and the same to be asked.
    pending: VecDeque<String>,
    waiting: HashSet<String>,
}

impl Pass {
    /// What the record is to be found by. None: it is no record.
    fn keys(&mut self, raw: &RawRecord<'_>) -> Option<BTreeSet<i64>> {
        let named = || member(raw.text, "name").and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        match raw.kind {
            b"action" if is_call(named()) => {
                let record: Brief = serde_json::from_slice(raw.text).ok()?;
                if !record.id.is_empty() && self.waiting.insert(record.id.clone()) {
                    self.pending.push_back(record.id.clone());
                    if self.pending.len() > PENDING_MAX
                        && let Some(oldest) = self.pending.pop_front()
                    {
                        self.waiting.remove(&oldest);
                    }
                }
                Some(keys_of(&record))
            }
            b"event" if is_sign(named()) => serde_json::from_slice(raw.text).ok().map(|record| keys_of(&record)),
            b"response" => {
                let id = member(raw.text, "id").and_then(|id| std::str::from_utf8(id).ok()).unwrap_or_default();
                let is_answer = self.waiting.remove(id);
                Some(if is_answer { BTreeSet::from([Key::Action(id).digest()]) } else { BTreeSet::new() })
            }
            b"start" => {
                self.pending.clear();
                self.waiting.clear();
                Some(BTreeSet::new())
            }
            _ => Some(BTreeSet::new()),
        }
    }

    fn save(&self, database: &Connection, last: Option<(u64, [u8; 64])>) -> Result<(), rusqlite::Error> {
        let Some((seq, hash)) = last else { return Ok(()) };
        let pending: Vec<&str> =
            self.pending.iter().filter(|id| self.waiting.contains(*id)).map(String::as_str).collect();
        database.execute("DELETE FROM state", [])?;
        let row = params![VERSION, signed(seq), &hash[..], pending.join("\n")];
        database.execute("INSERT INTO state VALUES (?1, ?2, ?3, ?4)", row)?;
        Ok(())
    }
}

/// The members of a record that keys are made of.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Brief {
    kind: String,
    id: String,
    headers: Vec<LoggedHeader>,
}

fn keys_of(record: &Brief) -> BTreeSet<i64> {
    let mut keys = BTreeSet::new();
    if !record.id.is_empty() {
        keys.insert(Key::Action(&record.id).digest());
    }
    for header in &record.headers {
        let LoggedValue::Bytes(value) = &header.value else { continue };
        if is_id(&header.name) && !value.is_empty() {
            keys.insert(Key::Channel(value).digest());
        }
        // Whom a call seems to come from was not called.
        if record.kind == "action" && !is_caller_id(&header.name) {
            each_number(&header.name, value, |number| {
                keys.insert(Key::Number(number).digest());
            });
        }
    }
    keys
}

/// Makes the file, or makes sure that it is an index. True: it is new.
fn make_file(path: &Path) -> Result<bool, IndexError> {
    let failed = |error| IndexError::Io { path: path.to_owned(), error };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => return Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let owner = rustix::process::geteuid();
    if metadata.mode() & 0o022 != 0 || ![owner.as_raw(), 0].contains(&metadata.uid()) {
        return Err(IndexError::Writable(path.to_owned()));
    }
    let mut head = [0; 72];
    if metadata.len() == 0 {
        return Ok(true);
    }
    let is_index = file.read_exact(&mut head).is_ok()
        && head.starts_with(b"SQLite format 3\0")
        && head.last_chunk() == Some(&APPLICATION_ID.to_be_bytes());
    if is_index { Ok(false) } else { Err(IndexError::NotAnIndex(path.to_owned())) }
}
