//! The samples that people try the program on.

use std::path::{Path, PathBuf};

use super::*;
use crate::model::InputRecord;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

fn read_sample(name: &str, options: &Options) -> ReadInput {
    // A sample of mistakes is mostly invalid, and few users of the export have a phone.
    let options = Options { lenient: true, ..options.clone() };
    read(Source::path(&sample(name)), &options).unwrap()
}

/// The counts and the first records.
fn outline(input: &ReadInput) -> String {
    let records = &input.records.records;
    let n_valid = records.len() - invalid(input).len();
    let first: Vec<String> =
        records.iter().take(3).map(|it| format!("{}: {:?}", it.line(), it.cell())).collect();
    format!(
        "{}; {} records, {n_valid} valid, {} lines\n{}",
        input.column,
        records.len(),
        input.n_lines,
        first.join("\n"),
    )
}

#[test]
fn the_clerk_export_is_read_by_id_and_by_other_identifiers() {
    let outline = |kind| outline(&read_sample("clerk-export.csv", &by(kind)));
    insta::assert_snapshot!(outline(IdentifierKind::UserId), @r#"
    column 1 ("id"); 200 records, 200 valid, 203 lines
    2: "user_2Kskd2IRseXeZ0LIxk9BFRcAfCV"
    3: "user_2KnpDMePHhD5wkbVyGnZqYK9v1l"
    4: "user_2Kmx8VFmLbLkyUR4rEM1rHZeyRv"
    "#);
    insta::assert_snapshot!(outline(IdentifierKind::Email), @r#"
    column 5 ("primary_email_address"); 200 records, 198 valid, 203 lines
    2: "oliver.x0.000@example.com"
    3: "chloe.cohen.001@example.com"
    4: "mateo.garcia.002@example.com"
    "#);
    insta::assert_snapshot!(outline(IdentifierKind::Phone), @r#"
    column 6 ("primary_phone_number"); 200 records, 51 valid, 203 lines
    2: ""
    3: "+12025550101"
    4: ""
    "#);
    insta::assert_snapshot!(outline(IdentifierKind::Username), @r#"
    column 4 ("username"); 200 records, 133 valid, 203 lines
    2: ""
    3: "chloe001"
    4: "mateo002"
    "#);
}

#[test]
fn the_clerk_exports_awkward_names_are_carried_whole() {
    let carry = Carry::Named(vec!["first_name".into(), "last_name".into()]);
    let input = read_sample("clerk-export.csv", &Options { carry, ..Options::default() });
    let awkward = input
        .records
        .records
        .iter()
        .map(|it| it.carried().join(" | "))
        .filter(|name| !name.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '|')));
    insta::assert_snapshot!(awkward.collect::<Vec<_>>().join("\n"), @r#"
Ciara | O'Brien
Dana "Rocky" | Castillo
Samuel | Davenport, Jr.
🦊 Vixen | Holt
Jean-Marc | de la Tour d'Auvergne
=cmd|' /C calc'!A0 | Formula
-Dash | Minus
Robert'); DROP TABLE users;-- | Tables
<script>alert(1)</script> | Markup
Zalgo ḧ̵̨e̷͓ | Combining
Two lines, "quoted" | Windows
@at | Sign
👩‍👩‍👧‍👦 | Family
"#);
}

#[test]
fn the_list_of_locked_users_is_a_plain_list_of_users_of_the_export() {
    let input = read_sample("locked-users.txt", &Options::default());
    insta::assert_snapshot!(outline(&input), @r#"
    a plain list, one per line; 39 records, 39 valid, 49 lines
    4: "user_2L29pZuJ0PFQTsQQJFYeTE6Wl8R"
    5: "user_2M9HqTu3evCniJl0kvk3K99VNuI"
    6: "user_2N5GDVz0Qp7ezpQKzYxYTECVZT5"
    "#);
    let export = read_sample("clerk-export.csv", &Options::default()).records.records;
    let is_in_export = |it: &InputRecord| export.iter().any(|user| user.cell() == it.cell());
    assert!(input.records.records.iter().all(is_in_export));
}

#[test]
fn every_mistake_is_one_record() {
    let input = read_sample("mistakes.csv", &Options::default());
    insta::assert_snapshot!(outline(&input), @r#"
    column 2 ("User ID"); 39 records, 13 valid, 45 lines
    3: "user_2MtotnLy6j7hLiFaiuLWdC5vomp"
    4: "user_2M9HqTu3evCniJl0kvk3K99VNuI"
    5: "user_2MM4Z4dpyqe7mvtc3RBPtys28zq"
    "#);
    let invalid = input.records.records.iter().enumerate().filter_map(|(place, record)| {
        let why = input.records.target(place).err()?;
        Some(format!("{}: {}", record.line(), why))
    });
    insta::assert_snapshot!(invalid.collect::<Vec<_>>().join("\n"), @r#"
    9: the cell is empty
    10: the cell is empty
    12: a user id starts with "user_"; this looks like the id of another kind of object
    13: a user id starts with "user_"; this looks like the id of another kind of object
    14: a space is not allowed in a user id; only ASCII letters and digits follow "user_"
    15: "," is not allowed in a user id; only ASCII letters and digits follow "user_"
    16: 87 characters follow "user_"; a user id has at most 64
    17: nothing follows "user_"
    18: a user id starts with "user_"
    19: a user id starts with "user_"
    20: a user id starts with "user_"
    21: a user id starts with "user_"
    22: "/" is not allowed in a user id; only ASCII letters and digits follow "user_"
    23: a user id starts with "user_"
    24: a user id starts with "user_"
    25: a user id starts with "user_"
    26: a user id starts with "user_"
    27: the cell is empty
    32: a space is not allowed in a user id; only ASCII letters and digits follow "user_"
    34: a space is not allowed in a user id; only ASCII letters and digits follow "user_"
    35: a user id starts with "user_"
    36: the character U+200B is not allowed in a user id; only ASCII letters and digits follow "user_"
    38: a user id starts with "user_"
    39: a user id starts with "user_"
    40: a user id starts with "user_"
    44: the cell repeats the column header
    "#);
}

#[test]
fn the_excluded_are_five_users_of_the_export() {
    let list = read_exclusions(Source::path(&sample("exclude.txt"))).unwrap().0;
    let export = read_sample("clerk-export.csv", &Options::default()).records;
    let targets = (0..export.records.len()).filter_map(|place| export.target(place).ok());
    assert_eq!(targets.filter(|target| list.find_identifier(target).is_some()).count(), 5);
}
