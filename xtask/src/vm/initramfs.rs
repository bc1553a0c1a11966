//! What the kernel finds in memory when it boots: a shell, a few modules, our program.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::call::Call;
use crate::vm::archive::Archive;
use crate::vm::needs::{Parts, entry};

/// The script that the kernel starts, from the root of the workspace.
const INIT: &str = "xtask/guest/init.sh";
/// The package of our program.
const PROGRAM: &str = "xtask-guest";
/// The profile that it is built with.
const PROFILE: &str = "demo";
/// What the kernel loads to see a disk, in order: each of these uses the ones before. A kernel may have any of them built in.
const MODULES: [&str; 6] = [
    "virtio/virtio_ring.ko",
    "virtio/virtio.ko",
    "virtio/virtio_pci_modern_dev.ko",
    "virtio/virtio_pci_legacy_dev.ko",
    "virtio/virtio_pci.ko",
    "block/virtio_blk.ko",
];

/// Makes it, with one file more: the sums that the tree of files has to have. Tells where it is.
pub(super) fn make(home: &Path, target: &Path, parts: &Parts, sums: &[u8]) -> Result<PathBuf> {
    // The final program alone is linked statically; what it is built from stays what everyone else uses.
    Call::cargo(["rustc", "-p", PROGRAM, "--bin", PROGRAM, "--profile", PROFILE])
        .args(["--", "-C", "target-feature=+crt-static"])
        .run()?;
    let program = target.join(PROFILE).join(PROGRAM);

    let mut archive = Archive::default();
    archive.directory("bin");
    archive.program("bin/busybox", &read(&parts.busybox)?);
    archive.program(&format!("bin/{PROGRAM}"), &read(&program)?);
    archive.program("init", &read(Path::new(INIT))?);
    archive.file("sums", sums);
    archive.directory("modules");
    let all = parts.kernel.join("lib/modules");
    let release = entry(&all, "").with_context(|| format!("no modules in {}", all.display()))?;
    let mut order = String::new();
    for module in MODULES {
        let path = release.join("kernel/drivers").join(module);
        if let (Some(name), true) = (path.file_name(), path.exists()) {
            let name = name.to_string_lossy();
            archive.file(&format!("modules/{name}"), &read(&path)?);
            order.push_str(&format!("{name}\n"));
        }
    }
    archive.file("modules/order", order.as_bytes());
    let path = home.join("initramfs");
    fs::write(&path, archive.finish())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
