//! The sources of a package: as published, but for what a user adds to the manifest.

use core::fmt;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::call::Call;
use crate::downstream::packages::{Line, Package, Side, V0_18};

/// Where what we add to a manifest begins.
const MARK: &str = "\n# Added by xtask.\n";

/// Unpacks the package for one side into a directory of its own, unless it is there, and returns its manifest.
pub(super) fn unpack(home: &Path, root: &Path, package: &Package, side: Side) -> Result<PathBuf> {
    let copy = home.join(side.name()).join(package.word());
    let facade = root.join(package.line.facade);
    if !is_made(&copy, side, &facade)? {
        let partial = home.join(format!("partial-{side}-{}", package.word()));
        remove(&copy)?;
        remove(&partial)?;
        copy_all(&fetch(home, package)?, &partial)?;
        adapt(&partial.join("Cargo.toml"), side, &facade)?;
        fs::create_dir_all(home.join(side.name()))
            .and_then(|()| fs::rename(&partial, &copy))
            .with_context(|| format!("cannot make {}", copy.display()))?;
    }
    let manifest = copy.join("Cargo.toml");
    check(&manifest, package, package.line, package.features, side, &facade)?;
    Ok(manifest)
}

/// Copies the program of a manifest for one side into a directory of its own, and returns its manifest there. It stands on the
/// 0.18 line.
pub(crate) fn device(original: &Path, copy: &Path, side: Side) -> Result<PathBuf> {
    let root = env::current_dir().context("there is no current directory")?;
    let facade = root.join(V0_18.facade);
    let manifest = copy.join("Cargo.toml");
    copy_all(&original.with_file_name("src"), &copy.join("src"))?;
    let wanted = with_addition(&read(original)?, side, &facade);
    if !copy.join("Cargo.lock").exists() || read(&manifest)? != wanted {
        fs::copy(original, &manifest)
            .with_context(|| format!("cannot make {}", manifest.display()))?;
        adapt(&manifest, side, &facade)?;
    }
    check(&manifest, &original.display(), &V0_18, &[], side, &facade)?;
    Ok(manifest)
}

/// Whether the copy is there and its manifest says what it would say today.
fn is_made(copy: &Path, side: Side, facade: &Path) -> Result<bool> {
    if !copy.exists() {
        return Ok(false);
    }
    let text = read(&copy.join("Cargo.toml"))?;
    Ok(text == with_addition(&text, side, facade))
}

/// Writes what the side needs into the manifest, and makes the lock file fit, as a user has to.
///
/// Cargo stays with the version in a lock file even if a patch has another, and says so in a warning; so the facade has to be
/// asked for. nix, on which guest-mmap stands, wants a newer libc than some packages were published with; so both sides
/// get that.
fn adapt(manifest: &Path, side: Side, facade: &Path) -> Result<()> {
    let text = with_addition(&read(manifest)?, side, facade);
    fs::write(manifest, text).with_context(|| format!("cannot write {}", manifest.display()))?;
    let manifest = manifest.display().to_string();
    let names = match side {
        Side::Stock => &["libc@0.2"][..],
        Side::Ours => &["libc@0.2", "vm-memory"],
    };
    Call::cargo(["update", "--quiet", "--manifest-path", &manifest]).args(names).text()?;
    Ok(())
}

/// The text of a manifest with what the side needs at its end, and nothing of what an earlier run wrote there.
pub(super) fn with_addition(text: &str, side: Side, facade: &Path) -> String {
    let published = text.split(MARK).next().unwrap_or_default();
    let mut wanted = format!("{published}{MARK}");
    // Our own workspace is above the copy and would claim it.
    if !published.lines().any(|line| line == "[workspace]") {
        wanted.push_str("[workspace]\n");
    }
    if side == Side::Ours {
        let path = facade.display();
        wanted.push_str(&format!("[patch.crates-io]\nvm-memory = {{ path = \"{path}\" }}\n"));
    }
    wanted
}

/// Has cargo fetch the package, and returns where cargo has unpacked it.
fn fetch(home: &Path, package: &Package) -> Result<PathBuf> {
    let Package { name, version, .. } = package;
    let scratch = home.join("fetch").join(package.word());
    let manifest = scratch.join("Cargo.toml");
    let text = format!(
        "[workspace]\n[package]\nname = \"scratch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
         [dependencies]\n{name} = \"={version}\"\n"
    );
    fs::create_dir_all(scratch.join("src"))
        .and_then(|()| fs::write(scratch.join("src/lib.rs"), ""))
        .and_then(|()| fs::write(&manifest, text))
        .with_context(|| format!("cannot write {}", scratch.display()))?;
    let manifest = manifest.display().to_string();
    let run = Call::cargo(["fetch", "--quiet", "--manifest-path", &manifest]);
    run.text().with_context(|| format!("cannot fetch {package}"))?;
    let packages = packages(&manifest, &[])?;
    let found = packages.iter().find(|json| json["name"] == *name && json["version"] == *version);
    let found = found.and_then(|json| Path::new(json["manifest_path"].as_str()?).parent());
    found.map(Path::to_path_buf).with_context(|| format!("cargo has not fetched {package}"))
}

/// Checks that the side is what it is called: cargo takes neither a patch nor a lock file for an order.
fn check(
    manifest: &Path,
    package: &dyn fmt::Display,
    line: &Line,
    features: &[&str],
    side: Side,
    facade: &Path,
) -> Result<()> {
    let packages = packages(&manifest.display().to_string(), features)?;
    let memories: Vec<_> = packages.iter().filter(|json| json["name"] == "vm-memory").collect();
    let [memory] = memories.as_slice() else {
        bail!("{package} comes with {} of vm-memory", memories.len());
    };
    let version = memory["version"].as_str().unwrap_or_default();
    match side {
        Side::Stock => {
            let stock = line.stock;
            ensure!(version == stock, "{package} comes with vm-memory {version}, not {stock}");
        }
        Side::Ours => {
            let path = Path::new(memory["manifest_path"].as_str().unwrap_or_default());
            ensure!(path.starts_with(facade), "cargo does not take the facade for {package}");
        }
    }
    Ok(())
}

/// All packages that a manifest leads to with these features, as cargo describes them.
fn packages(manifest: &str, features: &[&str]) -> Result<Vec<Value>> {
    let arguments = ["metadata", "--format-version", "1", "--manifest-path", manifest];
    let text = Call::cargo(arguments).args(["--features", &features.join(",")]).text()?;
    let mut json: Value = serde_json::from_str(&text).context("cargo metadata printed no JSON")?;
    match json["packages"].take() {
        Value::Array(packages) => Ok(packages),
        _ => bail!("cargo metadata printed JSON of a shape that xtask cannot read"),
    }
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    let told = || format!("cannot copy {} to {}", from.display(), to.display());
    fs::create_dir_all(to).with_context(told)?;
    for entry in fs::read_dir(from).with_context(told)? {
        let entry = entry.with_context(told)?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(told)?;
        }
    }
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
