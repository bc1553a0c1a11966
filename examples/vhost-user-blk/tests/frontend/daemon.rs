//! A daemon that runs, with an image of its own.

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::wire::Link;

/// Sectors of an image.
pub(crate) const SECTORS: u64 = 0x2000;
/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Daemon {
    child: Child,
    home: PathBuf,
}

impl Daemon {
    /// Starts one with further words on its command line, over an image that holds nothing.
    pub(crate) fn start(words: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // The path of a socket has to be short, and that of cargo's directories is not.
        let home = std::env::temp_dir().join(format!("vub-{}-{count}", std::process::id()));
        fs::create_dir_all(&home).unwrap();
        File::create(home.join("image")).unwrap().set_len(SECTORS * 512).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_vhost-user-blk"))
            .arg("--socket")
            .arg(home.join("socket"))
            .arg("--image")
            .arg(home.join("image"))
            .arg("--stats")
            .arg(home.join("stats"))
            .args(words)
            .stderr(Stdio::from(File::create(home.join("said")).unwrap()))
            .spawn()
            .unwrap();
        let daemon = Self { child, home };
        wait("the daemon listens", || daemon.home.join("socket").exists());
        daemon
    }

    pub(crate) fn connect(&self) -> Link {
        Link::new(&self.home.join("socket"))
    }

    pub(crate) fn image(&self) -> File {
        OpenOptions::new().read(true).write(true).open(self.home.join("image")).unwrap()
    }

    /// Everything that it has written to stderr.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.home.join("said")).unwrap()
    }

    /// Waits until it has said something.
    pub(crate) fn says(&self, what: &str) {
        wait(&format!("the daemon says `{what}`"), || self.said().contains(what));
    }

    pub(crate) fn counted(&self, name: &str) -> u64 {
        let stats = fs::read_to_string(self.home.join("stats")).unwrap();
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap().parse().unwrap()
    }

    /// How many mappings of guests' files it has.
    pub(crate) fn mappings(&self) -> usize {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.child.id())).unwrap();
        maps.lines().filter(|line| line.contains("memfd:guest")).count()
    }

    /// How many files it has open.
    pub(crate) fn files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Ends it as a crash does, and keeps the image for the next.
    pub(crate) fn crash(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        fs::remove_file(self.home.join("socket")).unwrap();
        let path = |name: &str| self.home.join(name).display().to_string();
        let said = OpenOptions::new().append(true).open(self.home.join("said")).unwrap();
        self.child = Command::new(env!("CARGO_BIN_EXE_vhost-user-blk"))
            .args(["--socket", &path("socket"), "--image", &path("image")])
            .stderr(Stdio::from(said))
            .spawn()
            .unwrap();
        wait("the next daemon listens", || self.home.join("socket").exists());
    }

    /// Waits until it has ended by itself, and tells whether it ended well.
    pub(crate) fn ends(&mut self) -> bool {
        let mut status = None;
        wait("the daemon ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().success()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the daemon said:\n{}", self.said());
        }
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// Waits until something is so.
pub(crate) fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
