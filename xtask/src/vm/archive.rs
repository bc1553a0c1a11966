//! An archive of the kind that Linux unpacks when it boots: `cpio`, in the format `newc`.

/// The directory bit of a mode.
const DIRECTORY: u32 = 0o040_000;
/// The regular-file bit of a mode.
const FILE: u32 = 0o100_000;

/// An archive that grows.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a directory, which has to come before what is in it.
    pub(super) fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY | 0o755, &[]);
    }

    /// Adds a file that may be executed.
    pub(super) fn program(&mut self, name: &str, content: &[u8]) {
        self.entry(name, FILE | 0o755, content);
    }

    /// Adds a file.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, FILE | 0o644, content);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let (inode, links) = (self.entries, 1 + u32::from(mode & DIRECTORY != 0));
        let name_size = name.len() + 1;
        let size = content.len();
        // The magic number, then inode, mode, user, group, links, time, size, device and special device, twice in two
        // parts, the name's size with its zero, and a sum that this format has no use for.
        let header = format!(
            "070701{inode:08x}{mode:08x}{:08x}{:08x}{links:08x}{:08x}{size:08x}{:08x}{:08x}{:08x}{:08x}{name_size:08x}{:08x}",
            0, 0, 0, 0, 0, 0, 0, 0
        );
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    /// Name and content both end at a multiple of four.
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn an_entry_has_its_header_of_110_bytes_and_everything_begins_at_a_multiple_of_four() {
        let mut archive = Archive::default();
        archive.directory("bin");
        archive.program("bin/a", b"12345");
        archive.file("b", b"");
        let bytes = archive.finish();
        let text = String::from_utf8(bytes).unwrap();
        let (directory, rest) = text.split_at(116);
        assert!(directory.starts_with("07070100000001000041ed"), "{directory}");
        assert!(directory.ends_with("0000000400000000bin\0\0\0"), "{directory}");
        assert!(rest.starts_with("07070100000002000081ed"), "{rest}");
        assert_eq!(&rest[54..62], "00000005", "the size");
        assert_eq!(&rest[94..102], "00000006", "the name's size");
        assert_eq!(&rest[110..124], "bin/a\x0012345\0\0\0");
        assert!(rest[124..].starts_with("07070100000003000081a4"));
        assert!(text.len().is_multiple_of(4) && text.contains("TRAILER!!!\0"));
    }
}
