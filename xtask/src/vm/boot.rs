//! `cargo xtask vm`: a guest boots, makes a file system on our disk and puts files there, while another part of the disk is
//! written and read at random; all of it is looked at by the guest, and again by the host when the guest is gone.

use core::time::Duration;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::call::Call;
use crate::report::Outcome;
use crate::vm::bench::Bench;
use crate::vm::disk::{self, Disk};
use crate::vm::figures::Figures;
use crate::vm::machine::{Machine, Order};
use crate::vm::place::Place;
use crate::vm::storm::Storm;
use crate::vm::tree::Tree;

/// The largest time that one command in the guest may take.
const LIMIT: Duration = Duration::from_secs(120);
/// The size of the image.
const SIZE: u64 = 256 << 20;
/// The part that is written at random; the file system comes before.
const STORM: Storm = Storm { start: 128 << 20, length: 64 << 20, bytes: 64 << 20, threads: 2 };
/// A part that is discarded.
const DISCARDED: u64 = 192 << 20;
const DISCARDED_LENGTH: u64 = 32 << 20;

/// Runs it.
pub(super) fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let place = Place::new(&bench.home, "boot")?;
    place.run(|| guest(bench, &place))
}

fn guest(bench: &Bench<'_>, place: &Place) -> Result<Outcome> {
    let tree = Tree::make(&bench.home, &bench.parts)?;
    let initramfs = bench.initramfs(&tree.sums)?;
    let image = place.file("image");
    disk::blank(&image, SIZE)?;
    let program = bench.daemon()?;
    let order = |name, image, words| disk::Order { name, program: &program, image, words };
    let ours = Disk::start(place, &order("disk", &image, &["--queues", "2"]))?;
    let files =
        Disk::start(place, &order("files", &tree.image, &["--queues", "2", "--read-only"]))?;

    let order = Order {
        name: "machine",
        parts: &bench.parts,
        initramfs: &initramfs,
        processors: "2",
        memory: "512M",
        size: "512M",
        kernel: "",
        words: &[],
    };
    let mut machine = Machine::start(place, &order, &[&ours, &files])?;
    machine.booted()?;
    let mut figures = Figures::default();
    let digest = work(&mut machine, &mut figures)?;
    machine.off()?;
    let counted = ours.end()?;
    let counted_files = files.end()?;

    println!("the guest is gone; the host looks at the image:");
    look(place, &image, &tree)?;
    STORM.check(&image, digest)?;
    println!("\n{}\n", figures.show());
    println!("the daemon of the disk:  {}", counted.line());
    println!("the daemon of the files: {}", counted_files.line());
    Ok(Outcome::ok(format!(
        "{} files and {} MiB of random I/O verified",
        tree.files,
        STORM.bytes >> 20
    )))
}

/// What the guest does; tells the digest of the random part.
fn work(machine: &mut Machine, figures: &mut Figures) -> Result<u64> {
    machine.run("grep . /sys/block/vd*/size /sys/block/vd*/ro", LIMIT)?;
    // It goes on beside all that follows.
    let storm = STORM.begin(machine)?;
    figures.part("make a file system", machine, |machine| {
        machine.run(
            "mke2fs -F -b 4096 /dev/vda 131072 > /dev/null && mount -t ext2 /dev/vda /mnt",
            LIMIT,
        )
    })?;
    figures.part("copy the tree", machine, |machine| {
        machine.run("tar -x -f /dev/vdb -C /mnt && sync", LIMIT)
    })?;
    figures.part("read it back", machine, |machine| {
        machine.run(
            "echo 3 > /proc/sys/vm/drop_caches && cd /mnt && sha256sum -c -s /sums && cd /",
            LIMIT,
        )
    })?;
    let digest = figures.part("end of random I/O", machine, |machine| storm.end(machine, LIMIT))?;
    machine.run("umount /mnt", LIMIT)?;
    // It wants the disk for itself.
    figures.part("discard", machine, |machine| {
        machine.run(&format!("blkdiscard -o {DISCARDED} -l {DISCARDED_LENGTH} /dev/vda"), LIMIT)
    })?;
    // A disk that may not be written says so.
    machine.run("! dd if=/dev/zero of=/dev/vdb count=1 conv=fsync 2> /dev/null", LIMIT)?;
    Ok(digest)
}

/// Looks at the file system and at the files, without the kernel.
fn look(place: &Place, image: &Path, tree: &Tree) -> Result<()> {
    let shown = image.display().to_string();
    Call::program("e2fsck", ["-f", "-n", &shown]).text().context("the file system is broken")?;
    println!("  file system: e2fsck finds nothing");
    let copy = place.file("copy");
    fs::create_dir_all(&copy).with_context(|| format!("cannot make {}", copy.display()))?;
    let dump = format!("rdump / {}", copy.display());
    Call::program("debugfs", ["-R", &dump, &shown]).text()?;
    drop(fs::remove_dir(copy.join("lost+found")));
    tree.check(&copy)?;
    println!("  files: all {} have the sums that the host has", tree.files);
    Ok(())
}
