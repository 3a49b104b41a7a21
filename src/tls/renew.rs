//! Certificates of the authority that `amiwall certs` made, issued anew before they end: the same names, another key.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rcgen::ExtendedKeyUsagePurpose;
use tempfile::NamedTempFile;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::authority::Authority;
use super::issue::{leaf, names_in};
use super::{TlsError, certificates, now};

/// What came of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// Its file; the key's is beside it.
    pub certificate: PathBuf,
    /// The names in it.
    pub names: Vec<String>,
    /// When the one that was there ends, in seconds since 1970.
    pub old_end: i64,
    /// When the new one ends; none if the old one has more than a third of its life left, and stays.
    pub new_end: Option<i64>,
}

/// Issues the server's certificate in the folder of an authority anew, and with `clients` each client's that is there with
/// its key, as far as they have a third of their life left or less, or all with `is_forced`.
///
/// # Errors
/// If there is no authority or no server certificate of it, one cannot be read, or writing fails. What was renewed before
/// that stays so; of each certificate there are always one and its key, whole.
pub fn renew(folder: &Path, clients: bool, is_forced: bool) -> Result<Vec<Renewed>, TlsError> {
    let authority = Authority::of(folder)?;
    let mut stems = vec![("server".to_owned(), ExtendedKeyUsagePurpose::ServerAuth)];
    if clients {
        let found = client_stems(folder)?;
        stems.extend(found.into_iter().map(|stem| (stem, ExtendedKeyUsagePurpose::ClientAuth)));
    }
    stems.into_iter().map(|(stem, purpose)| renew_one(folder, &authority, (&stem, purpose), is_forced)).collect()
}

fn renew_one(
    folder: &Path,
    authority: &Authority,
    (stem, purpose): (&str, ExtendedKeyUsagePurpose),
    is_forced: bool,
) -> Result<Renewed, TlsError> {
    let path = folder.join(format!("{stem}.crt"));
    let unusable = |why: String| TlsError::Pem { path: path.clone(), why };
    let chain = certificates(&path)?;
    let old = chain.first().ok_or_else(|| unusable("holds no certificate".to_owned()))?;
    let (_, old) = X509Certificate::from_der(old).map_err(|error| unusable(error.to_string()))?;
    if !authority.has_issued(&old) {
        return Err(unusable(
            "was not issued by the authority in this folder; renew it where it was issued".to_owned(),
        ));
    }
    let (begin, old_end) = (old.validity().not_before.timestamp(), old.validity().not_after.timestamp());
    let names = names_in(&path)?;
    let mut renewed = Renewed { certificate: path.clone(), names: names.clone(), old_end, new_end: None };
    if !is_forced && old_end - now() > (old_end - begin) / 3 {
        return Ok(renewed);
    }
    let common_name = old.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or("amiwall");
    let files = leaf(&authority.issuer, stem, (names, common_name, purpose));
    let files = files.map_err(|error: rcgen::Error| TlsError::Issue(error.to_string()))?;
    replace_all(folder, &files)?;
    let chain = certificates(&path)?;
    let new = chain.first().and_then(|new| X509Certificate::from_der(new).ok());
    renewed.new_end = new.map(|(_, new)| new.validity().not_after.timestamp());
    Ok(renewed)
}

/// The widest mode of a key.
const KEY_MODE_MAX: u32 = 0o640;

/// Both are whole on disk before the first takes its place. Each keeps its owner and its mode: amiwall may not be who renews.
/// What a link points to is no part of the folder: its mode says nothing of the file that takes the link's place.
fn replace_all(folder: &Path, files: &[(String, String, u32)]) -> Result<(), TlsError> {
    let staged = files.iter().map(|(name, text, mode)| {
        let path = folder.join(name);
        stage(folder, &path, (text, *mode)).map_err(|source| TlsError::Write { path: path.clone(), source })
    });
    let staged: Vec<(PathBuf, NamedTempFile)> = staged.collect::<Result<_, _>>()?;
    for (path, file) in staged {
        file.persist(&path).map_err(|error| TlsError::Write { path, source: error.error })?;
    }
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| TlsError::Write { path: folder.to_owned(), source })
}

fn stage(folder: &Path, path: &Path, (text, mode): (&str, u32)) -> std::io::Result<(PathBuf, NamedTempFile)> {
    use std::io::Write as _;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    let mut mode = mode;
    if let Ok(old) = std::fs::symlink_metadata(path) {
        if old.is_file() {
            let max = if path.extension().is_some_and(|extension| extension == "key") { KEY_MODE_MAX } else { 0o777 };
            mode = old.mode() & max;
        }
        let own = file.as_file().metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            fchown(file.as_file(), Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    Ok((path.to_owned(), file))
}

/// `client` and each `client-NAME` of which certificate and key are there.
fn client_stems(folder: &Path) -> Result<Vec<String>, TlsError> {
    let failed = |source| TlsError::Write { path: folder.to_owned(), source };
    let mut stems = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".crt")) else { continue };
        let is_client = stem == "client" || stem.starts_with("client-");
        if is_client && folder.join(format!("{stem}.key")).exists() {
            stems.push(stem.to_owned());
        }
    }
    stems.sort();
    Ok(stems)
}
