//! `amiwall hash-secret`: the argon2id line of a secret, from a prompt without echo or from standard input.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::{Exit, Failure, out};
use crate::identity::hash_secret;
use crate::secret::Secret;

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: &Args) -> Result<Exit, Failure> {
    let secret = if std::io::stdin().is_terminal() {
        let secret = prompt("Secret: ")?;
        // Nothing, or the end of input, is refused without asking for it again.
        if !secret.expose().is_empty() && !secret.matches(prompt("Again: ")?.expose()) {
            return Err(Failure::incomplete("the two secrets differ; nothing was hashed"));
        }
        secret
    } else {
        read_line()?
    };
    let line = hash_secret(&secret).map_err(|error| Failure::incomplete(format!("{error}; choose another secret")))?;
    out(&line);
    Ok(Exit::Ok)
}

fn read_line() -> Result<Secret, Failure> {
    let mut line = Zeroizing::new(Vec::new());
    let read = std::io::stdin().lock().read_until(b'\n', &mut line);
    read.map_err(|error| Failure::incomplete(format!("cannot read the secret: {error}")))?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    Ok(Secret::new(text.strip_suffix(b"\r").unwrap_or(text).to_vec()))
}

/// Switches echo off for as long as it lives.
struct Silence(Termios);

impl Silence {
    fn new() -> rustix::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0).ok();
    }
}

fn prompt(text: &str) -> Result<Secret, Failure> {
    let failed = |error: std::io::Error| Failure::incomplete(format!("cannot ask for the secret: {error}"));
    let mut terminal = std::io::stderr();
    // Silent before it asks: who is quick is not shown either.
    let silence = Silence::new().map_err(|error| failed(error.into()))?;
    write!(terminal, "{text}").and_then(|()| terminal.flush()).map_err(failed)?;
    let secret = read_line();
    drop(silence);
    writeln!(terminal).map_err(failed)?;
    secret
}
