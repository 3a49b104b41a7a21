//! Reading a configuration file as Asterisk does (config.c, `process_text_line`): sections with their templates, `=`, `=>`
//! and `+=`, included files. What makes Asterisk refuse the file as a whole is an error here too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ImportError;
use super::comments;
use super::glob;
use super::notes::{Notes, Place, shown};

/// `#include` in each other; Asterisk's limit.
const DEPTH_MAX: usize = 10;
/// All files together.
const FILES_MAX: usize = 500;
const LEN_MAX: u64 = 4 * 1_024 * 1_024;
/// Lines of all sections, those of templates counted in each section that has them.
const ENTRIES_MAX: usize = 50_000;
const SECTIONS_MAX: usize = 5_000;
/// Asterisk skips longer lines.
const LINE_LEN_MAX: usize = 8_190;

/// `name = value`. The value may be a secret: neither is ever printed as a whole.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) value: Vec<u8>,
}

impl Entry {
    /// The value as text, for what is no secret.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }

    /// Option names have no letter case.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// `[name]` and what stands below it.
pub(super) struct Section {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) is_template: bool,
    pub(super) entries: Vec<Entry>,
}

/// Reads a file and all that it includes. `folder` is where Asterisk would look for included files.
pub(super) fn read(path: &Path, notes: &mut Notes) -> Result<Vec<Section>, ImportError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
    let mut reader =
        Reader { folder, sections: Vec::new(), current: None, entry_count: 0, file_count: 0, len: 0, notes };
    let mut section = None;
    reader.file(path, 0, &mut section).map_err(|refusal| match refusal {
        Refusal::Unreadable(why) => ImportError(format!("{} {why}", path.display())),
        Refusal::At(error) => error,
    })?;
    Ok(reader.sections)
}

struct Reader<'n> {
    folder: PathBuf,
    sections: Vec<Section>,
    /// Where an included file begins: the section that was begun last.
    current: Option<usize>,
    entry_count: usize,
    file_count: usize,
    len: u64,
    notes: &'n mut Notes,
}

enum Refusal {
    /// The file itself; the words go behind its name.
    Unreadable(String),
    At(ImportError),
}

fn at(place: &Place, why: &str) -> Refusal {
    Refusal::At(ImportError(format!("{place}: {why}")))
}

/// For what Asterisk refuses.
fn refused(place: &Place, why: &str) -> Refusal {
    at(place, &format!("{why}. Asterisk refuses the whole file because of it, and nobody can log in"))
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, depth: usize, section: &mut Option<usize>) -> Result<(), Refusal> {
        self.file_count += 1;
        if self.file_count > FILES_MAX {
            return Err(Refusal::Unreadable(format!("is one of more than {FILES_MAX} files, which are not read")));
        }
        let bytes = contents(path, LEN_MAX.saturating_sub(self.len)).map_err(Refusal::Unreadable)?;
        self.len = self.len.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let file: Arc<str> = path.display().to_string().into();
        let (mut comment_depth, mut comment_line) = (0, 1);
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let place = Place { file: file.clone(), line: number + 1 };
            if line.len() > LINE_LEN_MAX {
                self.notes.lost(&place, "the line is longer than Asterisk reads; it skips it");
                continue;
            }
            if line.contains(&0) {
                return Err(at(&place, "a NUL byte: this is no text"));
            }
            if comment_depth == 0 {
                comment_line = place.line;
            }
            let code = comments::without(line, &mut comment_depth).map_err(|bad| at(&place, bad.text()))?;
            let code = strip(&code);
            match code.first() {
                None => {}
                Some(b'[') => self.header(code, &place, section)?,
                Some(b'#') => self.directive(code, &place, depth, section)?,
                Some(_) => self.variable(code, &place, *section)?,
            }
        }
        if comment_depth > 0 {
            let place = Place { file, line: comment_line };
            self.notes
                .look(&place, "`;--` begins a comment that never ends: all behind it is left out, by Asterisk too");
        }
        Ok(())
    }

    /// `[name]`, `[name](!)`, `[name](template,other)`, `[name](+)`.
    fn header(&mut self, code: &[u8], place: &Place, section: &mut Option<usize>) -> Result<(), Refusal> {
        let text = code.get(1..).unwrap_or_default();
        let end = text.iter().position(|byte| *byte == b']').ok_or_else(|| refused(place, "`]` is missing"))?;
        let (name, behind) = text.split_at(end);
        let name = String::from_utf8_lossy(name).into_owned();
        let mut new = Some(Section { name, place: place.clone(), is_template: false, entries: Vec::new() });
        let mut target = None;
        if let Some(options) = behind.strip_prefix(b"](") {
            let end = options.iter().position(|byte| *byte == b')');
            let end = end.ok_or_else(|| refused(place, "`)` is missing"))?;
            for option in options.split_at(end).0.split(|byte| *byte == b',') {
                let option = String::from_utf8_lossy(option);
                if option == "!" {
                    self.make_template(new.as_mut(), target);
                } else if let Some(filter) = option.strip_prefix('+') {
                    target = Some(self.add_to(&mut new, filter, target, place)?);
                } else {
                    self.inherit(&option, new.as_mut(), target, place)?;
                }
            }
        }
        let index = match (target, new) {
            (Some(index), _) => index,
            (None, new) => {
                self.sections.extend(new);
                self.sections.len() - 1
            }
        };
        if self.sections.len() > SECTIONS_MAX {
            return Err(at(place, &format!("more than {SECTIONS_MAX} sections; split the file")));
        }
        self.current = Some(index);
        *section = Some(index);
        Ok(())
    }

    fn make_template(&mut self, new: Option<&mut Section>, target: Option<usize>) {
        let own = target.and_then(|index| self.sections.get_mut(index));
        if let Some(section) = own.or(new) {
            section.is_template = true;
        }
    }

    /// `(+)`: the lines belong to the section of that name that there is.
    fn add_to(
        &mut self,
        new: &mut Option<Section>,
        filter: &str,
        target: Option<usize>,
        place: &Place,
    ) -> Result<usize, Refusal> {
        let wants_template = match filter {
            "" => |is_template: bool| !is_template,
            "TEMPLATES=include" => |_: bool| true,
            "TEMPLATES=restrict" => |is_template: bool| is_template,
            _ => return Err(at(place, "a filter behind `+` that amiwall does not know; write `(+)`")),
        };
        if let Some(index) = target {
            return Ok(index);
        }
        let Some(new) = new.take() else { return Err(at(place, "`+` without a section")) };
        let found = self.find(&new.name, wants_template);
        let Some(index) = found else {
            let why = format!("`(+)` adds to `[{}]`, which does not stand before it", shown(&new.name));
            return Err(refused(place, &why));
        };
        if let Some(section) = self.sections.get_mut(index) {
            section.is_template |= new.is_template;
            section.entries.extend(new.entries);
        }
        Ok(index)
    }

    fn inherit(
        &mut self,
        name: &str,
        new: Option<&mut Section>,
        target: Option<usize>,
        place: &Place,
    ) -> Result<(), Refusal> {
        let base = self.find(name, |_| true).and_then(|index| self.sections.get(index));
        let Some(base) = base else {
            let why = format!("there is no section or template `[{}]` before it", shown(name));
            return Err(refused(place, &why));
        };
        let entries = base.entries.clone();
        self.count(entries.len(), place)?;
        let own = target.and_then(|index| self.sections.get_mut(index));
        if let Some(section) = own.or(new) {
            section.entries.extend(entries);
        }
        Ok(())
    }

    /// The first section of that name; names of sections have no letter case.
    fn find(&self, name: &str, wants: impl Fn(bool) -> bool) -> Option<usize> {
        self.sections.iter().position(|section| section.name.eq_ignore_ascii_case(name) && wants(section.is_template))
    }

    fn count(&mut self, more: usize, place: &Place) -> Result<(), Refusal> {
        self.entry_count = self.entry_count.saturating_add(more);
        if self.entry_count > ENTRIES_MAX {
            return Err(at(place, &format!("more than {ENTRIES_MAX} lines in all sections; split the file")));
        }
        Ok(())
    }

    /// `#include`, `#tryinclude`, `#exec`.
    fn directive(&mut self, code: &[u8], place: &Place, depth: usize, section: &Option<usize>) -> Result<(), Refusal> {
        let end = code.iter().position(|byte| *byte <= b' ').unwrap_or(code.len());
        let (word, argument) = code.split_at(end);
        let word = String::from_utf8_lossy(word).to_ascii_lowercase();
        let argument = unquote(strip(argument));
        let is_optional = match word.as_str() {
            "#include" => false,
            "#tryinclude" => true,
            "#exec" => {
                self.notes.lost(place, "#exec is never run; what its program would print is not in the policy");
                return Ok(());
            }
            _ => {
                self.notes.lost(place, format!("`{}` is no directive; Asterisk ignores the line", shown(&word)));
                return Ok(());
            }
        };
        if argument.is_empty() {
            self.notes.lost(place, format!("`{word}` without a file; Asterisk ignores the line"));
            return Ok(());
        }
        if argument.contains(&b'{') {
            return Err(at(place, "braces in the name of an included file; write a line for each file"));
        }
        if depth + 1 >= DEPTH_MAX && !is_optional {
            return Err(refused(place, &format!("more than {DEPTH_MAX} files include each other")));
        }
        let pattern = std::ffi::OsStr::from_bytes(argument);
        let found =
            if depth + 1 >= DEPTH_MAX { Vec::new() } else { glob::files(&self.folder.join(pattern), FILES_MAX) };
        let name = shown(&String::from_utf8_lossy(argument));
        if found.is_empty() && !is_optional {
            let why = format!("no file `{name}` beside the main file; copy it there to have its accounts");
            return Err(refused(place, &why));
        }
        // The files share what section they are in, and the one that includes them keeps its own.
        let mut inner = self.current.or(*section);
        for path in found {
            self.file(&path, depth + 1, &mut inner).map_err(|refusal| match refusal {
                Refusal::Unreadable(why) => at(place, &format!("{} {why}", path.display())),
                Refusal::At(error) => Refusal::At(error),
            })?;
        }
        Ok(())
    }

    fn variable(&mut self, code: &[u8], place: &Place, section: Option<usize>) -> Result<(), Refusal> {
        let section = section.and_then(|index| self.sections.get_mut(index));
        let section = section.ok_or_else(|| refused(place, "a line before the first section"))?;
        let (code, first) = match code.strip_prefix(b"\\") {
            Some(code) => (code, 1),
            None => (code, 0),
        };
        let equals = code.iter().skip(first).position(|byte| *byte == b'=').map(|at| at + first);
        let Some(equals) = equals else {
            // What stands there may be a secret whose name was forgotten.
            self.notes.lost(place, "a line without `=`; Asterisk ignores it");
            return Ok(());
        };
        let (name, value) = code.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        let (name, value, appends) = match name.strip_suffix(b"+").filter(|_| equals > first) {
            Some(name) => (name, value, true),
            None => (name, value.strip_prefix(b">").unwrap_or(value), false),
        };
        let name = String::from_utf8_lossy(strip(name)).into_owned();
        if name.is_empty() {
            self.notes.lost(place, "a value without a name; Asterisk ignores it");
            return Ok(());
        }
        let before = section.entries.iter_mut().rev().find(|entry| appends && entry.name == name);
        if let Some(entry) = before {
            entry.value.extend_from_slice(value);
            entry.value = strip(&entry.value).to_vec();
            return Ok(());
        }
        section.entries.push(Entry { place: place.clone(), name, value: strip(value).to_vec() });
        self.count(1, place)
    }
}

use std::os::unix::ffi::OsStrExt as _;

/// `"file"`, `<file>` and `file` name the same one.
fn unquote(argument: &[u8]) -> &[u8] {
    match argument {
        [b'"', inner @ .., b'"'] | [b'<', inner @ .., b'>'] => inner,
        _ => argument,
    }
}

/// Asterisk takes every byte up to the blank for one.
fn strip(text: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| *byte > b' ';
    let from = text.iter().position(is_text).unwrap_or(text.len());
    let to = text.iter().rposition(is_text).map_or(from, |last| last + 1);
    text.get(from..to).unwrap_or_default()
}

fn contents(path: &Path, len_max: u64) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    // A FIFO would wait for its writer, and a device has no end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(len_max.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > len_max {
        return Err(format!("makes more than {LEN_MAX} bytes of configuration, which are not read"));
    }
    Ok(bytes)
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
