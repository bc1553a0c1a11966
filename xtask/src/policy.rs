//! The dependency policy in `deny.toml`, checked by cargo-deny where it is installed.

use anyhow::Result;

use crate::call::Call;
use crate::report::Outcome;

/// Checks what can be known from the lock file alone: licences, banned crates, sources.
///
/// This needs no network and its result changes only when the dependencies do, so a change that
/// passed once does not fail tomorrow for a reason that has nothing to do with it.
pub(crate) fn check() -> Result<Outcome> {
    if let Some(missing) = missing() {
        return Ok(missing);
    }
    Call::cargo(["deny", "--all-features", "check", "licenses", "bans", "sources"]).run()?;
    Ok(Outcome::ok(""))
}

/// Checks the dependencies against published advisories and withdrawn versions.
///
/// The database is on the network and grows by itself: this can fail without any change here,
/// which is why a user expects it of the full run and not between an edit and a commit. Without
/// a database that can be fetched there is nothing to check against, and the table says so.
pub(crate) fn check_advisories() -> Result<Outcome> {
    if let Some(missing) = missing() {
        return Ok(missing);
    }
    let fetch = Call::cargo(["deny", "fetch", "db"]);
    println!("$ {}", fetch.shown());
    if !fetch.succeeds() {
        return Ok(Outcome::skipped("the advisory database cannot be fetched from here"));
    }
    Call::cargo(["deny", "--all-features", "check", "advisories"]).run()?;
    Ok(Outcome::ok(""))
}

fn missing() -> Option<Outcome> {
    let installed = Call::cargo(["deny", "--version"]).succeeds();
    (!installed).then(|| {
        Outcome::skipped("cargo-deny is not installed (cargo install cargo-deny --locked)")
    })
}
