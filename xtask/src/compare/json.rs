//! The result for programs: every target, and every cell under it.

use serde_json::{Value, json};

use crate::compare::judge::Run;
use crate::compare::machine::Machine;
use crate::compare::measured::Measured;
use crate::compare::table::Judged;
use crate::profiles::Profile;

/// All of one run.
pub(super) fn whole(
    machine: &Machine,
    rounds: usize,
    rows: &[Judged],
    runs: &[(Profile, Run)],
) -> Value {
    let cells: Vec<_> = runs
        .iter()
        .flat_map(|(profile, run)| {
            let queue = run.queue.iter().flat_map(|queue| cells(*profile, queue));
            cells(*profile, &run.measured).chain(queue)
        })
        .collect();
    json!({
        "date": machine.date,
        "processor": machine.processor,
        "system": machine.system,
        "compiler": machine.compiler,
        "rounds": rounds,
        "targets": rows.iter().map(target).collect::<Vec<_>>(),
        "cells": cells,
    })
}

fn target(judged: &Judged) -> Value {
    let mut json = json!({
        "row": judged.target.row,
        "target": judged.target.says,
        "verdict": judged.verdict.word(),
        "told": judged.told(),
    });
    if let Some(figures) = judged.verdict.figures() {
        json["figure"] = figures.figure.into();
        json["limit"] = figures.limit.into();
        json["worst_in"] = figures.profile.name().into();
        json["worst_by"] = figures.variant.as_str().into();
        json["raw_ns"] = figures.raw.into();
        for (name, figure) in &figures.all {
            json["figures"][name] = (*figure).into();
        }
    }
    json
}

fn cells(profile: Profile, measured: &Measured) -> impl Iterator<Item = Value> {
    measured.all().map(move |(cell, variant)| {
        json!({
            "profile": profile.name(),
            "row": cell.row,
            "case": cell.case,
            "setting": cell.setting,
            "variant": variant,
            "ns": measured.time(cell, variant),
            "bytes": measured.bytes(cell, variant),
            "ratio": measured.ratio(cell, variant, "raw"),
        })
    })
}
