//! The chart for the README: what a few operations cost, as a multiple of a raw pointer.
//!
//! A bar's length is the logarithm of a ratio, and the bars start at the pointer itself: to the right of its line is what checks and
//! lookups cost, to the left what is faster than `memcpy`.

use anyhow::{Result, anyhow};
use plotters::prelude::{
    BLACK, Color as _, IntoDrawingArea as _, PathElement, RGBColor, Rectangle, SVGBackend, Text,
    WHITE,
};
use plotters::style::IntoTextStyle as _;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::compare::machine::Machine;
use crate::compare::measured::{Cell, Measured};

/// The operations: how a reader calls them, and the cell.
const OPERATIONS: [(&str, &str, &str); 11] = [
    ("read a u32", "read_obj", "u32 n=4 hot"),
    ("write a u32", "write_obj", "u32 n=4 hot"),
    ("read a u32, 512 regions", "read_obj", "u32 n=512 hot"),
    ("read 16 bytes", "read_16", "16B n=4 hot"),
    ("load a u16", "load", "u16 n=4 hot"),
    ("copy 256 bytes", "read_slice", "256B n=4 hot"),
    ("copy 4 KiB", "read_slice", "4KiB n=4 hot"),
    ("write a u64, page recorded dirty", "write_obj_recorded", "u64 n=4 hot"),
    ("read a u32 of the map in force", "snapshot_read", "u32 hot 1-thread"),
    ("walk a virtio chain", "chain", "n=4"),
    ("the same with 4 KiB of data", "chain_4k", "n=4"),
];

/// The contestants, with their colours.
const CONTESTANTS: [(&str, &str, RGBColor); 3] = [
    ("0.18", "vm-memory 0.18", RGBColor(0x8f, 0xa3, 0xb5)),
    ("facade", "our vm-memory, the drop-in", RGBColor(0xf0, 0xb0, 0x74)),
    ("ours", "guest-memory", RGBColor(0xd0, 0x56, 0x1c)),
];

const GREY: RGBColor = RGBColor(0x60, 0x60, 0x60);
const PALE: RGBColor = RGBColor(0xd0, 0xd0, 0xd0);

const WIDTH: i32 = 900;
const LEFT: i32 = 250;
const RIGHT: i32 = 70;
const TOP: i32 = 112;
const BAR: i32 = 13;
const GAP: i32 = 14;

/// Where the axis starts: at what takes a half of the raw pointer's time, so that there is room for its line.
const LEAST: f64 = 0.5;

/// The chart, of the figures under one profile in a program that does everything. Operations that were not
/// measured are left out.
pub(super) fn svg(machine: &Machine, profile: &str, measured: &Measured) -> Result<String> {
    let rows: Vec<_> = OPERATIONS
        .iter()
        .filter_map(|(name, row, case)| {
            let cell = Cell {
                row: (*row).to_owned(),
                case: (*case).to_owned(),
                setting: "company".to_owned(),
            };
            let ratio = |contestant: &str| measured.ratio(&cell, contestant, "raw");
            Some((
                *name,
                CONTESTANTS.iter().map(|(key, ..)| ratio(key)).collect::<Option<Vec<_>>>()?,
            ))
        })
        .collect();
    let mut svg = String::new();
    draw(&mut svg, machine, profile, &rows).map_err(|problem| anyhow!("no chart: {problem}"))?;
    Ok(svg)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(svg: &mut String, machine: &Machine, profile: &str, rows: &[(&str, Vec<f64>)]) -> Drawn {
    let most = rows.iter().flat_map(|(_, ratios)| ratios).copied().fold(10.0, f64::max);
    let room = f64::from(WIDTH - LEFT - RIGHT);
    let at = |ratio: f64| {
        let share = (ratio.max(LEAST) / LEAST).log10() / (most / LEAST).log10();
        LEFT + (share * room).round() as i32
    };
    let step = BAR * 3 + GAP;
    let bottom = TOP + step * i32::try_from(rows.len())?;
    let height = bottom + 82;
    let size = (WIDTH.cast_unsigned(), height.cast_unsigned());
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    // Not transparent: a reader's page may be dark.
    area.fill(&WHITE)?;
    let text = |size: i32, color: &'static RGBColor, horizontal, vertical| {
        let style = ("sans-serif", size).into_text_style(&area).color(color);
        style.pos(Pos::new(horizontal, vertical))
    };
    let start = |size, color| text(size, color, HPos::Left, VPos::Top);
    area.draw(&Text::new("What an access to guest memory costs", (16, 14), start(22, &BLACK)))?;
    let unit = "Time as a multiple of a raw pointer's (of memcpy, for copies), on a logarithmic scale: \
                the further left a bar ends, the better";
    area.draw(&Text::new(unit, (16, 44), start(14, &GREY)))?;
    let mut legend = LEFT;
    for (_, name, color) in CONTESTANTS {
        area.draw(&Rectangle::new([(legend, 72), (legend + 14, 86)], color.filled()))?;
        area.draw(&Text::new(name, (legend + 20, 72), start(15, &BLACK)))?;
        legend += 60 + 8 * i32::try_from(name.len())?;
    }
    for mark in
        [1, 2, 5, 10, 20, 50, 100, 200, 500].into_iter().filter(|mark| f64::from(*mark) <= most)
    {
        let (x, is_raw) = (at(f64::from(mark)), mark == 1);
        let line = vec![(x, TOP - 6), (x, bottom)];
        area.draw(&PathElement::new(line, if is_raw { GREY } else { PALE }))?;
        let label = if is_raw { "raw pointer".to_owned() } else { format!("{mark}x") };
        let style = text(14, if is_raw { &BLACK } else { &GREY }, HPos::Center, VPos::Top);
        area.draw(&Text::new(label, (x, bottom + 6), style))?;
    }
    for (index, (name, ratios)) in (0..).zip(rows) {
        let top = TOP + step * index;
        let style = text(15, &BLACK, HPos::Right, VPos::Center);
        area.draw(&Text::new(*name, (LEFT - 12, top + BAR * 3 / 2), style))?;
        for (turn, (ratio, (_, _, color))) in (0..).zip(ratios.iter().zip(CONTESTANTS)) {
            let y = top + BAR * turn;
            let (from, to) = (at(1.0).min(at(*ratio)), at(1.0).max(at(*ratio)));
            // What costs as much as the pointer still has a bar.
            let bar = [(from - 1, y), (to + 1, y + BAR - 2)];
            area.draw(&Rectangle::new(bar, color.filled()))?;
            let style = text(13, &GREY, HPos::Left, VPos::Center);
            area.draw(&Text::new(multiple(*ratio), (to + 6, y + BAR / 2), style))?;
        }
    }
    for (line, foot) in (0..).zip([
        machine.line(),
        format!("{profile}; hot cache lines; four regions where no other number is said"),
    ]) {
        area.draw(&Text::new(foot, (16, height - 42 + 18 * line), start(12, &GREY)))?;
    }
    area.present()?;
    Ok(())
}

/// As many digits as mean something.
fn multiple(ratio: f64) -> String {
    if ratio < 9.95 { format!("{ratio:.1}x") } else { format!("{ratio:.0}x") }
}
