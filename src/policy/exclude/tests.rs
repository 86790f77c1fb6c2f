use super::*;

fn list(lines: &[&str]) -> ExcludeList {
    ExcludeList::of_lines("keep.csv", lines)
}

fn user() -> UserSnapshot {
    UserSnapshot::parse(
        r#"{"id":"user_a","username":"Ann","external_id":"ext_1|eu",
            "email_addresses":[{"email_address":"Ann@x.org"},{"email_address":"ann+2@y.org"}],
            "phone_numbers":[{"phone_number":"+15551234567"}]}"#,
    )
    .unwrap()
}

#[track_caller]
fn check(line: &str, expected: bool) {
    let list = list(&["first", line]);
    let found = list.find(&user());
    assert_eq!(found.is_some(), expected, "{line:?}");
    assert!(found.is_none_or(|it| it.line == 2), "{line:?}");
}

#[test]
fn any_identifier_of_a_user_in_any_form_excludes_the_user() {
    for line in [
        "user_a",
        "ANN",
        "ann@X.org",
        "ann+2@y.org",
        "+15551234567",
        "1 (555) 123-4567",
        "0015551234567",
        "ext_1|eu",
        "# user_a",
        "##user_a",
        "#4711,user_a",
        "name;ann@x.org;x",
        "x\tuser_a",
        "\"x, y\",\"user_a\"",
        "x,ext_1|eu",
        "\"ext_1|eu\",x",
        "'user_a",
        "'user_a', 'user_b'",
        "'+15551234567,x",
        "<ann@x.org>",
        "mailto:ann@x.org",
        "Ann Lee <ann@x.org>",
        "user_a (CEO)",
        "user_a user_b",
        "https://dashboard.clerk.com/users/user_a?tab=1",
        "\u{feff}user_a\u{200b}",
        "user_\u{200b}a",
        "\u{a0} user_a \u{202c}",
        "user_a\u{2028}user_b",
        "bob@x.org， ann@x.org",
    ] {
        check(line, true);
    }
}

#[test]
fn another_identifier_excludes_no_user() {
    for line in ["user_A", "user_ab", "ann@x.orgs", "EXT_1|EU", "+1555123456", "an", "", "x", "#"] {
        check(line, false);
    }
}

#[test]
fn a_user_object_that_may_hide_an_identifier_cannot_be_checked() {
    let keep = list(&["ann@x.org"]);
    let can_check = |json: &str| keep.can_check(&UserSnapshot::parse(json).unwrap());
    assert!(keep.can_check(&user()));
    assert!(can_check(r#"{"id":"user_a"}"#));
    assert!(can_check(r#"{"id":"user_a","username":null,"external_id":"x","phone_numbers":[]}"#));
    for field in [
        r#""email_addresses":"ann@x.org""#,
        r#""email_addresses":[{"email_address":"a@x.org"},{"address":"ann@x.org"}]"#,
        r#""phone_numbers":{"0":"+15551234567"}"#,
        r#""username":7"#,
        r#""external_id":["x"]"#,
    ] {
        let json = format!(r#"{{"id":"user_a",{field}}}"#);
        assert!(!can_check(&json), "{json}");
        assert!(ExcludeList::default().can_check(&UserSnapshot::parse(&json).unwrap()));
    }
}

#[test]
fn an_identifier_of_the_input_is_found_by_its_kind() {
    let list = list(&["Ann@x.org", "ext_1", "+1 555 1234567"]);
    let find = |kind, text: &str| {
        let identifier = Identifier::parse(kind, &Arc::from(text)).unwrap();
        list.find_identifier(&identifier).map(|it| it.line)
    };
    assert_eq!(find(IdentifierKind::Email, "<ann@X.org>"), Some(1));
    assert_eq!(find(IdentifierKind::ExternalId, "ext_1"), Some(2));
    assert_eq!(find(IdentifierKind::ExternalId, "EXT_1"), None);
    assert_eq!(find(IdentifierKind::Username, "EXT_1"), Some(2));
    assert_eq!(find(IdentifierKind::Phone, "+1 (555) 123-4567"), Some(3));
    assert_eq!(list.find_text("mailto:ann@x.org").map(|it| it.line), Some(1));
    assert_eq!(list.find_text("bob@x.org"), None);
}

#[test]
fn an_exclusion_names_the_entry_its_line_and_the_file() {
    let list = list(&["name,user_id", "x,\"# user_a\""]);
    let exclusion = list.find(&user()).unwrap().to_string();
    assert_eq!(exclusion, "excluded by \"# user_a\" on line 2 of keep.csv");
}

#[test]
fn matched_and_unmatched_entries_are_counted() {
    let list = list(&["user_a,Ann Lee,ann@x.org", "user_z", "user_a", "ext_1|eu;note"]);
    assert_eq!(list.counts(), ExcludeCounts { entries: 7, matched: 0, unmatched: 7 });
    list.find(&user());
    let unmatched: Vec<_> = list.unmatched().map(|it| (it.text, it.line)).collect();
    assert_eq!(unmatched, [("Ann Lee", 1), ("user_z", 2), ("note", 4)]);
    assert_eq!(list.counts(), ExcludeCounts { entries: 7, matched: 4, unmatched: 3 });
}

#[test]
fn an_exclusion_that_an_earlier_run_recorded_counts_as_matched() {
    let long = format!("{}@x.org", "a".repeat(100));
    let list = list(&["say \"hi\" on line 9 of it", "user_a", &long, "user_z"]);
    for text in ["user_a", long.as_str()] {
        let exclusion = Exclusion { file: "keep.csv", text, line: 3 }.to_string();
        list.mark_recorded(&exclusion);
    }
    list.mark_recorded("something else");
    let unmatched: Vec<_> = list.unmatched().map(|it| it.text).collect();
    assert_eq!(unmatched, ["say", "hi", "on line 9 of it", "user_z"]);
}

#[test]
fn users_are_looked_up_unless_all_entries_are_of_the_kind_of_the_input() {
    let needs = |lines: &[&str], kind| list(lines).needs_look_up(kind);
    let id = "user_2NNEqL2nrIRdJ194ndJqAHwEfxC";
    assert!(!needs(&[id, &format!("#{id},'{id}'")], IdentifierKind::UserId));
    assert!(!needs(&["user_id", id], IdentifierKind::UserId));
    // A username may have this form.
    assert!(needs(&["user_bob"], IdentifierKind::UserId));
    assert!(needs(&["id", id], IdentifierKind::UserId));
    assert!(needs(&[&format!("{id} (CEO)")], IdentifierKind::UserId));
    assert!(needs(&["a@x.org"], IdentifierKind::UserId));
    assert!(needs(&["user_a"], IdentifierKind::Email));
    assert!(!needs(&[], IdentifierKind::Email));
}

#[test]
fn a_long_line_costs_no_more_than_its_length() {
    let line = (0..200_000).map(|n| format!("user_{n}")).collect::<Vec<_>>().join(",");
    let list = list(&[&line]);
    assert_eq!(list.counts().entries, 200_000);
    assert!(list.find_text("user_199999").is_some());
}
