//! What is printed: steps, facts and checks.

use std::fmt::{self, Debug, Display};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::number::Time;

/// The printed account of the demonstration.
///
/// It prints by itself, line by line; an error of its methods is that of standard output, or a check that failed.
pub(crate) struct Report {
    colour: bool,
    checks: usize,
    steps: usize,
    started: Instant,
    step_started: Instant,
    step_checks: usize,
}

impl Report {
    /// An account that starts now.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour, checks: 0, steps: 0, started: now, step_started: now, step_checks: 0 }
    }

    /// What it is about.
    pub(crate) fn title(&self, text: &str) -> io::Result<()> {
        print(format_args!("{}", self.paint(BOLD, text)))
    }

    /// A fact that holds for all of it.
    pub(crate) fn fact(&self, name: &str, value: impl Display) -> io::Result<()> {
        print(format_args!("   {name}  {value}"))
    }

    /// Something that must not be overlooked.
    pub(crate) fn warn(&self, text: &str) -> io::Result<()> {
        print(format_args!("   {}", self.paint(YELLOW, &format!("! {text}"))))
    }

    /// The next step starts.
    pub(crate) fn step(&mut self, title: &str) -> io::Result<()> {
        self.end_of_step()?;
        self.steps += 1;
        self.step_started = Instant::now();
        self.step_checks = self.checks;
        print(format_args!("\n{}", self.paint(BOLD, &format!("{}  {title}", self.steps))))
    }

    /// What is done, or was found, in a line or several.
    pub(crate) fn say(&self, text: impl Display) -> io::Result<()> {
        text.to_string().lines().try_for_each(|line| print(format_args!("   {line}")))
    }

    /// A claim that is to hold.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub(crate) fn check(&mut self, claim: impl Display, holds: bool) -> Result<()> {
        if !holds {
            self.cross(&claim)?;
            bail!("does not hold: {claim}");
        }
        self.tick(&claim)?;
        Ok(())
    }

    /// A claim that two values are the same.
    ///
    /// # Errors
    ///
    /// If they are not; it shows both.
    pub(crate) fn check_same<T: PartialEq + Debug>(
        &mut self,
        claim: impl Display,
        found: &T,
        expected: &T,
    ) -> Result<()> {
        if found != expected {
            self.cross(&claim)?;
            bail!("does not hold: {claim}\n  found     {found:x?}\n  expected  {expected:x?}");
        }
        self.tick(&claim)?;
        Ok(())
    }

    /// All is shown, and every check passed.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.end_of_step()?;
        let all = format!("all {} checks passed", self.checks);
        print(format_args!("\ntotal {}", Time(self.started.elapsed())))?;
        print(format_args!("{}", self.paint(GREEN, &all)))
    }

    fn end_of_step(&mut self) -> io::Result<()> {
        if self.steps == 0 {
            return Ok(());
        }
        let took: Duration = self.step_started.elapsed();
        let text = format!("{} checks, {}", self.checks - self.step_checks, Time(took));
        print(format_args!("   {}", self.paint(DIM, &text)))
    }

    fn tick(&mut self, claim: &dyn Display) -> io::Result<()> {
        self.checks += 1;
        print(format_args!("   {} {claim}", self.paint(GREEN, "✓")))
    }

    fn cross(&self, claim: &dyn Display) -> io::Result<()> {
        print(format_args!("   {} {claim}", self.paint(RED, "✗")))
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

// Colours as terminals number them.
const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// Prints a line. (`println!` panics where the reader of a pipe has gone.)
fn print(line: fmt::Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
}
