//! The nightly toolchain, for the tools that want one. Where it is missing, what wants it is skipped, and says how to get it.

use std::path::Path;

use anyhow::Result;

use crate::call::Call;
use crate::report::Outcome;

/// A call of the nightly toolchain's cargo.
pub(crate) fn cargo<S: AsRef<str>>(arguments: impl IntoIterator<Item = S>) -> Call {
    // The cargo that runs this program is that of a toolchain; this one is of whoever chooses among them.
    Call::program("cargo", ["+nightly"]).args(arguments)
}

/// Why what wants the toolchain is skipped, if it is.
pub(crate) fn missing() -> Option<Outcome> {
    let is_there = cargo(["--version"]).succeeds();
    (!is_there).then(|| {
        Outcome::skipped("there is no nightly toolchain (rustup toolchain install nightly)")
    })
}

/// Why what builds the standard library is skipped, if it is.
pub(crate) fn missing_sources() -> Result<Option<Outcome>> {
    if let Some(missing) = missing() {
        return Ok(Some(missing));
    }
    let sysroot = Call::program("rustc", ["+nightly", "--print", "sysroot"]).text()?;
    let sources = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std/Cargo.toml");
    let how = "rustup component add rust-src --toolchain nightly";
    let reason = || Outcome::skipped(format!("the standard library's sources are missing ({how})"));
    Ok((!sources.exists()).then(reason))
}
