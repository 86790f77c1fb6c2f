use super::*;
use crate::clerk::{PageRequest, UserFilter};
use crate::engine::testing::{Asked, Bench, Call, Scripted, answer, status, timed_out};

fn body(ids: impl IntoIterator<Item = String>) -> String {
    let users: Vec<String> = ids.into_iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
    format!("[{}]", users.join(","))
}

fn asked(call: &Call) -> &PageRequest {
    let Asked::Page(page) = &call.asked else { panic!("{:?} is no page", call.asked) };
    page
}

/// The number of the first user that a request asks for.
fn first_of(page: &PageRequest) -> usize {
    let number = |last: &UserId| last.as_str()["user_".len()..].parse::<usize>().unwrap() + 1;
    page.starting_after.as_ref().map_or(0, number)
}

/// A page of an instance with `n_users` numbered users.
fn page_of(call: &Call, n_on_page: usize, n_users: usize) -> Reply {
    let first = first_of(asked(call));
    let end = (first + n_on_page).min(n_users);
    answer(200, &body((first..end).map(|n| format!("user_{n}"))))
}

/// Walks these stretches, and returns all users on the pages.
async fn walk(
    api: &Scripted<'_>,
    stretches: Vec<Stretch>,
    counted: Option<u64>,
) -> (Result<Walked, Shortfall>, Vec<UserSnapshot>) {
    let walk = Walk::new(api, counted);
    let events = Bench::with_max_retries(2).run(&walk, stretches).await.events;
    let pages = events.into_iter().filter_map(|event| match event {
        Event::UsersListed { users } => Some(users),
        _ => None,
    });
    (walk.finish(), pages.flatten().collect())
}

/// Walks all users, and returns the number of users on the pages.
async fn walk_whole(api: &Scripted<'_>, counted: Option<u64>) -> Result<usize, Shortfall> {
    let (walked, users) = walk(api, vec![Stretch::whole(UserFilter::default())], counted).await;
    walked.map(|_| users.len())
}

#[track_caller]
fn refused(walked: Result<usize, Shortfall>, expected: &str) {
    match walked {
        Err(Shortfall::Refused(failure)) => assert_eq!(failure.message, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_moment_is_in_one_span() {
    let whole = Span { from: 10, to: 109 };
    for n_spans in [1, 2, 3, 7, 100, 250] {
        let spans = whole.cut(n_spans);
        assert_eq!(spans.first().unwrap().from, 10);
        assert_eq!(spans.last().unwrap().to, 109);
        assert!(spans.windows(2).all(|pair| pair[0].to + 1 == pair[1].from), "{spans:?}");
    }
}

#[test]
fn one_moment_is_one_span() {
    assert_eq!(Span { from: 5, to: 5 }.cut(8), [Span { from: 5, to: 5 }]);
}

#[tokio::test(start_paused = true)]
async fn after_a_short_page_the_walk_continues_until_all_counted_users_are_listed() {
    for (counted, n_passed, n_calls) in [
        // The server puts 100 users on every page.
        (Some(250), 250, 3),
        // One user was deleted after the count.
        (Some(251), 250, 4),
        // 50 users were created after the count.
        (Some(200), 200, 2),
        // Without a count, only an empty page is the end.
        (None, 250, 4),
        (Some(0), 100, 1),
    ] {
        let api = Scripted::new(|call| page_of(call, 100, 250));
        assert_eq!(walk_whole(&api, counted).await, Ok(n_passed), "{counted:?}");
        assert_eq!(api.calls().len(), n_calls, "{counted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_full_page_the_walk_continues_with_any_count() {
    for counted in [None, Some(10), Some(1_200)] {
        let api = Scripted::new(|call| page_of(call, 500, 1_200));
        let n_calls = if counted.is_none() { 4 } else { 3 };
        assert_eq!(walk_whole(&api, counted).await, Ok(1_200), "{counted:?}");
        assert_eq!(api.calls().len(), n_calls, "{counted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_repeats_pages_ends_the_walk_without_a_count() {
    let api = Scripted::new(|call| {
        let first = first_of(asked(call)) % 1_500;
        answer(200, &body((first..first + 500).map(|n| format!("user_{n}"))))
    });
    refused(walk_whole(&api, None).await, "the page after user_1499 contains user_499 again");
    let api = Scripted::new(|call| page_of(call, 500, 500));
    assert_eq!(walk_whole(&api, None).await, Ok(500));
    let api = Scripted::new(|_| answer(200, &body((0..500).map(|n| format!("user_{n}")))));
    refused(walk_whole(&api, None).await, "the page after user_499 contains user_499 again");
}

#[tokio::test(start_paused = true)]
async fn a_server_with_endless_pages_ends_the_walk() {
    let api = Scripted::new(|call| page_of(call, 500, usize::MAX));
    let message = "the API counted 600 users, but lists 11500 and more";
    refused(walk_whole(&api, Some(600)).await, message);
    assert_eq!(api.calls().len(), 23);
}

#[tokio::test(start_paused = true)]
async fn a_walk_cannot_continue_after_a_user_without_a_valid_id() {
    for counted in [Some(3), None] {
        let api = Scripted::new(|_| answer(200, r#"[{"id":"user_a"},{"id":"../admin"}]"#));
        let walked = walk_whole(&api, counted).await;
        refused(walked, "the last user of a page has no valid ID to continue after");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_without_an_answer_differs_from_a_refused_one() {
    let api = Scripted::new(|_| timed_out());
    assert!(matches!(walk_whole(&api, None).await, Err(Shortfall::NoAnswer(_))));
    let api = Scripted::new(|_| status(503));
    assert!(matches!(walk_whole(&api, None).await, Err(Shortfall::NoAnswer(_))));
    let api = Scripted::new(|_| status(422));
    assert!(matches!(walk_whole(&api, None).await, Err(Shortfall::Refused(_))));
}

#[tokio::test(start_paused = true)]
async fn a_user_on_a_bound_is_listed_twice_and_counted_once() {
    let spans = Span { from: 0, to: 99 }.cut(2);
    let stretches = vec![
        Stretch::of(&UserFilter::default(), spans[0], true, false),
        Stretch::of(&UserFilter::default(), spans[1], false, true),
    ];
    let api = Scripted::new(|call| {
        let user = |at: i64| format!(r#"{{"id":"user_{at}","created_at":{at}}}"#);
        let is_second = asked(call).filter.created_at.before.is_none();
        let users: Vec<String> = match (&asked(call).starting_after, is_second) {
            (Some(_), _) => Vec::new(),
            (None, false) => [0, 49, 50].map(user).into(),
            (None, true) => [49, 50, 99, 120].map(user).into(),
        };
        answer(200, &format!("[{}]", users.join(",")))
    });
    let (walked, users) = walk(&api, stretches, Some(5)).await;
    assert_eq!(
        walked,
        Ok(Walked { created: Some(Span { from: 0, to: 120 }), has_short_pages: false })
    );
    assert_eq!(users.len(), 7);
}

#[test]
fn every_stretch_keeps_the_filter_and_its_narrower_bounds() {
    let filter = UserFilter {
        organization_ids: vec!["org_a".to_owned()],
        created_at: TimeRange { after: Some(5), before: Some(95) },
        ..UserFilter::default()
    };
    let of = |from, to, is_first, is_last| {
        let stretch = Stretch::of(&filter, Span { from, to }, is_first, is_last);
        assert_eq!(stretch.page.filter.organization_ids, ["org_a"]);
        let TimeRange { after, before } = stretch.page.filter.created_at;
        (after, before)
    };
    assert_eq!(of(10, 19, true, false), (Some(5), Some(20)));
    assert_eq!(of(20, 29, false, false), (Some(19), Some(30)));
    assert_eq!(of(90, 99, false, true), (Some(89), Some(95)));
    assert_eq!(of(0, 99, false, false), (Some(5), Some(95)));
}

#[tokio::test(start_paused = true)]
async fn a_failed_recheck_is_a_shortfall_even_if_a_later_one_succeeds() {
    let batches: Vec<Vec<Identifier>> =
        ["user_a", "user_b"].map(|id| vec![Identifier::UserId(id.parse().unwrap())]).into();
    let api = Scripted::new(|call| match call.place {
        0 => status(422),
        _ => answer(200, "[]"),
    });
    let recheck = Recheck::new(&api);
    Bench::with_concurrency(1).run(&recheck, batches).await;
    assert_eq!(api.calls().len(), 2);
    assert!(matches!(recheck.finish(), Err(Shortfall::Refused(_))));
}
