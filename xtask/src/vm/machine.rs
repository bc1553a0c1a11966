//! A machine: QEMU with a kernel, some memory that it shares, disks, and three lines to talk on.

use core::time::Duration;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::vm::child::Child;
use crate::vm::disk::Disk;
use crate::vm::line::{Line, Socket};
use crate::vm::needs::Parts;
use crate::vm::place::Place;
use crate::vm::qmp::Qmp;

/// How long QEMU may take to connect.
const CONNECT: Duration = Duration::from_secs(20);
/// How long the guest may take to boot; it takes 3 s where nothing else runs.
const BOOT: Duration = Duration::from_secs(60);
/// How long the machine may take to go when it was switched off.
const OFF: Duration = Duration::from_secs(30);
/// The kernel's words: where to write, and to end at once when it is lost.
const KERNEL: &str = "console=ttyS0 panic=-1 oops=panic random.trust_cpu=on";

/// How a machine is made.
#[derive(Clone, Debug)]
pub(super) struct Order<'a> {
    /// What the run calls it.
    pub(super) name: &'a str,
    pub(super) parts: &'a Parts,
    pub(super) initramfs: &'a Path,
    /// How many processors it has, in digits.
    pub(super) processors: &'a str,
    /// How much memory it boots with, as QEMU's `-m` is told, with what may be plugged later.
    pub(super) memory: &'a str,
    /// The size alone.
    pub(super) size: &'a str,
    /// Further words for the kernel.
    pub(super) kernel: &'a str,
    /// Further words of QEMU's.
    pub(super) words: &'a [&'a str],
}

/// A running machine.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) qmp: Qmp,
    shell: Line,
    /// Kept, so that the console is read; whatever it says is in its log.
    _console: Line,
    qemu: Child,
}

impl Machine {
    /// Starts QEMU, with each disk on two queues, of which the guest uses as many as it has processors.
    pub(super) fn start(place: &Place, order: &Order<'_>, disks: &[&Disk]) -> Result<Self> {
        let name = |line: &str| format!("{}-{line}", order.name);
        let line = |line: &str| Ok((Socket::new(&place.socket(&name(line)))?, name(line)));
        let lines: [Result<_>; 3] = ["console", "shell", "qmp"].map(line);
        let mut words = base(order);
        for line in ["console", "shell", "qmp"] {
            let path = place.socket(&name(line));
            words.extend([
                "-chardev".to_owned(),
                format!("socket,id={line},path={}", path.display()),
            ]);
        }
        for disk in disks {
            let (id, path) = (&disk.name, disk.socket.display());
            words.extend(["-chardev".to_owned(), format!("socket,id={id},path={path}")]);
            let device = format!("vhost-user-blk-pci,id={id}-pci,chardev={id},num-queues=2");
            words.extend(["-device".to_owned(), device]);
        }
        words.extend(order.words.iter().map(|word| (*word).to_owned()));
        let qemu = Child::start(order.name, &words, &place.log(order.name))?;
        let accept = |line: Result<(Socket, String)>| {
            let (socket, name) = line?;
            socket.accept(CONNECT, &place.log(&name))
        };
        let [console, shell, qmp] = lines.map(accept);
        Ok(Self { qmp: Qmp::new(qmp?)?, shell: shell?, _console: console?, qemu })
    }

    /// Waits until the guest has booted.
    pub(super) fn booted(&mut self) -> Result<()> {
        let start = Instant::now();
        self.expect("guest: ready", BOOT).context("booting")?;
        println!("  booted in {:.1} s", start.elapsed().as_secs_f64());
        Ok(())
    }

    /// Has the guest's shell run a command, and takes what it prints.
    pub(super) fn run(&mut self, command: &str, limit: Duration) -> Result<Vec<String>> {
        println!("guest# {command}");
        let lines = self.ask(command, limit)?;
        lines.iter().for_each(|line| println!("  {line}"));
        Ok(lines)
    }

    /// Does the same unseen.
    pub(super) fn ask(&mut self, command: &str, limit: Duration) -> Result<Vec<String>> {
        self.shell.send(command)?;
        let (lines, code) = self.answer(limit).with_context(|| format!("`{command}`"))?;
        if code != 0 {
            bail!("`{command}` ended with {code}: {}", lines.join("; "));
        }
        Ok(lines)
    }

    /// Takes what the command that runs still prints, and how it ends.
    pub(super) fn answer(&mut self, limit: Duration) -> Result<(Vec<String>, u8)> {
        let deadline = Instant::now() + limit;
        let mut lines = Vec::new();
        loop {
            let line = self.shell.next(deadline)?;
            match line.strip_prefix("guest: ended ") {
                Some(code) => {
                    return Ok((lines, code.parse().context("an exit code of no program")?));
                }
                None => lines.push(line),
            }
        }
    }

    /// Has the guest's shell begin a command.
    pub(super) fn begin(&mut self, command: &str) -> Result<()> {
        println!("guest# {command}");
        self.shell.send(command)
    }

    /// Says something to the command that runs.
    pub(super) fn say(&mut self, words: &str) -> Result<()> {
        println!("guest< {words}");
        self.shell.send(words)
    }

    /// Waits for a line of the command that runs.
    pub(super) fn expect(&mut self, wanted: &str, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let line =
                self.shell.next(deadline).with_context(|| format!("waiting for `{wanted}`"))?;
            println!("  {line}");
            if line == wanted {
                return Ok(());
            }
            if line.starts_with("guest: ended") {
                bail!("`{line}` instead of `{wanted}`");
            }
        }
    }

    /// Switches the machine off, and waits until it is gone.
    pub(super) fn off(mut self) -> Result<()> {
        self.begin("poweroff -f")?;
        self.qemu.ends_well(OFF)
    }

    /// Has QEMU end, and waits until it is gone.
    pub(super) fn quit(mut self) -> Result<()> {
        self.qmp.ask("quit", &serde_json::json!({}))?;
        self.qemu.ends_well(OFF)
    }
}

/// The words that every machine has.
fn base(order: &Order<'_>) -> Vec<String> {
    let ram = format!("memory-backend-memfd,id=ram,size={},share=on", order.size);
    let kernel = order.parts.image.display().to_string();
    let initramfs = order.initramfs.display().to_string();
    let append = format!("{KERNEL} {}", order.kernel);
    [
        ["-nodefaults", "-no-user-config"],
        ["-display", "none"],
        ["-M", "q35,memory-backend=ram"],
        // The software KVM of some machines is slower than none.
        ["-accel", "tcg,thread=multi"],
        ["-smp", order.processors],
        ["-m", order.memory],
        ["-object", &ram],
        ["-kernel", &kernel],
        ["-initrd", &initramfs],
        ["-append", append.trim()],
        ["-serial", "chardev:console"],
        ["-serial", "chardev:shell"],
        ["-mon", "chardev=qmp,mode=control"],
    ]
    .iter()
    .flatten()
    .fold(vec!["qemu-system-x86_64".to_owned(), "-no-reboot".to_owned()], |mut words, word| {
        words.push((*word).to_owned());
        words
    })
}
