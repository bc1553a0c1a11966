//! The chart for the README: what a few operations cost, as a multiple of a raw pointer.

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
    ("write a u64, recorded", "write_obj_recorded", "u64 n=4 hot"),
    ("map in force, read a u32", "snapshot_read", "u32 hot 1-thread"),
    ("virtio chain, metadata", "chain", "n=4"),
    ("virtio chain, 4 KiB of data", "chain_4k", "n=4"),
];

/// The contestants, with their colours.
const CONTESTANTS: [(&str, &str, RGBColor); 3] = [
    ("0.16", "vm-memory 0.16", RGBColor(0x9e, 0xb4, 0xc8)),
    ("0.18", "vm-memory 0.18", RGBColor(0x5b, 0x7f, 0xa3)),
    ("ours", "guest-memory", RGBColor(0xd9, 0x6c, 0x2c)),
];

const GREY: RGBColor = RGBColor(0x60, 0x60, 0x60);
const PALE: RGBColor = RGBColor(0xd0, 0xd0, 0xd0);

const WIDTH: i32 = 860;
const LEFT: i32 = 210;
const TOP: i32 = 70;
const BAR: i32 = 11;
const GAP: i32 = 12;

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
    let decades = most.log10().ceil();
    let room = f64::from(WIDTH - LEFT - 60);
    // Where a ratio is: the axis starts a little below 1, so that a bar of 1 can be seen.
    let at = |ratio: f64| {
        let share = (ratio.max(0.5).log10() - 0.5_f64.log10()) / (decades - 0.5_f64.log10());
        LEFT + (share * room).round() as i32
    };
    let step = BAR * 3 + GAP;
    let bottom = TOP + step * i32::try_from(rows.len())?;
    let height = bottom + 60;
    let size = (WIDTH.cast_unsigned(), height.cast_unsigned());
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: i32, color: &'static RGBColor, horizontal, vertical| {
        let style = ("sans-serif", size).into_text_style(&area).color(color);
        style.pos(Pos::new(horizontal, vertical))
    };
    let title =
        "Cost of an access to guest memory, as a multiple of a raw pointer (shorter is better)";
    area.draw(&Text::new(title, (10, 10), text(19, &BLACK, HPos::Left, VPos::Top)))?;
    let mut legend = LEFT;
    for (_, name, color) in CONTESTANTS {
        area.draw(&Rectangle::new([(legend, 40), (legend + 12, 52)], color.filled()))?;
        area.draw(&Text::new(name, (legend + 17, 40), text(15, &BLACK, HPos::Left, VPos::Top)))?;
        legend += 150;
    }
    for decade in 0..=decades as i32 {
        let x = at(10_f64.powi(decade));
        let line = vec![(x, TOP - 4), (x, bottom)];
        area.draw(&PathElement::new(line, PALE))?;
        let label = format!("{}x", 10_i64.pow(decade.unsigned_abs()));
        area.draw(&Text::new(label, (x, bottom + 4), text(14, &GREY, HPos::Center, VPos::Top)))?;
    }
    for (index, (name, ratios)) in (0..).zip(rows) {
        let top = TOP + step * index;
        let middle = top + BAR * 3 / 2;
        let style = text(15, &BLACK, HPos::Right, VPos::Center);
        area.draw(&Text::new(*name, (LEFT - 8, middle), style))?;
        for (turn, (ratio, (_, _, color))) in (0..).zip(ratios.iter().zip(CONTESTANTS)) {
            let y = top + BAR * turn;
            area.draw(&Rectangle::new([(LEFT, y), (at(*ratio), y + BAR - 1)], color.filled()))?;
            let style = text(13, &GREY, HPos::Left, VPos::Top);
            area.draw(&Text::new(format!("{ratio:.1}x"), (at(*ratio) + 4, y), style))?;
        }
    }
    let foot = format!("{}; {profile}; hot addresses", machine.line());
    area.draw(&Text::new(foot, (10, height - 20), text(13, &GREY, HPos::Left, VPos::Top)))?;
    area.present()?;
    Ok(())
}
