//! `amiwall generate`: man pages and shell completions, for those who make packages.

use std::fs;
use std::path::PathBuf;

use clap_complete::Shell;

use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder to write to; `man` and `completions` are made in it.
    folder: PathBuf,
}

pub(super) fn run(args: &Args, command: clap::Command) -> Result<Exit, Failure> {
    let failed = |error| Failure::incomplete(format!("cannot write to {}: {error}", args.folder.display()));
    let (man, completions) = (args.folder.join("man"), args.folder.join("completions"));
    for folder in [&man, &completions] {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command.clone(), "amiwall", &completions).map_err(failed)?;
    }
    clap_mangen::generate_to(command, &man).map_err(failed)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::Cli;
    use super::*;

    #[test]
    fn every_command_has_its_page_and_every_shell_its_completions() {
        let folder = tempfile::tempdir().expect("a folder");
        let args = Args { folder: folder.path().join("new") };
        assert_eq!(run(&args, Cli::command()).expect("it is written"), Exit::Ok);
        let read =
            |name: &str| fs::read_to_string(args.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let commands = Cli::command();
        let (hidden, shown): (Vec<_>, Vec<_>) = commands.get_subcommands().partition(|command| command.is_hide_set());
        assert!(shown.len() > 10 && !hidden.is_empty());
        for command in shown {
            let name = command.get_name();
            assert!(read(&format!("man/amiwall-{name}.1")).contains(".SH SYNOPSIS"), "{name}");
            assert!(read("completions/amiwall.bash").contains(name), "{name}");
        }
        assert!(read("man/amiwall-audit-verify.1").contains("\\-\\-key"));
        assert!(read("completions/_amiwall").starts_with("#compdef amiwall"));
        assert!(read("completions/amiwall.fish").contains("hash-secret"));
        for command in hidden {
            assert!(
                !args.folder.join(format!("man/amiwall-{}.1", command.get_name())).exists(),
                "it is not in the help"
            );
        }
    }
}
