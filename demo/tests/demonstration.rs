//! The demonstration as a person runs it: what it prints, and its exit code.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use demo::Vm;

fn run<A: AsRef<std::ffi::OsStr>>(arguments: &[A]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_demo")).args(arguments).output().unwrap()
}

/// A file of `len` bytes without a pattern, under a name that no other test uses.
fn file(name: &str, len: usize) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let bytes: Vec<u8> =
        (0..len as u32).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect();
    fs::write(&path, bytes).unwrap();
    path
}

/// All that a run that succeeds prints.
fn success(output: Output) -> String {
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{}: {stderr}\n{stdout}", output.status);
    assert_eq!(stderr, "");
    let ticks = stdout.lines().filter(|line| line.trim_start().starts_with('✓')).count();
    let last = format!("all {ticks} checks passed");
    assert_eq!(stdout.lines().last(), Some(&*last), "{stdout}");
    // It goes to a pipe: no colours, and no progress bar.
    assert!(!stdout.contains(['\x1b', '\r']), "{stdout}");
    stdout
}

#[test]
fn it_shows_a_real_guest_where_there_is_one() {
    let stdout = success(run(&[file("a-few-pages", 20_001)]));
    let guest = stdout.lines().find(|line| line.trim_start().starts_with("guest ")).unwrap();
    match Vm::available() {
        Ok(()) => {
            assert!(guest.contains("/dev/kvm"), "{guest}");
            assert!(stdout.contains("✓ KVM's log names exactly what the guest wrote"), "{stdout}");
        }
        Err(reason) => {
            println!("skipped: no /dev/kvm ({reason}): a stand-in was shown");
            assert!(guest.contains(&reason), "{guest}");
        }
    }
}

#[test]
fn it_says_at_each_step_that_a_thread_stands_in_for_the_guest() {
    let stdout = success(run(&[Path::new("--no-kvm"), &file("two-pages", 8_192)]));
    assert!(stdout.contains("guest  NONE: a thread plays its part, without KVM"), "{stdout}");
    assert_eq!(stdout.matches("[no KVM: a thread stands in for the guest]").count(), 3, "{stdout}");
}

#[test]
fn it_loads_files_of_any_length() {
    for len in [1, 8, 9, 8_193, (6 << 20) + 1] {
        let file = file("of-any-length", len);
        let stdout = success(run(&[Path::new("--no-kvm"), &file]));
        let border = if len > 8 { "✓ it lies in two regions" } else { "too small to lie in two" };
        assert!(stdout.contains(border), "{len}: {stdout}");
        let cut = stdout.contains("of which the first 6 291 456");
        assert_eq!(cut, len > 6 << 20, "{len}: {stdout}");
    }
}

#[test]
fn it_refuses_what_it_cannot_load_in_a_line() {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let (missing, empty) = (format!("{folder}/not-there"), file("empty", 0));
    let cases: [(&[&str], &str); 5] = [
        (&[&missing], "not-there: No such file"),
        (&[folder], "not a regular file"),
        (&[empty.to_str().unwrap()], "the file is empty"),
        (&["--kvm"], "unknown option --kvm"),
        (&["one", "two"], "more than one file"),
    ];
    for (arguments, why) in cases {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(why), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn it_fails_loudly_where_something_does_not_match() {
    // A file that is another one each time it is read.
    let changing = Path::new("/proc/sys/kernel/random/uuid");
    if !changing.exists() {
        println!("skipped: there is no {}", changing.display());
        return;
    }
    let output = run(&[Path::new("--no-kvm"), changing]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("demo: FAILED: step 2: "), "{stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(!stdout.contains("passed"), "{stdout}");
}

#[test]
fn it_says_what_it_can_be_asked_for() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    let stdout = String::from_utf8(output.stdout).unwrap();
    for word in ["[file]", "--no-kvm", "--help", "/dev/kvm"] {
        assert!(stdout.contains(word), "{stdout}");
    }
}
