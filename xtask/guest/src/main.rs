//! The guest's program: `storm`, `rate`, `hold` or `span`, and what it needs to know.

#![forbid(unsafe_code)]

use std::env;
use std::io;
use std::process::ExitCode;

use xtask_guest::hold::Hold;
use xtask_guest::rate::Rate;
use xtask_guest::span::Span;
use xtask_guest::storm::Storm;
use xtask_guest::words::Words;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("failed: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let mut words = Words::new(env::args().skip(1));
    match words.word("command")?.as_str() {
        "storm" => Storm::parse(&mut words)?.run(),
        "rate" => Rate::parse(&mut words)?.run(),
        "hold" => Hold::parse(&mut words)?.run(),
        "span" => Span::parse(&mut words)?.run(),
        unknown => Err(io::Error::other(format!("there is no command `{unknown}`"))),
    }
}
