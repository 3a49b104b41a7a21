//! Where files are until all of them are there: a folder that is gone with this process, whatever ends it, and is given its
//! name at the end.

use std::fs::Permissions;
use std::future::poll_fn;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::task::Poll;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::super::Failure;

/// What ends a program that does not look at it.
const SIGNALS: [fn() -> SignalKind; 3] = [SignalKind::interrupt, SignalKind::terminate, SignalKind::hangup];

pub(super) struct Stage {
    target: PathBuf,
    folder: TempDir,
    /// Signals wait from here on, so that they find nothing half done.
    runtime: Runtime,
    signals: Vec<Signal>,
}

impl Stage {
    /// For a folder that may be there already.
    pub(super) fn new(target: &Path) -> Result<Self, Failure> {
        let beside = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        // In it, if it is there: it may be a file system of its own.
        let place = if target.is_dir() { target } else { beside.unwrap_or_else(|| Path::new(".")) };
        let failed =
            |error: std::io::Error| Failure::incomplete(format!("{} cannot be written to: {error}", place.display()));
        std::fs::create_dir_all(place).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let signals = {
            let _entered = runtime.enter();
            SIGNALS.into_iter().map(|kind| signal(kind())).collect::<Result<Vec<_>, _>>().map_err(failed)?
        };
        let private = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix(".amiwall-init-").permissions(private).tempdir_in(place);
        let folder = folder.map_err(failed)?;
        Ok(Self { target: target.to_owned(), folder, runtime, signals })
    }

    /// Where the files are meanwhile.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the files their place.
    pub(super) fn publish(mut self) -> Result<(), Failure> {
        if self.is_interrupted() {
            return Err(Failure::incomplete("interrupted; nothing was written"));
        }
        let failed = |error: std::io::Error| {
            Failure::incomplete(format!("{} cannot be written: {error}; nothing was written", self.target.display()))
        };
        if !self.target.exists() {
            return std::fs::rename(self.folder.path(), &self.target).map_err(failed);
        }
        let mut moved = Vec::new();
        let outcome = self.names().and_then(|names| {
            for name in names {
                let (from, to) = (self.folder.path().join(&name), self.target.join(&name));
                if std::fs::symlink_metadata(&to).is_ok() {
                    return Err(std::io::ErrorKind::AlreadyExists.into());
                }
                std::fs::rename(&from, &to)?;
                moved.push((from, to));
            }
            Ok(())
        });
        if outcome.is_err() {
            for (from, to) in moved {
                // Back to where it is removed.
                std::fs::rename(to, from).ok();
            }
        }
        outcome.map_err(failed)
    }

    /// The policy comes last: without it nothing runs.
    fn names(&self) -> std::io::Result<Vec<std::ffi::OsString>> {
        let names: Result<Vec<_>, _> =
            std::fs::read_dir(self.folder.path())?.map(|entry| entry.map(|entry| entry.file_name())).collect();
        let mut names = names?;
        names.sort_by_key(|name| name == "policy.yaml");
        Ok(names)
    }

    fn is_interrupted(&mut self) -> bool {
        let signals = &mut self.signals;
        self.runtime.block_on(async {
            // Once past the driver, which knows of them.
            tokio::task::yield_now().await;
            poll_fn(|cx| Poll::Ready(signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()))).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_what_was_not_finished() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("new");
        let stage = Stage::new(&target).expect("a stage");
        std::fs::write(stage.folder().join("policy.yaml"), "x").expect("written");
        drop(stage);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn what_came_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let stage = Stage::new(folder.path()).expect("a stage");
        std::fs::write(stage.folder().join("certs"), "mine").expect("written");
        std::fs::write(stage.folder().join("policy.yaml"), "mine").expect("written");
        std::fs::write(folder.path().join("policy.yaml"), "theirs").expect("written");
        stage.publish().expect_err("it is there");
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["policy.yaml"]);
        assert_eq!(std::fs::read_to_string(folder.path().join("policy.yaml")).expect("read"), "theirs");
    }
}
