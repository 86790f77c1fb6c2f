//! The page in Markdown, read by a Markdown parser.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::*;

fn markdown(facts: &Facts) -> String {
    render_markdown(facts).unwrap()
}

fn events(page: &str) -> Vec<Event<'_>> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_MATH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_TASKLISTS;
    Parser::new_ext(page, options).collect()
}

/// The kinds of all parts of the page, without their texts. Code in a cell counts as text.
fn structure(page: &str) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for event in events(page) {
        match event {
            Event::Text(_) | Event::Code(_) => {}
            Event::Start(tag) => kinds.push(format!("{tag:?}")),
            Event::End(tag) => kinds.push(format!("end {tag:?}")),
            other => kinds.push(format!("{other:?}")),
        }
    }
    kinds
}

/// The cells of all tables, row by row.
fn rows(page: &str) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut is_in_cell = false;
    for event in events(page) {
        match event {
            Event::Start(Tag::TableHead | Tag::TableRow) => rows.push(Vec::new()),
            Event::Start(Tag::TableCell) => {
                rows.last_mut().unwrap().push(String::new());
                is_in_cell = true;
            }
            Event::End(TagEnd::TableCell) => is_in_cell = false,
            Event::Text(text) | Event::Code(text) if is_in_cell => {
                rows.last_mut().unwrap().last_mut().unwrap().push_str(&text);
            }
            _ => {}
        }
    }
    rows
}

/// The texts of all code blocks.
fn commands(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut is_open = false;
    for event in events(page) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => {
                commands.push(String::new());
                is_open = true;
            }
            Event::End(TagEnd::CodeBlock) => is_open = false,
            Event::Text(text) if is_open => commands.last_mut().unwrap().push_str(&text),
            _ => {}
        }
    }
    commands
}

#[test]
fn the_page_of_a_run() {
    let mut facts = facts();
    facts.sources[0].manifest.as_mut().unwrap().reason =
        Some("INC-1 | <b>`x`</b>\n# all *good*".to_owned());
    facts.warnings = vec!["a|b.csv was changed".to_owned()];
    let stage = &mut facts.incident.stages[0];
    (stage.started_at, stage.finished_at) = (Some(at(0)), Some(at(61)));
    let page = markdown(&facts);
    assert!(page.ends_with("UTC.\n"), "{page:?}");
    insta::assert_snapshot!(page);
}

#[test]
fn nothing_personal_is_on_the_page() {
    let page = markdown(&facts());
    assert!(!page.contains("private") && !page.contains("x.org"), "{page}");
    assert!(page.contains("line 5 user_5 |"), "the example of an error is a user ID");
}

#[test]
fn hostile_texts_are_shown_as_they_are() {
    for text in [
        "a|b",
        "`a`",
        "a\\|b",
        "<img src=x>",
        "&lt;",
        "**a**",
        "[a](http://x)",
        "$a$",
        "\\",
        "_a_",
        "__a__",
        "a_ b_",
    ] {
        let mut facts = facts();
        let manifest = facts.sources[0].manifest.as_mut().unwrap();
        manifest.files[0].name = text.to_owned();
        manifest.host = text.to_owned();
        let page = markdown(&facts);
        let rows = rows(&page);
        let shows = |cell: &str| rows.iter().flatten().any(|it| it == cell);
        assert!(shows(text), "{text}: {rows:?}");
        assert!(shows(&format!("production, {text}")), "{text}: {rows:?}");
    }
}

#[test]
fn the_command_is_not_clipped() {
    let files = "--exclude='a`b```c|<d>\\e.csv' ".repeat(200);
    let command = format!("bulk-unlock run {files}--max-users=5");
    let mut facts = facts();
    facts.incident.summary.next =
        Some(NextStep { look_first: None, why: String::new(), command: command.clone() });
    assert_eq!(commands(&markdown(&facts)), [command.clone() + "\n"]);
    let html = html(&facts).replace("<span>", "").replace("</span>", "");
    assert!(html.contains("--max-users=5 </code>"));
}

#[test]
fn the_page_of_a_plan_shows_its_hash_and_the_command_that_requires_it() {
    let hash = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9";
    let command = format!("bulk-unlock run --plan=ids.plan.csv --plan-sha256={hash}");
    let mut facts = page_of(CommandKind::Plan, 1, vec![row(2, Outcome::WouldUnlock)]);
    facts.sources[0].plan_sha256 = Some(hash.to_owned());
    facts.incident.summary.next =
        Some(NextStep { look_first: None, why: String::new(), command: command.clone() });
    let page = markdown(&facts);
    assert!(rows(&page).contains(&vec!["Plan SHA-256".to_owned(), hash.to_owned()]), "{page}");
    assert!(page.contains("Command for the operator."), "{page}");
    assert_eq!(commands(&page), [command + "\n"]);
    assert!(html(&facts).contains("<p>Command for the operator."));
    // The hash of the changed plan is not that of the command.
    facts.sources[0].plan_sha256 = Some(hash.replace('5', "6"));
    assert!(markdown(&facts).contains("\nNext command:\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn text_from_outside_is_not_markup(
        texts in prop::collection::vec(
            "\\PC{0,12}|[-<>&\"'`|*_~#$!\\[\\](){}\\\\+=.: \r\na-z0-9]{0,20}|<script>x</script>|\\|\\|a\n---\n# b",
            24),
    ) {
        let page = markdown(&of_texts(&texts));
        let same = markdown(&of_texts(&vec!["x".to_owned(); 24]));
        prop_assert_eq!(structure(&page), structure(&same), "{}", page);
        let n_cells = |page: &str| rows(page).iter().map(Vec::len).collect::<Vec<_>>();
        prop_assert_eq!(n_cells(&page), n_cells(&same));
        let is_html = |event: &Event<'_>| matches!(event, Event::Html(_) | Event::InlineHtml(_));
        prop_assert!(!events(&page).iter().any(is_html), "{}", page);
    }
}
