//! Where a page is played.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{env, fs, io};

use crate::shape::is_as_shown;

const AMIWALL: &str = env!("CARGO_BIN_EXE_amiwall");
/// What is typed wherever a command reads a secret.
const TYPED: &str = "ring-my-own-phone\n";
/// Where the client of these pages is; here it is this machine.
const CLIENT: &str = "10.20.50.7";

/// What a page consists of, as far as it is played.
enum Part {
    /// A file's name and its text.
    File(String, String),
    /// A command that the page does not show.
    Hidden(String),
    /// The text of a block of commands.
    Console(String),
}

fn parts(page: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(command) = line.strip_prefix("<!-- $ ") {
            parts.push(Part::Hidden(command.trim_end_matches(" -->").to_owned()));
        } else if let Some(kind) = line.strip_prefix("```") {
            let text: String =
                lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            let first = text.lines().next().unwrap_or_default();
            let name = first.strip_prefix("# ").or_else(|| first.strip_prefix("; "));
            match (kind, name) {
                ("console", _) => parts.push(Part::Console(text)),
                ("yaml" | "ini", Some(name)) if !name.contains(' ') && name.contains('.') => {
                    parts.push(Part::File(name.to_owned(), text));
                }
                _ => {}
            }
        }
    }
    parts
}

/// The commands of a block, each with what it shows below.
fn commands(block: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut goes_on = false;
    for line in block.lines() {
        match all.last_mut() {
            Some((command, _)) if goes_on => command.push_str(&format!("\n{line}")),
            _ if line.starts_with("$ ") => all.push((line.replacen("$ ", "", 1), String::new())),
            Some((_, shown)) => {
                shown.push_str(&format!("{line}\n"));
                continue;
            }
            None => continue,
        }
        goes_on = line.ends_with(['|', '\\']);
    }
    all
}

/// Its own folder, its own ports, its own processes.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    asterisk: u16,
    amiwall: u16,
    /// The listener in plain text.
    plain: u16,
    running: Vec<Child>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in &mut self.running {
            // It may have ended before.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A port that is free now, with as many digits as those of the pages.
fn free_port(from: u16) -> io::Result<u16> {
    let start = u16::try_from(std::process::id() % 1000).unwrap_or_default() + from;
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (start..start + 1000).find(is_free).ok_or_else(|| io::Error::other("no port is free"))
}

impl Stage {
    pub(crate) fn new(ports: u16) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["etc/amiwall", "etc/asterisk", "var/lib", "backup", "usb"] {
            fs::create_dir_all(folder.path().join(name))?;
        }
        std::os::unix::fs::symlink(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("policies"),
            folder.path().join("policies"),
        )?;
        fs::write(folder.path().join(".typed"), TYPED)?;
        let (asterisk, plain, amiwall) = (free_port(ports)?, free_port(ports + 500)?, free_port(ports + 1000)?);
        Ok(Self { folder, asterisk, amiwall, plain, running: Vec::new() })
    }

    /// What a page says, as it is here.
    fn here(&self, text: &str) -> String {
        let mut text = text.replace(":5038", &format!(":{}", self.asterisk));
        text = text.replace("0.0.0.0:5039", "127.0.0.1:5039").replace(":5039", &format!(":{}", self.amiwall));
        text = text.replace(":5040", &format!(":{}", self.plain));
        text = text.replace("pbx.example.net", "localhost").replace(CLIENT, "127.0.0.1");
        for name in ["/etc/amiwall", "/etc/asterisk", "/var/lib/amiwall", "/backup", "/usb"] {
            let at = self.folder.path().display();
            text = text
                .replace(&format!(" {name}"), &format!(" {at}{name}"))
                .replace(&format!("={name}"), &format!("={at}{name}"));
            text = text.replace(&format!("|{name}"), &format!("|{at}{name}"));
        }
        text
    }

    /// What came here, as a page would say it.
    fn there(&self, text: &str) -> String {
        let (asterisk, plain) = (format!("127.0.0.1:{}", self.asterisk), format!("127.0.0.1:{}", self.plain));
        let mut text = text.replace("\r\n", "\n").replace(&self.folder.path().display().to_string(), "");
        text = text.replace(&asterisk, "\u{1}").replace(&plain, "\u{2}");
        text = text.replace(&format!("127.0.0.1:{}", self.amiwall), "0.0.0.0:5039");
        text = text.replace(&format!(":{}", self.amiwall), ":5039").replace("localhost", "pbx.example.net");
        text = text.replace("127.0.0.1", CLIENT);
        text.replace('\u{1}', "127.0.0.1:5038").replace('\u{2}', "127.0.0.1:5040").trim_end().to_owned() + "\n"
    }

    fn shell(&self, command: &str) -> Command {
        let bin = Path::new(AMIWALL).parent().unwrap_or_else(|| Path::new("."));
        let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).env("PATH", path).env("TZ", "UTC").current_dir(self.folder.path());
        shell
    }

    /// Both outputs of a command, or what one that stays has said once it listens.
    fn run(&mut self, command: &str) -> io::Result<String> {
        let command = self.here(command);
        let said = if command.starts_with("amiwall run ") || command.starts_with("amiwall simulate ") {
            self.start(&command)?
        } else {
            let mut shell = self.shell(&format!("umask 077; {{ {command}\n}} 2>&1"));
            let output = shell.stdin(fs::File::open(self.folder.path().join(".typed"))?).output()?;
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        Ok(self.there(&said))
    }

    fn start(&mut self, command: &str) -> io::Result<String> {
        let mut child = self.shell(&format!("umask 077; exec {command}")).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no standard error"))?;
        self.running.push(child);
        let (mut said, mut lines) = (String::new(), BufReader::new(stderr).lines());
        while !said.contains("listening on ") {
            let line = lines.next().ok_or_else(|| io::Error::other(format!("`{command}` ended: {said}")))??;
            said.push_str(&format!("{line}\n"));
        }
        // Nobody reads on; what it says afterwards must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(said)
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.folder.path().join(name.trim_start_matches('/'));
        fs::write(&path, self.here(text))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
    }

    /// The page with what its commands answer here, where that differs; and how many commands were run.
    pub(crate) fn play(&mut self, page: &str) -> io::Result<(String, usize)> {
        let (mut told, mut count) = (page.to_owned(), 0);
        for part in parts(page) {
            match part {
                Part::File(name, text) => self.write(&name, &text)?,
                Part::Hidden(command) => drop(self.run(&command)?),
                Part::Console(block) => {
                    let mut real = String::new();
                    for (command, shown) in commands(&block) {
                        count += 1;
                        let came = self.run(&command)?;
                        let answer = if is_as_shown(&shown, &came) { shown } else { came };
                        let answer = if answer.trim().is_empty() { "" } else { &answer };
                        real.push_str(&format!("$ {command}\n{answer}"));
                    }
                    told = told.replacen(&format!("```console\n{block}```\n"), &format!("```console\n{real}```\n"), 1);
                }
            }
        }
        Ok((told, count))
    }
}

#[test]
fn a_block_has_commands_and_what_comes_of_them() {
    assert_eq!(
        commands("$ a |\n  b\nx\ny\n$ c\n"),
        [("a |\n  b".into(), "x\ny\n".into()), ("c".into(), String::new())]
    );
}
