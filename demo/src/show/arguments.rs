//! What the demonstration is asked for.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use super::image::Image;

/// Who plays the guest.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Player {
    /// A virtual CPU, where there is KVM.
    Best,
    /// A thread, though there may be KVM.
    Thread,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Ask {
    /// To say what can be asked for.
    Help,
    /// To run.
    Show(Arguments),
}

/// How to run.
#[derive(Debug)]
pub(crate) struct Arguments {
    file: Option<PathBuf>,
    /// Who plays the guest.
    pub(crate) player: Player,
}

impl Arguments {
    pub(crate) const HELP: &str = "\
cargo xtask demo [--no-kvm] [file]

Builds a guest memory map, loads a file into it, and lets a guest on /dev/kvm use it: sums, hot-plug, dirty
pages. Prints each step and checks each claim; ends with code 1 at the first that does not hold.

  file        a file to load instead of the demonstration's own executable; its first 6 MiB are used
  --no-kvm    a thread plays the guest, as it does where there is no /dev/kvm
  --help      shows this";

    /// Understands the arguments behind the program's name, or says in a line what is wrong.
    pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Ask, String> {
        let mut arguments = Self { file: None, player: Player::Best };
        let mut only_files = false;
        for word in words {
            match word.to_str() {
                Some("--") if !only_files => only_files = true,
                Some("--help" | "-h") if !only_files => return Ok(Ask::Help),
                Some("--no-kvm") if !only_files => arguments.player = Player::Thread,
                Some(option) if !only_files && option.starts_with('-') => {
                    return Err(format!("unknown option {option}; --help shows what there is"));
                }
                _ if arguments.file.is_some() => {
                    return Err("more than one file; --help shows what there is".to_owned());
                }
                _ => arguments.file = Some(word.into()),
            }
        }
        Ok(Ask::Show(arguments))
    }

    /// The file to load, open; or a line that says why it cannot be.
    pub(crate) fn image(&self) -> Result<Image, String> {
        let path = match &self.file {
            Some(path) => path.clone(),
            None => env::current_exe().map_err(|error| {
                format!("cannot find the demonstration's own executable: {error}")
            })?,
        };
        Image::open(&path).map_err(|error| format!("cannot load {}: {error}", path.display()))
    }
}
