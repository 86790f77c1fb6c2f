//! The sources as the rules see them: files in modules, modules in layers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::code::{
    self, blank, first_word, line_of, places_of, test_items, without_comments_and_texts,
};

/// All of `src/`.
pub(crate) struct House {
    /// What is compiled into the program.
    pub(crate) files: Vec<SourceFile>,
    /// What is compiled for tests alone.
    pub(crate) test_files: Vec<SourceFile>,
    pub(crate) map: Map,
}

/// One file. All places in its `code`s are where they are in its `text`.
pub(crate) struct SourceFile {
    /// From `src/` on, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text without comments and texts.
    pub(crate) all_code: String,
    /// Of that, what is compiled into the program.
    pub(crate) code: String,
    /// How many lines are no part of items that are compiled for tests alone.
    pub(crate) n_lines: usize,
}

/// The blank-line groups of `lib.rs`, from the top.
pub(crate) struct Map {
    pub(crate) groups: Vec<Vec<String>>,
}

impl House {
    pub(crate) fn read() -> io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut paths = Vec::new();
        walk(&root, &mut paths)?;
        paths.sort();
        let all = paths.iter().map(|path| SourceFile::read(&root, path));
        let all = all.collect::<io::Result<Vec<_>>>()?;
        let tests: Vec<String> = all.iter().flat_map(SourceFile::test_modules).collect();
        let is_test = |it: &SourceFile| tests.iter().any(|module| is_in_module(&it.path, module));
        let (test_files, files): (Vec<_>, Vec<_>) = all.into_iter().partition(is_test);
        let lib = files.iter().find(|it| it.path == "lib.rs").expect("there is a lib.rs");
        let map = Map::of(&lib.text);
        Ok(Self { files, test_files, map })
    }
}

impl SourceFile {
    fn read(root: &Path, path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let inside = path.strip_prefix(root).unwrap_or(path);
        let path = inside.display().to_string().replace('\\', "/");
        let all_code = without_comments_and_texts(&text);
        let mut code = all_code.clone();
        let mut n_lines = text.lines().count();
        for item in test_items(&all_code) {
            n_lines -= all_code[item.clone()].matches('\n').count() + 1;
            code.replace_range(item.clone(), &blank(&all_code[item]));
        }
        Ok(Self { path, text, all_code, code, n_lines })
    }

    /// The top-level module: `clerk` of `clerk/key/mod.rs`, `stop` of `stop.rs`.
    pub(crate) fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// Where in the file: what a terminal makes a link of.
    pub(crate) fn at(&self, line: usize) -> String {
        format!("src/{}:{line}", self.path)
    }

    /// How many modules deep the file's own items are.
    fn depth(&self) -> usize {
        self.module_path().split('/').count()
    }

    /// `clerk/key` of `clerk/key/mod.rs`, `clerk/tls` of `clerk/tls.rs`.
    fn module_path(&self) -> &str {
        let path = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        path.strip_suffix("/mod").unwrap_or(path)
    }

    /// The modules that it declares for tests alone, as `module_path`s.
    fn test_modules(&self) -> Vec<String> {
        let items = test_items(&self.all_code).into_iter().map(|it| &self.all_code[it]);
        let declared = items.filter(|it| it.ends_with(';')).filter_map(|it| it.rsplit_once("mod "));
        declared.map(|(_, name)| format!("{}/{}", self.module_path(), first_word(name))).collect()
    }

    /// The top-level modules that its code names, each with its line: behind `crate::`, and behind
    /// as many `super::` as lead there.
    pub(crate) fn modules_named(&self) -> Vec<(usize, String)> {
        let from_root = self.names_behind("crate::");
        let from_here = places_of(&self.code, "super::").filter_map(|at| {
            let path = self.code[at..].trim_start_matches("super::");
            let end = self.code.len() - path.len();
            let n_supers = (end - at) / "super::".len();
            (n_supers == self.depth() + self.n_inline_modules_around(at)).then_some(end)
        });
        from_root.into_iter().chain(from_here.flat_map(|at| self.names_at(at))).collect()
    }

    /// The names right behind the beginning of a path, each with its line.
    pub(crate) fn names_behind(&self, start: &str) -> Vec<(usize, String)> {
        places_of(&self.code, start).flat_map(|at| self.names_at(at + start.len())).collect()
    }

    fn names_at(&self, at: usize) -> Vec<(usize, String)> {
        let line = line_of(&self.code, at);
        first_segments(&self.code[at..]).into_iter().map(|it| (line, it)).collect()
    }

    fn n_inline_modules_around(&self, at: usize) -> usize {
        let starts = places_of(&self.code, "mod").filter(|&start| start < at);
        starts.filter(|&start| code::end_of_item(&self.code, start) > at).count()
    }
}

/// `a` of `a::b`, `a` and `c` of `{a::b, c::{d, e}}`.
fn first_segments(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else { return vec![first_word(path).to_owned()] };
    let mut segments = Vec::new();
    let (mut depth, mut begins) = (0_usize, true);
    for (at, c) in group.char_indices() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            _ if begins && code::is_word(c) => {
                segments.push(first_word(&group[at..]).to_owned());
                begins = false;
            }
            _ => {}
        }
    }
    segments
}

fn is_in_module(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

impl Map {
    fn of(lib: &str) -> Self {
        let module = |line: &str| {
            let module = line.strip_prefix("pub mod ")?.strip_suffix(';')?;
            Some(module.to_owned())
        };
        let groups = lib.split("\n\n").map(|it| it.lines().filter_map(module).collect::<Vec<_>>());
        Self { groups: groups.filter(|it| !it.is_empty()).collect() }
    }

    pub(crate) fn modules(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().flatten().map(String::as_str)
    }

    /// From 0; a module that is not on the map is in none.
    pub(crate) fn group_of(&self, module: &str) -> Option<usize> {
        self.groups.iter().position(|group| group.iter().any(|it| it == module))
    }
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, paths)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

#[test]
fn the_first_names_of_a_path_are_its_modules() {
    assert_eq!(first_segments("model::Row;"), ["model"]);
    assert_eq!(
        first_segments("{model::{Row, Job}, tally, plan::Done}"),
        ["model", "tally", "plan"]
    );
}

#[test]
fn blank_lines_part_the_groups() {
    let map = Map::of("//! It.\n\n// 1.\npub mod model;\n\n// 2.\npub mod clerk;\npub mod stop;\n");
    assert_eq!(map.groups, [vec!["model"], vec!["clerk", "stop"]]);
    assert_eq!((map.group_of("stop"), map.group_of("x")), (Some(1), None));
}
