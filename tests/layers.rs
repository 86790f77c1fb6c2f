//! The layers of the crate: a module imports only from the layers above its own, as the map in
//! `src/lib.rs` lists them.

use std::fs;
use std::path::{Path, PathBuf};

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The modules of `src/lib.rs` in their order, each with the number of its blank-line group.
fn layers() -> Vec<(String, usize)> {
    let lib = fs::read_to_string(src().join("lib.rs")).expect("src/lib.rs");
    let mut layers = Vec::new();
    for (layer, group) in lib.split("\n\n").enumerate() {
        for line in group.lines().map(|line| line.trim_start_matches("pub ")) {
            if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
                layers.push((name.to_owned(), layer));
            }
        }
    }
    layers
}

/// The source files of a module, without its tests.
fn sources(path: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(path).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_test = ["tests", "testing", "test_server"].contains(&&*name);
        if path.is_dir() && !is_test {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") && !is_test {
            found.push(path);
        }
    }
}

/// The crate's modules that a source names, comments and test modules left out.
fn imports(source: &str) -> Vec<String> {
    let code = source.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let named = lines.flat_map(|line| line.split("crate::").skip(1).map(str::to_owned));
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    named.map(|rest| rest.split(|c| !is_word(c)).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_module_is_on_the_map() {
    let layers = layers();
    for entry in fs::read_dir(src()).expect("src/") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_root = ["lib", "main"].contains(&name.as_str());
        assert!(is_root || layers.iter().any(|(it, _)| *it == name), "{name} is not in src/lib.rs");
    }
}

#[test]
fn modules_import_only_from_the_layers_above_their_own() {
    let layers = layers();
    let layer_of = |name: &str| layers.iter().find(|(it, _)| it == name).map(|(_, layer)| *layer);
    let mut files = Vec::new();
    sources(&src(), &mut files);
    assert!(files.len() > 20, "the sources are found");
    let mut wrong = Vec::new();
    for path in files {
        let inside = path.strip_prefix(src()).expect("in src/");
        let first = inside.iter().next().unwrap_or_default().to_string_lossy();
        let own = first.trim_end_matches(".rs");
        let Some(own_layer) = layer_of(own) else { continue };
        for name in imports(&fs::read_to_string(&path).expect("a source")) {
            if name != own && layer_of(&name).is_some_and(|layer| layer >= own_layer) {
                wrong.push(format!("src/{}: `{own}` imports `{name}`", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports must go up the map in src/lib.rs:\n{}", wrong.join("\n"));
}

#[test]
fn every_test_that_the_readme_of_the_tests_names_exists() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files = Vec::new();
    sources(&tests, &mut files);
    let code: String =
        files.iter().map(|path| fs::read_to_string(path).expect("a source")).collect();
    let readme = fs::read_to_string(tests.join("README.md")).expect("tests/README.md");
    let named = readme.split('`').filter_map(|part| Some(part.split_once("::")?.1));
    let missing: Vec<&str> =
        named.clone().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(named.count() > 30 && missing.is_empty(), "{missing:?}");
}
