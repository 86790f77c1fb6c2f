//! The rules of the house, read off the sources: what may know of what, and how large things get.
//!
//! A rule that fails names each place that breaks it. `lib.rs` tells the layers; the lists below
//! tell which module is the door to which crate.

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/house.rs"]
mod house;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use code::{Function, functions, line_of, mentions, places_of};
use house::{House, SourceFile};

/// A crate, and where alone it is known. A place that ends in `/` is a folder.
const DOORS: [(&str, &[&str]); 13] = [
    ("reqwest", &["clerk/"]),
    ("rustls", &["clerk/"]),
    ("secrecy", &["clerk/"]),
    ("csv", &["input/", "results/"]),
    ("csv_core", &["input/", "results/"]),
    ("indicatif", &["report/"]),
    ("console", &["report/"]),
    ("askama", &["report/"]),
    ("axum", &["sandbox/"]),
    ("governor", &["engine/"]),
    ("fastrand", &["engine/", "sandbox/"]),
    ("clap", &["cli/", "main.rs"]),
    ("anyhow", &["cli/", "main.rs"]),
];

/// Who may read a clock: everybody else is told the time.
const CLOCKS: [&str; 5] = [
    "clerk/client.rs",  // A `Retry-After` that names a date, of an answer without one.
    "report/screen.rs", // The times of log lines.
    "sandbox/",         // A server on its own.
    "engine/clock.rs",  // The time of everything that happens in a run.
    "cli/",             // When a run began.
];

/// The groups at the top of `lib.rs` that touch nothing outside the program.
const N_PURE_GROUPS: usize = 3;

/// What those don't name of the standard library.
const OUTSIDE: [&str; 6] = ["env", "fs", "io", "net", "process", "thread"];

const MAX_FILE: usize = 350;
const MAX_FUNCTION: usize = 60;
/// Nine functions in ten are no longer than this.
const MAX_P90: usize = 30;

static HOUSE: LazyLock<House> = LazyLock::new(|| House::read().expect("src/ can be read"));

#[test]
fn every_module_is_on_the_map_and_the_map_names_no_other() {
    let found = |module: &str| HOUSE.files.iter().any(|it| it.module() == module);
    let missing = HOUSE.map.modules().filter(|it| !found(it));
    let missing = missing.map(|it| format!("src/lib.rs names {it}, and there is no such file"));
    let unlisted = modules().filter(|it| HOUSE.map.group_of(it.module()).is_none());
    let unlisted = unlisted.map(|it| format!("src/{}: `{}` is in no group", it.path, it.module()));
    none("`lib.rs` lists each top-level module as `pub mod`", missing.chain(unlisted));
}

#[test]
fn a_module_imports_from_the_groups_above_its_own_alone() {
    let wrong = |file: &SourceFile| {
        let own = HOUSE.map.group_of(file.module());
        let named = file.modules_named().into_iter();
        let below = named.filter(|(_, it)| it != file.module() && HOUSE.map.group_of(it) >= own);
        let told = below
            .map(|(line, it)| format!("{}: `{}` can't know `{it}`", file.at(line), file.module()));
        told.collect::<Vec<_>>()
    };
    none("imports go up the map of `lib.rs`", modules().flat_map(wrong));
}

#[test]
fn each_crate_is_known_behind_its_own_door_alone() {
    let manifest = read("Cargo.toml");
    let known = |name: &str| manifest.contains(&format!("\n{} = ", name.replace('_', "-")));
    let gone = DOORS.iter().filter(|(name, _)| !known(name));
    let gone = gone.map(|(name, _)| format!("{name} is no dependency any more: take it off here"));
    let stray = DOORS.iter().flat_map(|&(name, doors)| {
        let paths = |file: &SourceFile| paths_into(name, &file.code);
        outside(doors, paths).into_iter().map(move |at| format!("{at}: {name} is for {doors:?}"))
    });
    none("a crate has one door", gone.chain(stray));
}

#[test]
fn signals_come_in_by_the_stop_alone() {
    let is_signal = |(_, name): &(usize, String)| name == "signal";
    let stray = HOUSE.files.iter().filter(|it| it.module() != "stop").flat_map(|it| {
        let named = it.names_behind("tokio::").into_iter().filter(is_signal);
        named.map(|(line, _)| it.at(line)).collect::<Vec<_>>()
    });
    none("`tokio::signal` is for `stop`", stray);
}

#[test]
fn clocks_are_read_in_few_places_and_the_others_are_told_the_time() {
    let stray = ["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now"].map(|clock| {
        outside(&CLOCKS, |file| mentions(&file.code, clock).collect())
            .into_iter()
            .map(move |at| format!("{at}: {clock}"))
    });
    none("time is a parameter", stray.into_iter().flatten());
}

#[test]
fn words_counts_and_decisions_touch_nothing_outside() {
    let pure = modules()
        .filter(|it| HOUSE.map.group_of(it.module()).is_some_and(|group| group < N_PURE_GROUPS));
    let touches = |file: &SourceFile| {
        let of_std = file.names_behind("std::").into_iter();
        let of_std = of_std.filter(|(_, it)| OUTSIDE.contains(&it.as_str()));
        let others = ["tokio", "futures_util", "async", "print", "println", "eprint", "eprintln"];
        let others = others.iter().flat_map(|&name| {
            places_of(&file.code, name).map(move |at| (line_of(&file.code, at), name.to_owned()))
        });
        of_std
            .chain(others)
            .map(|(line, it)| format!("{}: {it}", file.at(line)))
            .collect::<Vec<_>>()
    };
    none("the first three groups of `lib.rs` are pure", pure.flat_map(touches));
}

#[test]
fn nobody_leaves_by_process_exit() {
    let places = |file: &SourceFile| {
        let exits = ["process::exit", "process::abort"].map(|it| mentions(&file.code, it));
        exits.into_iter().flatten().collect()
    };
    none("an exit code is returned", outside(&[], places).into_iter());
}

#[test]
fn every_file_begins_by_saying_what_it_is_for() {
    let files = HOUSE.files.iter();
    let silent = files.filter(|it| !it.text.starts_with("//! ")).map(|it| it.at(1));
    none("a file begins with `//!`", silent);
}

#[test]
fn no_file_is_longer_than_350_lines() {
    let files = HOUSE.files.iter().filter(|it| it.n_lines > MAX_FILE);
    none("files are short", files.map(|it| format!("src/{}: {} lines", it.path, it.n_lines)));
}

#[test]
fn no_function_is_longer_than_60_lines_and_nine_in_ten_are_no_longer_than_30() {
    let mut all: Vec<(&SourceFile, Function)> = Vec::new();
    for file in &HOUSE.files {
        all.extend(functions(&file.code).into_iter().map(|it| (file, it)));
    }
    all.sort_by_key(|(_, function)| function.n_lines);
    let n_long = all.iter().filter(|(_, it)| it.n_lines > MAX_P90).count();
    let is_tail_long = n_long * 10 > all.len();
    let limit = if is_tail_long { MAX_P90 } else { MAX_FUNCTION };
    let long = all.iter().rev().filter(|(_, it)| it.n_lines > limit);
    let told = long
        .map(|(file, it)| format!("{}: `{}` has {} lines", file.at(it.line), it.name, it.n_lines));
    none("functions are short", told);
}

#[test]
fn every_lint_that_is_let_off_says_why() {
    let silent = |file: &SourceFile| {
        let code = &file.all_code;
        let attributes = ["#[allow(", "#[expect(", "#![allow(", "#![expect("];
        let starts = attributes.iter().flat_map(|it| code.match_indices(it));
        let silent = starts.filter(|&(at, _)| {
            let end = code[at..].find(")]").map_or(code.len(), |end| at + end);
            !code[at..end].contains("reason = ")
        });
        silent.map(|(at, _)| file.at(line_of(code, at))).collect::<Vec<_>>()
    };
    let files = HOUSE.files.iter().chain(&HOUSE.test_files);
    none("`allow` and `expect` have a `reason`", files.flat_map(silent));
}

#[test]
fn the_readme_begins_with_how_to_run_it_and_how_to_test_it() {
    let readme = read("README.md");
    let mut is_fenced = false;
    let commands = readme.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        is_fenced ^= is_fence;
        is_fenced && !is_fence && !line.is_empty() && !line.starts_with('#')
    });
    let first_two: Vec<_> = commands.take(2).collect();
    let [run, test] = first_two[..] else { panic!("the README has no two fenced commands") };
    assert!(run.starts_with("cargo run "), "the README's first command is {run:?}");
    assert_eq!(test, "cargo test", "the README's second command");
}

#[test]
fn every_test_that_the_readme_names_is_there() {
    let readme = read("README.md");
    let named: Vec<&str> =
        readme.split('`').filter(|word| word.contains("::") && !word.contains(' ')).collect();
    let shown = named.iter().filter_map(|word| word.split_once("::"));
    let shown: Vec<_> = shown.filter(|(file, _)| !file.contains("bulk_unlock")).collect();
    assert!(shown.len() > 20, "the README's table names its tests: {named:?}");
    for (file, test) in shown {
        let is_there = |path: &str| is_test(&source_of(path), test);
        let folder = std::fs::read_dir(format!("{}/tests/{file}", env!("CARGO_MANIFEST_DIR")));
        let inside = folder.into_iter().flatten().flatten();
        let mut inside = inside.map(|it| format!("tests/{file}/{}", it.file_name().display()));
        assert!(
            is_there(&format!("tests/{file}.rs")) || inside.any(|path| is_there(&path)),
            "the README names {file}::{test}, which is no test"
        );
    }
}

/// Whether a source has a function of that name that the test runner runs.
fn is_test(source: &str, name: &str) -> bool {
    let declared = format!("fn {name}()");
    let (before, _) = source.split_once(&declared).unwrap_or_default();
    let above = before.lines().rev().skip(usize::from(!before.ends_with('\n')));
    let mut attributes = above.take_while(|line| line.starts_with("#["));
    attributes.any(|line| line == "#[test]")
}

#[test]
fn a_helper_is_no_test_though_it_looks_like_one() {
    assert!(is_test("}\n\n#[test]\n#[cfg(unix)]\nfn a_fact() {\n", "a_fact"));
    assert!(is_test("#[test]\nfn other() {}\n\n#[test]\nfn a_fact() {\n", "a_fact"));
    assert!(!is_test("#[test]\nfn other() {}\n\nfn a_fact() {\n", "a_fact"));
    assert!(!is_test("#[test]\nfn other() {}\n", "a_fact"));
}

/// What stands in a file of the repository; nothing where there is none.
fn source_of(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Where a crate is named: at the start of a path, or imported whole. A variable may be called so.
fn paths_into(name: &str, code: &str) -> Vec<usize> {
    let is_path =
        |at: &usize| code[*at + name.len()..].starts_with("::") || code[..*at].ends_with("use ");
    places_of(code, name).filter(is_path).collect()
}

/// The files that belong to a top-level module: all but the two roots.
fn modules() -> impl Iterator<Item = &'static SourceFile> {
    HOUSE.files.iter().filter(|it| !["lib.rs", "main.rs"].contains(&it.path.as_str()))
}

/// The places that are in none of these files and folders.
fn outside(doors: &[&str], places: impl Fn(&SourceFile) -> Vec<usize>) -> Vec<String> {
    let is_inside = |path: &str| {
        doors.iter().any(|door| path == *door || door.ends_with('/') && path.starts_with(door))
    };
    let files = HOUSE.files.iter().filter(|it| !is_inside(&it.path));
    let told = files.flat_map(|file| {
        let lines = places(file).into_iter().map(|at| file.at(line_of(&file.code, at)));
        lines.collect::<Vec<_>>()
    });
    told.collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

#[track_caller]
fn none(rule: &str, broken: impl Iterator<Item = String>) {
    let broken: Vec<_> = broken.collect();
    assert!(broken.is_empty(), "{rule}. Here it is not so:\n  {}\n", broken.join("\n  "));
}
