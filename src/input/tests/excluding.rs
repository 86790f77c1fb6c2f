//! No user whom an exclude file names, in whatever form, is ever called.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::*;
use crate::model::{Identifier, InputRecord, Records, UserView};
use crate::policy::plan::{Done, Plan};

/// How many users the instance has.
const N_USERS: usize = 8;

/// A user of the instance. Some identifiers hold what elsewhere separates cells.
fn user(n: usize) -> UserView {
    let external_id =
        [format!("ext {n}|eu"), format!("ext,{n}"), format!("ext_{n}")][n % 3].clone();
    let json = format!(
        r#"{{"id":"user_Id{n}","username":"Name.{n}","external_id":"{external_id}",
            "email_addresses":[{{"email_address":"First+{n}@x.org"}},{{"email_address":"o'{n}@y.org"}}],
            "phone_numbers":[{{"phone_number":"+1555000000{n}"}}]}}"#
    );
    UserView::parse(&json).unwrap()
}

fn identifiers(user: &UserView) -> Vec<(IdentifierKind, String)> {
    use IdentifierKind::{Email, ExternalId, Phone, UserId, Username};
    vec![
        (UserId, user.id.clone()),
        (Email, user.emails[0].clone()),
        (Email, user.emails[1].clone()),
        (Phone, user.phones[0].clone()),
        (Username, user.username.clone().unwrap()),
        (ExternalId, user.external_id.clone().unwrap()),
    ]
}

/// An identifier as people and programs write it.
fn written(kind: IdentifierKind, text: &str, style: usize) -> String {
    let text = match (kind, style % 5) {
        (IdentifierKind::Email | IdentifierKind::Username, 0) => text.to_uppercase(),
        (IdentifierKind::Email, 1) => format!("<{text}>"),
        (IdentifierKind::Email, 2) => format!("mailto:{text}"),
        (IdentifierKind::Phone, 1) => {
            format!("+1 ({}) {}-{}", &text[2..5], &text[5..8], &text[8..])
        }
        (IdentifierKind::Phone, 2) | (IdentifierKind::UserId, 1) => format!("'{text}"),
        _ => text.to_owned(),
    };
    match style / 5 % 4 {
        0 => format!("  {text}\u{a0}"),
        1 => format!("\u{200b}{text}\u{feff}"),
        _ => text,
    }
}

/// A cell of that text in a file with that delimiter.
fn quoted(text: &str, delimiter: char, always: bool) -> String {
    if always || text.contains([delimiter, '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// An exclude file, and the users whom it names.
#[derive(Clone, Debug)]
struct Keep {
    text: String,
    users: BTreeSet<usize>,
}

fn keep() -> impl Strategy<Value = Keep> {
    let named =
        proptest::collection::vec((0..N_USERS, any::<Index>(), 0..20_usize, 0..8_usize), 1..6);
    let first =
        select(vec!["", "", "user_id", "case,user_id", "id;email", "Keep these\n", "sep=;"]);
    let form = (
        select(vec![',', ';', '\t', '|']),
        any::<bool>(),
        select(vec!["\n", "\r\n", "\r"]),
        any::<bool>(),
    );
    (named, first, form).prop_map(|(named, first, (delimiter, is_quoted, end, has_bom))| {
        let mut lines: Vec<String> = vec![first.to_owned()];
        let mut users = BTreeSet::new();
        for (place, which, style, form) in named {
            let all = identifiers(&user(place));
            let (kind, text) = &all[which.index(all.len())];
            let cell = quoted(&written(*kind, text, style), delimiter, is_quoted);
            let note = quoted("Ann, \"CEO\"", delimiter, is_quoted);
            users.insert(place);
            match (form, lines.last_mut()) {
                (0, _) => lines.push(format!("#{cell}")),
                (1, _) => lines.push(format!("# {cell}{delimiter}{note}")),
                (2, _) => lines.push(format!("#4711{delimiter}{cell}")),
                (3, _) => lines.push(format!("{note}{delimiter} {cell} {delimiter}x")),
                (4 | 5, Some(line)) if !line.is_empty() => {
                    line.push(delimiter);
                    line.push_str(&cell);
                }
                _ => lines.push(cell),
            }
        }
        let bom = if has_bom { "\u{feff}" } else { "" };
        Keep { text: format!("{bom}{}{end}", lines.join(end)), users }
    })
}

/// The users who would be called, by their number.
fn called(list: &crate::policy::exclude::ExcludeList, records: &Records) -> BTreeSet<usize> {
    let plan = Plan::build(records, list, Done::default(), SystemTime::UNIX_EPOCH);
    let looks_up = list.needs_look_up(records.kind);
    let jobs = plan.jobs.into_iter().map(|place| records.target(place as usize).unwrap());
    let found = jobs.map(|target| {
        let is_it = |n: &usize| {
            let names = identifiers(&user(*n)).into_iter();
            let mut names = names.filter(|(kind, _)| *kind == target.kind());
            names.any(|(kind, text)| Identifier::parse(kind, &Arc::from(text)).unwrap() == target)
        };
        (0..N_USERS).find(is_it).unwrap()
    });
    found.filter(|&n| !looks_up || list.find(&user(n)).is_none()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_user_whom_an_exclude_file_names_is_called(
        keep in keep(),
        which in 0..6_usize,
        listed in subsequence((0..N_USERS).collect::<Vec<_>>(), 0..=N_USERS),
    ) {
        let source = Source::bytes("keep.csv", keep.text.as_bytes());
        let list = read_exclusions(source).unwrap().0;
        let (kind, _) = identifiers(&user(0))[which];
        let record = |&n: &usize| InputRecord::new(n as u64 + 2, &identifiers(&user(n))[which].1);
        let records =
            Records { records: listed.iter().map(record).collect(), kind, ..Records::default() };
        let expected: BTreeSet<usize> =
            listed.into_iter().filter(|n| !keep.users.contains(n)).collect();
        prop_assert_eq!(called(&list, &records), expected, "{:?}", keep.text);
    }
}
