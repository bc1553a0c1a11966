//! What a machine needs of this one: a few Debian packages, and a kernel that is fetched and not installed.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::call::Call;

/// Programs, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 5] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("setpriv", "util-linux"),
    ("debugfs", "e2fsprogs"),
    ("sha256sum", "coreutils"),
    ("tar", "tar"),
];
/// Where the guest's shell may be, and its package.
const BUSYBOX: [&str; 2] = ["/usr/bin/busybox", "/bin/busybox"];
/// The package that depends on the newest kernel for virtual machines.
const KERNEL: &str = "linux-image-cloud-amd64";

/// How long it may take to fetch: it is some 27 MB.
const LIMIT: Duration = Duration::from_secs(300);

/// What a machine is made of.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// The kernel's package, unpacked.
    pub(super) kernel: PathBuf,
    /// The kernel that boots.
    pub(super) image: PathBuf,
    pub(super) busybox: PathBuf,
}

/// Finds all parts, and fetches the kernel if it is not yet there; or else says in one line why a machine cannot be made here.
pub(super) fn find(home: &Path) -> Result<Result<Parts, String>> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Err("the guest is set up for Linux on x86-64 alone".to_owned()));
    }
    let mut missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package)
        .collect();
    let busybox = BUSYBOX.iter().map(PathBuf::from).find(|path| is_static(path));
    if busybox.is_none() {
        missing.push("busybox-static");
    }
    let kernel = home.join("kernel");
    if missing.is_empty() && !kernel.exists() {
        println!("fetching a kernel, once:");
        if let Err(problem) = fetch(home, &kernel) {
            return Ok(Err(format!("no kernel (apt-get download {KERNEL}'s): {problem:#}")));
        }
    }
    let (Some(busybox), []) = (busybox, missing.as_slice()) else {
        let names = missing.join(" ");
        return Ok(Err(format!("no {names} (apt-get install {names}, as .ci/packages does)")));
    };
    let boot = kernel.join("boot");
    let image =
        entry(&boot, "vmlinuz-").with_context(|| format!("no kernel in {}", boot.display()))?;
    Ok(Ok(Parts { kernel, image, busybox }))
}

/// The path in a directory whose name begins so.
pub(super) fn entry(directory: &Path, begin: &str) -> Option<PathBuf> {
    let mut paths = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    paths
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin)))
}

fn is_there(program: &str) -> bool {
    Call::program("sh", ["-c", &format!("command -v {program}")]).succeeds()
}

/// Whether a file is a program that needs no library, as its lack of a loader tells.
fn is_static(path: &Path) -> bool {
    let loader = b"/ld-linux";
    fs::read(path).is_ok_and(|bytes| {
        bytes.starts_with(b"\x7fELF") && !bytes.windows(loader.len()).any(|part| part == loader)
    })
}

/// Fetches the kernel's package and unpacks it.
fn fetch(home: &Path, kernel: &Path) -> Result<()> {
    let text = Call::program("apt-cache", ["depends", "--important", KERNEL]).text()?;
    let package = text.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.context("apt knows no such package (apt-get update)")?;
    let download = home.join("download");
    // What a run before left half done is of no use.
    drop(fs::remove_dir_all(&download));
    fs::create_dir_all(&download).with_context(|| format!("cannot make {}", download.display()))?;
    let place = download.display().to_string();
    Call::program("env", ["-C", &place, "apt-get", "-qq", "download", package])
        .within(LIMIT)
        .run()?;
    let Some(file) = entry(&download, package) else { bail!("apt-get downloaded nothing") };
    let unpacked = download.join("kernel");
    Call::program("dpkg-deb", ["-x", &file.display().to_string(), &unpacked.display().to_string()])
        .run()?;
    fs::rename(&unpacked, kernel).with_context(|| format!("cannot make {}", kernel.display()))?;
    fs::remove_dir_all(&download).with_context(|| format!("cannot remove {place}"))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::path::Path;

    use super::{is_static, is_there};

    #[test]
    fn a_program_is_found_and_one_that_needs_a_loader_is_not_static() {
        assert!(is_there("sh") && !is_there("no-such-program"));
        // A program that needs a library, and what is no program.
        assert!(!is_static(Path::new("/bin/sh")) && !is_static(Path::new("/dev/null")));
    }
}
