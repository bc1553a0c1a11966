//! Judging, and how it is told, on figures that are known.

use crate::compare::judge::{Run, Verdict, judge};
use crate::compare::machine::Machine;
use crate::compare::measured::{Measured, median};
use crate::compare::options::Options;
use crate::compare::table::{Judged, markdown, summary, text};
use crate::compare::targets::{Cells, Figure, Measure, Over, TARGETS, Target};
use crate::compare::{chart, document, json};
use crate::instructions::Counts;
use crate::profiles::Profile;

/// What a program prints of one contestant in one cell.
fn line(row: &str, case: &str, variant: &str, ns: &str) -> String {
    format!(
        r#"{{"row":"{row}","case":"{case}","setting":"company","variant":"{variant}","ns":[{ns}]}}"#
    )
}

fn run(lines: &[String]) -> Run {
    let mut run = Run::default();
    run.measured.read(&lines.join("\n")).unwrap();
    run
}

/// A target of a ratio to raw.
const fn target(over: Over, figure: Figure, at_most: f64) -> Target {
    let (rows, words, by) = (&["read"], &[], &["ours", "facade"]);
    let cells = Cells { rows, words, by, figure, over, at_most };
    Target { group: "g", row: "a row", says: "at most", measure: Measure::Cells(cells) }
}

/// Raw at 1 ns, ours and the facade at what is said, in two cells.
fn reads(ours: [&str; 2], facade: [&str; 2]) -> Run {
    let cell = |case, turn: usize| {
        [("raw", "1,1,1"), ("0.18", "9,9,9"), ("ours", ours[turn]), ("facade", facade[turn])]
            .map(|(variant, ns)| line("read", case, variant, ns))
    };
    run(&[cell("n=1", 0), cell("n=2", 1)].concat())
}

fn judged(target: &Target, runs: &[(Profile, Run)]) -> Verdict {
    judge(target, runs, &Counts::default())
}

fn word(target: &Target, runs: &[(Profile, Run)]) -> &'static str {
    judged(target, runs).word()
}

#[test]
fn a_ratio_is_formed_in_each_round_before_the_median() {
    let mut measured = Measured::default();
    let lines = [line("r", "c", "raw", "1,2,4"), line("r", "c", "ours", "3,4,4")];
    measured.read(&lines.join("\n")).unwrap();
    let cell = measured.cells("r").next().unwrap().clone();
    assert_eq!(measured.ratio(&cell, "ours", "raw"), Some(2.0));
    assert_eq!(measured.difference(&cell, "ours", "raw"), Some(2.0));
    assert_eq!(measured.time(&cell, "ours"), Some(4.0));
    assert_eq!(measured.ratio(&cell, "0.18", "raw"), None);
    assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
    assert_eq!(median(Vec::new()), None);
}

#[test]
fn what_is_no_measurement_is_refused_with_the_line() {
    for line in ["nonsense", "{}", r#"{"row":"r","case":"c","setting":"s","variant":"v"}"#] {
        let problem = Measured::default().read(line).unwrap_err();
        assert!(format!("{problem:#}").contains(line), "{problem:#}");
    }
}

#[test]
fn a_target_that_only_holds_in_one_profile_is_missed() {
    let (good, bad) = (|| reads(["2,2,2"; 2], ["2,2,2"; 2]), || reads(["2,2,2"; 2], ["4,4,4"; 2]));
    let target = target(Over::Median, Figure::Ratio, 3.0);
    assert_eq!(word(&target, &[(Profile::Release, good())]), "met");
    let verdict = judged(&target, &[(Profile::Release, good()), (Profile::Small, bad())]);
    assert_eq!(verdict.word(), "missed");
    let figures = verdict.figures().unwrap();
    assert_eq!((figures.profile, figures.figure), (Profile::Small, 4.0));
    assert_eq!(figures.variant, "facade");
}

#[test]
fn the_worst_cell_counts_where_no_cell_may_be_above() {
    let runs = [(Profile::Fat, reads(["1,1,1", "5,5,5"], ["1,1,1", "1,1,1"]))];
    assert_eq!(word(&target(Over::Median, Figure::Ratio, 3.0), &runs), "met");
    assert_eq!(word(&target(Over::Worst, Figure::Ratio, 4.9), &runs), "missed");
    assert_eq!(word(&target(Over::Worst, Figure::Ratio, 5.0), &runs), "met");
}

#[test]
fn growth_is_from_one_case_to_the_same_with_another_word() {
    let runs = [(Profile::Fat, reads(["2,2,2", "3,3,3"], ["2,2,2", "2,2,2"]))];
    let growth = Figure::Growth { from: "n=1", to: "n=2" };
    let verdict = judged(&target(Over::Median, growth, 1.1), &runs);
    assert_eq!(verdict.word(), "missed");
    assert_eq!(verdict.figures().unwrap().figure, 1.5);
}

#[test]
fn a_limit_in_nanoseconds_is_the_one_stated_however_slow_the_machine() {
    let mut slow = reads(["2,2,2"; 2], ["2,2,2"; 2]);
    slow.measured.read(&line("control", "u32 hot", "raw", "0.48,0.48,0.48")).unwrap();
    let runs = [(Profile::Fat, slow)];
    let verdict = judged(&target(Over::Worst, Figure::Time, 1.5), &runs);
    assert_eq!((verdict.word(), verdict.figures().unwrap().limit), ("missed", 1.5));
    assert_eq!(word(&target(Over::Worst, Figure::Time, 2.0), &runs), "met");
}

#[test]
fn what_takes_less_than_a_half_of_a_locked_instruction_has_none() {
    let mut run = reads(["2,2,2"; 2], ["2,2,2"; 2]);
    let wanted = target(Over::Worst, Figure::OfLocked, 0.5);
    run.measured.read(&line("locked", "fetch_or", "raw", "4,4,4")).unwrap();
    let runs = [(Profile::Fat, run)];
    let verdict = judged(&wanted, &runs);
    assert_eq!((verdict.word(), verdict.figures().unwrap().figure), ("met", 0.5));
    let (target, nothing_locked) = (&wanted, [(Profile::Fat, reads(["2"; 2], ["2"; 2]))]);
    assert_eq!(word(target, &nothing_locked), "not measured");
}

#[test]
fn a_contestant_that_is_missing_is_not_measured_and_never_met() {
    let runs =
        [(Profile::Fat, run(&[line("read", "n=1", "raw", "1"), line("read", "n=1", "ours", "1")]))];
    let verdict = judged(&target(Over::Median, Figure::Ratio, 3.0), &runs);
    assert_eq!(verdict, Verdict::NotMeasured("no program has `facade` for it".to_owned()));
    let nothing = judged(&target(Over::Median, Figure::Ratio, 3.0), &[]);
    assert_eq!(nothing.word(), "not measured");
}

#[test]
fn a_speedup_is_that_of_the_worst_profile() {
    let queue = |stock: &str| {
        let mut queue = Measured::default();
        let lines = [line("queue", "0B", "stock", stock), line("queue", "0B", "ours", "10,10")];
        queue.read(&lines.join("\n")).unwrap();
        Run { queue: Some(queue), ..Run::default() }
    };
    let measure = Measure::Speedup { case: "0B", at_least: 4.5 };
    let target = Target { group: "g", row: "r", says: "faster", measure };
    let runs = [(Profile::Fat, queue("50,50")), (Profile::Small, queue("40,40"))];
    let verdict = judged(&target, &runs);
    assert_eq!((verdict.word(), verdict.figures().unwrap().figure), ("missed", 4.0));
    assert_eq!(word(&target, &runs[..1]), "met");
}

/// Every target, by a run that has but a few reads.
fn everything() -> (Vec<Judged>, Vec<(Profile, Run)>) {
    let reads = ["n=1", "n=4", "n=512"].map(|n| {
        let case = format!("u32 {n} hot");
        ["raw", "0.16", "0.18", "ours", "facade"]
            .map(|name| line("read_obj", &case, name, if name == "raw" { "1" } else { "2" }))
    });
    let runs = vec![(Profile::Fat, run(&reads.concat()))];
    let rows = TARGETS.iter().map(|target| Judged { target, verdict: judged(target, &runs) });
    (rows.collect(), runs)
}

fn machine() -> Machine {
    let word = |word: &str| word.to_owned();
    Machine {
        date: word("2026-01-02"),
        processor: word("a processor"),
        system: word("a system"),
        compiler: word("rustc"),
    }
}

#[test]
fn the_table_has_a_row_for_each_target() {
    let (rows, _) = everything();
    let (text, markdown) = (text(&rows), markdown(&rows));
    for target in TARGETS {
        assert!(text.contains(target.row) && text.contains(&format!("  {}", target.says)));
        assert!(markdown.contains(&format!("| {} |", target.says)), "{}", target.says);
    }
    assert!(text.contains("met: 2.00x of 3.00x"), "{text}");
    assert!(text.contains("not measured: no program has `cursor` for it"), "{text}");
    let most = format!("{} targets: 3 met, 0 missed, {} not measured", rows.len(), rows.len() - 3);
    assert_eq!(summary(&rows), most);
}

#[test]
fn the_json_has_every_target_and_every_cell() {
    let (rows, runs) = everything();
    let json = json::whole(&machine(), 31, &rows, &runs);
    assert_eq!(json["targets"].as_array().unwrap().len(), TARGETS.len());
    assert_eq!(json["targets"][0]["verdict"], "met");
    assert_eq!(json["targets"][0]["figures"]["0.18"], 2.0);
    assert_eq!(json["cells"].as_array().unwrap().len(), 15);
    assert_eq!(json["date"], "2026-01-02");
}

#[test]
fn the_chart_has_the_measured_operations_the_date_and_the_machine() {
    let (_, runs) = everything();
    let svg = chart::svg(&machine(), "a profile", &runs[0].1.measured).unwrap();
    for word in [
        "<svg",
        "What an access to guest memory costs",
        "on a logarithmic scale: the further left a bar ends, the better",
        "read a u32",
        "512 regions",
        "vm-memory 0.18",
        "our vm-memory, the drop-in",
        "2.0x",
    ] {
        assert!(svg.contains(word), "no {word} in {svg}");
    }
    assert!(svg.contains("2026-01-02") && svg.contains("a processor") && svg.contains("a profile"));
    assert!(!svg.contains("virtio chain"), "it was not measured");
    // A contestant is a bar for each of the two operations, and one in the legend.
    assert_eq!(svg.matches("fill=\"#D0561C\"").count(), 3, "{svg}");
}

#[test]
fn figures_replace_those_before_and_nothing_else() {
    let place = "<!-- figures: written by `cargo xtask bench --compare` -->";
    let text = format!("a\n{place}\nold\n<!-- end of figures -->\nb\n");
    let once = document::with_figures(&text, "new\n").unwrap();
    assert_eq!(once, format!("a\n{place}\n\nnew\n\n<!-- end of figures -->\nb\n"));
    assert_eq!(document::with_figures(&once, "new\n").unwrap(), once);
    assert!(document::with_figures("no place", "new").is_err());
    let page = include_str!("../../../docs/performance.md");
    assert!(document::with_figures(page, "new").is_ok());
}

fn options(line: &str) -> Result<Options, String> {
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    Options::parse(&words).map_err(|problem| format!("{problem:#}"))
}

#[test]
fn a_filter_is_a_group_or_a_part_of_a_row() {
    let whole = options("--compare").unwrap();
    assert!(whole.is_whole() && whole.targets().len() == TARGETS.len());
    let few = options("--compare --rounds 101 --profile fat atomics harvest").unwrap();
    assert!(!few.is_whole());
    assert_eq!((few.rounds, few.profiles.as_slice()), (101, &[Profile::Fat][..]));
    let groups: Vec<_> = few.targets().iter().map(|target| target.group).collect();
    assert_eq!(groups[..3], ["atomics"; 3]);
    assert_eq!(groups[3], "harvest");
    assert_eq!(options("--compare fd").unwrap().targets().len(), 4);
    for (line, says) in [
        ("--compare nothing-like-it", "no target has `nothing-like-it`"),
        ("--compare --rounds 0", "`--rounds` wants a number above 0"),
        ("--compare --profile debug", "`--profile` wants one of release, fat, small"),
        ("--compare --fast", "there is no flag `--fast`"),
    ] {
        assert!(options(line).unwrap_err().contains(says), "{line}");
    }
}
