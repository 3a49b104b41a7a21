//! `docs/first-policy.md` goes as it is told: its files are written, its commands run, and what they answer is what stands there.
//!
//! `AMIWALL_REWRITE_DOCS=1 cargo test --test first_policy` writes the answers anew.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

const AMIWALL: &str = env!("CARGO_BIN_EXE_amiwall");
/// The hash of a random secret that nobody has.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$1AaAmtkop+TDbvLVH/1g2g$rNU8QA1Rfd+Uy6I6a7k6xhxjonkWbl2KriDg88GseSk";

/// The fenced blocks of a page: what stands behind the fence, and the lines.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let text = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            blocks.push((kind, text));
        }
    }
    blocks
}

/// Both outputs of a command that runs in a folder, and finds amiwall.
fn output(folder: &Path, command: &str) -> io::Result<String> {
    let bin = Path::new(AMIWALL).parent().unwrap_or_else(|| Path::new("."));
    let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{{ {command}\n}} 2>&1")).env("PATH", path).current_dir(folder);
    Ok(String::from_utf8_lossy(&shell.output()?.stdout).into_owned())
}

/// Runs the commands of a block (`$ …`, and the next line behind a `|`). Returns the block as it should be.
fn replayed(folder: &Path, block: &str) -> io::Result<String> {
    let mut text = String::new();
    let mut lines = block.lines();
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix("$ ") else { continue };
        let mut command = first.to_owned();
        if command.ends_with('|') {
            command.extend(["\n", lines.next().unwrap_or_default()]);
        }
        text.push_str(&format!("$ {command}\n{}", output(folder, &command)?));
    }
    Ok(text)
}

fn write_private(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let path = folder.join(name);
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
}

/// The page with the answers that the commands really give, and how many blocks of commands there were.
fn told_anew(page: &str, folder: &Path) -> io::Result<(String, usize)> {
    let (mut told, mut count) = (page.to_owned(), 0);
    for (kind, block) in blocks(page) {
        match kind {
            "yaml" if block.starts_with("# crm.test.yaml\n") => write_private(folder, "crm.test.yaml", &block)?,
            "yaml" => write_private(folder, "crm.yaml", &block)?,
            "console" => {
                count += 1;
                let real = replayed(folder, &block)?;
                let fence = |block: &str| format!("```console\n{block}```\n");
                told = told.replacen(&fence(&block), &fence(&real), 1);
            }
            _ => {}
        }
    }
    Ok((told, count))
}

#[test]
fn the_first_policy_goes_as_it_is_told() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/first-policy.md");
    let page = fs::read_to_string(&file).expect("the page");
    let folder = tempfile::tempdir().expect("a folder");
    output(folder.path(), "amiwall certs certs --name pbx.example.net").expect("certificates");
    write_private(folder.path(), "crm-1001.hash", HASH).expect("written");
    write_private(folder.path(), "pbx.secret", "a-secret").expect("written");
    let (told, count) = told_anew(&page, folder.path()).expect("the commands run");
    assert!(count >= 4, "only {count} blocks were run");
    if env::var_os("AMIWALL_REWRITE_DOCS").is_some() {
        fs::write(&file, &told).expect("the page is written");
        return;
    }
    assert!(told == page, "it goes otherwise (AMIWALL_REWRITE_DOCS=1 writes it anew):\n{told}");
}
