//! The random part of a run: a process in the guest that goes on beside whatever else happens.

use core::time::Duration;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xtask_guest::pattern::{self, SECTOR_BYTES};

use crate::vm::machine::Machine;

/// How long a command may take that only looks or tells.
const SHORT: Duration = Duration::from_secs(20);

/// How long it may take to write its part of the disk once.
const LAID: Duration = Duration::from_secs(60);

/// Which part of the disk, and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storm {
    pub(super) start: u64,
    pub(super) length: u64,
    /// The least that is moved.
    pub(super) bytes: u64,
    pub(super) threads: u64,
}

/// A storm that goes on.
#[derive(Debug)]
pub(super) struct Going;

impl Storm {
    /// Begins it: it goes on until its bytes are moved and it is told to end.
    pub(super) fn begin(self, machine: &mut Machine) -> Result<Going> {
        let Self { start, length, bytes, threads } = self;
        let words = format!("storm /dev/vda {start} {length} {bytes} {threads} /tmp/calm");
        let begin = format!("rm -f /tmp/calm; xtask-guest {words} > /tmp/storm & storm=$!");
        machine.run(&begin, SHORT)?;
        // What follows shall find it at its work.
        let begun =
            format!("until [ $(grep -c once /tmp/storm) = {threads} ]; do sleep 0.05; done");
        machine.run(&begun, LAID)?;
        Ok(Going)
    }

    /// Looks at its part of the image when the guest is gone, which has to be what the guest says it is.
    pub(super) fn check(self, image: &Path, digest: u64) -> Result<()> {
        let file = File::open(image).with_context(|| format!("cannot read {}", image.display()))?;
        let mut bytes = vec![0; usize::try_from(self.length).context("a part beyond all memory")?];
        file.read_exact_at(&mut bytes, self.start).context("the image is too short")?;
        let found = match pattern::digest(self.start / SECTOR_BYTES, &bytes) {
            Ok(found) => found,
            Err(sector) => bail!("sector {sector} is torn, or has what another has"),
        };
        if found != digest {
            bail!("the random part has the digest {found:#018x}, and in the guest {digest:#018x}");
        }
        println!(
            "  random part: every sector is whole, in its place, and of the guest's last writing"
        );
        Ok(())
    }
}

impl Going {
    /// Tells it to end, and takes its digest if all that it read was right.
    pub(super) fn end(self, machine: &mut Machine, limit: Duration) -> Result<u64> {
        // The list of commands ends as the waiting does, which is as the storm does.
        let lines = machine.run(
            "touch /tmp/calm; wait $storm; ended=$?; tail -n 1 /tmp/storm; test $ended = 0",
            limit,
        )?;
        let line = lines.last().context("the storm said nothing")?;
        let digest =
            line.rsplit_once(" digest 0x").map(|(_, digits)| u64::from_str_radix(digits, 16));
        digest.with_context(|| format!("no digest in `{line}`"))?.context("no number")
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use xtask_guest::pattern::{SECTOR, Stamp};

    use super::Storm;

    #[test]
    fn an_image_is_what_the_guest_says_or_is_refused() {
        let image = env::temp_dir().join(format!("xtask-storm-{}", process::id()));
        let mut bytes = vec![0xff; 3 * SECTOR];
        let stamps = [1, 2].map(|sector| Stamp { sector, generation: 5 });
        stamps[0].write(&mut bytes[SECTOR..2 * SECTOR]);
        stamps[1].write(&mut bytes[2 * SECTOR..]);
        fs::write(&image, &bytes).unwrap();
        let storm = Storm { start: 512, length: 1024, bytes: 0, threads: 1 };
        let digest = stamps[0].digest().wrapping_add(stamps[1].digest());
        storm.check(&image, digest).unwrap();
        assert!(storm.check(&image, digest ^ 1).unwrap_err().to_string().contains("the digest"));
        bytes[2 * SECTOR + 77] ^= 1;
        fs::write(&image, &bytes).unwrap();
        let problem = storm.check(&image, digest).unwrap_err().to_string();
        assert!(problem.starts_with("sector 2 is torn"), "{problem}");
        fs::remove_file(&image).unwrap();
    }
}
