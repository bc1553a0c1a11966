//! `cargo xtask demo`: the crates at their main job, with a real guest, step by step, every claim checked.
//!
//! Exit code 0: every check passed. 1: one did not, or something broke. 2: the arguments are wrong, or the file
//! cannot be read.

use std::process::ExitCode;

use show::{Arguments, Ask};

mod show;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(Ask::Show(arguments)) => arguments,
        Ok(Ask::Help) => {
            println!("{}", Arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(refusal) => return refused(&refusal),
    };
    let image = match arguments.image() {
        Ok(image) => image,
        Err(refusal) => return refused(&refusal),
    };
    match show::run(&image, arguments.player) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: FAILED: {error:#}");
            ExitCode::from(1)
        }
    }
}

/// Says what is wrong with what the demonstration was given.
fn refused(why: &str) -> ExitCode {
    eprintln!("demo: {why}");
    ExitCode::from(2)
}
