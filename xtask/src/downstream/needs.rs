//! What a package wants of the system, named as Debian names it.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::call::Call;

/// One thing that a package cannot be built without.
#[derive(Debug)]
pub(super) struct Need {
    /// The Debian package that has it.
    debian: &'static str,
    proof: Proof,
}

/// How it shows that it is there.
#[derive(Debug)]
enum Proof {
    /// A program links with the library of that name.
    Links(&'static str),
    /// The library that bindgen loads is where it looks.
    Clang,
}

pub(super) const CAP_NG: Need = Need { debian: "libcap-ng-dev", proof: Proof::Links("cap-ng") };
pub(super) const SECCOMP: Need = Need { debian: "libseccomp-dev", proof: Proof::Links("seccomp") };
pub(super) const CLANG: Need = Need { debian: "libclang-dev", proof: Proof::Clang };

/// The Debian packages that are missing.
pub(super) fn missing(needs: &[Need]) -> Vec<&'static str> {
    needs.iter().filter(|need| !need.is_there()).map(|need| need.debian).collect()
}

/// Says what is missing and how to get it, in one line.
pub(super) fn tell(missing: &[&str]) -> String {
    let names = missing.join(" ");
    format!("needs the Debian packages {names} (apt-get install {names})")
}

impl Need {
    fn is_there(&self) -> bool {
        match self.proof {
            // The linker itself is asked, so whatever tells it where to look is heard.
            Proof::Links(library) => {
                Call::program("cc", ["-shared", "-x", "c", "/dev/null", "-o", "/dev/null"])
                    .args([format!("-l{library}")])
                    .succeeds()
            }
            Proof::Clang => clang_directories().iter().any(|directory| has_clang(directory)),
        }
    }
}

/// Where bindgen looks, or most of it; `LIBCLANG_PATH` says where else.
fn clang_directories() -> Vec<PathBuf> {
    let given = env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    let usual = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    // Debian has one directory for each version of LLVM, and one for the processor.
    let below = fs::read_dir("/usr/lib").into_iter().flatten().flatten().flat_map(|entry| {
        let path = entry.path();
        [path.join("lib"), path]
    });
    given.into_iter().chain(usual).chain(below).collect()
}

/// Whether the file, or one in the directory, is the library with the C interface, which libclang-cpp is not.
fn has_clang(path: &Path) -> bool {
    let is_clang = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let rest = name.strip_prefix("libclang").unwrap_or_default();
        rest.starts_with(".so") || (rest.starts_with('-') && !rest.starts_with("-cpp"))
    };
    let files = fs::read_dir(path).into_iter().flatten().flatten();
    is_clang(path) || files.map(|entry| entry.path()).any(|path| is_clang(&path))
}
