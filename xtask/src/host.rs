//! What this machine offers to the tests that need more than a processor.

use std::fs::{self, File};
use std::io;

/// Says in words which devices the tests and the demonstration can use here.
pub(crate) fn describe() -> Vec<String> {
    vec![
        format!("/dev/kvm           {}", kvm()),
        format!("/dev/userfaultfd   {}", userfaultfd()),
        format!("huge pages         {}", huge_pages()),
    ]
}

fn kvm() -> String {
    match open("/dev/kvm") {
        Ok(()) => "usable: KVM tests run a real guest".to_owned(),
        Err(problem) => format!("skipped: {problem}; KVM tests will say so"),
    }
}

fn userfaultfd() -> String {
    match open("/dev/userfaultfd") {
        Ok(()) => "usable".to_owned(),
        // The system call of the same name may be open to everyone where the device is not there.
        Err(_) if number("/proc/sys/vm/unprivileged_userfaultfd") == Some(1) => {
            "usable: by the system call, without the device".to_owned()
        }
        Err(problem) => format!("skipped: {problem}; tests of missing pages will say so"),
    }
}

fn huge_pages() -> String {
    let reserved = number("/proc/sys/vm/nr_hugepages");
    let free = fs::read_to_string("/proc/meminfo").ok().and_then(|text| meminfo_free(&text));
    match (reserved, free) {
        (Some(0), _) => "skipped: none reserved (vm.nr_hugepages = 0); \
                         tests of huge pages will say so"
            .to_owned(),
        (Some(reserved), Some(0)) => {
            format!("skipped: none free of {reserved}; tests of huge pages will say so")
        }
        (Some(reserved), Some(free)) => format!("usable: {free} free of {reserved}"),
        _ => "skipped: this kernel says nothing about them".to_owned(),
    }
}

fn open(path: &str) -> Result<(), String> {
    match File::options().read(true).write(true).open(path) {
        Ok(_) => Ok(()),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Err(format!("no {path}")),
        Err(problem) => Err(format!("{path} does not open ({problem})")),
    }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The count of free huge pages in the text of `/proc/meminfo`.
fn meminfo_free(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("HugePages_Free:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{describe, meminfo_free};

    #[test]
    fn free_huge_pages_are_found_in_meminfo() {
        let text = "HugePages_Total:       8\nHugePages_Free:        3\nHugepagesize:    2048 kB\n";
        assert_eq!(meminfo_free(text), Some(3));
        assert_eq!(meminfo_free("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn every_line_says_usable_or_why_not() {
        for line in describe() {
            assert!(line.contains("usable") || line.contains("skipped: "), "{line}");
        }
    }
}
