use super::testing::Story;
use super::*;
use crate::model::PauseReason;

const SHARE: Option<Ceiling> =
    Some(Ceiling { n_requests: 800, per: Duration::from_secs(10), is_spaced: false });
const EVEN: Option<Ceiling> =
    Some(Ceiling { n_requests: 1000, per: Duration::from_secs(10), is_spaced: true });

/// The statistics of the rows of a story.
fn rows(story: &Story) -> RowStats {
    let mut rows = RowStats::default();
    for event in &story.events {
        if let Event::JobFinished { row, .. } = event {
            rows.add(row);
        }
    }
    rows
}

#[test]
fn rows_of_a_file_are_counted_like_rows_of_a_run() {
    let story = Story::of(9)
        .rows(3, Outcome::Unlocked)
        .failed_row(Outcome::Failed, 503, "http_503", "service unavailable")
        .banned_row()
        .invalid_row();
    assert_eq!(format!("{:?}", rows(&story)), format!("{:?}", story.stats.rows));
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn every_request_is_counted_once() {
    let stats = Story::of(10)
        .lookups(2)
        .retries(3, 503, "http_503")
        .retries(1, 429, "http_429")
        .retries(2, 0, "timeout")
        .rows(4, Outcome::Unlocked)
        .failed_row(Outcome::NotFound, 404, "resource_not_found", "no such user")
        .unasked_rows(1, Outcome::Invalid)
        .stats;
    assert_eq!(stats.n_requests, 13);
    assert_eq!((stats.n_lookups, stats.n_retries, stats.n_throttled()), (2, 5, 1));
    assert_eq!(stats.requests_by_status[&None], 2);
    assert_eq!((stats.n_rows(), stats.count(Outcome::Unlocked)), (6, 4));
    assert_eq!(stats.latency.n(), 13);
}

#[test]
fn rows_of_an_earlier_run_count_but_not_as_jobs_of_this_one() {
    let earlier = rows(&Story::of(5).rows(5, Outcome::Unlocked));
    let mut story = Story::with(Size { n_records: 10, n_jobs: 4 });
    story.stats = story.stats.resuming(earlier);
    let stats = story.unasked_rows(1, Outcome::Invalid).rows(1, Outcome::Unlocked).stats;
    assert_eq!((stats.n_rows(), stats.count(Outcome::Unlocked)), (7, 6));
    assert_eq!((stats.count_now(Outcome::Unlocked), stats.n_earlier()), (1, 5));
    assert_eq!((stats.n_jobs_done(), stats.n_unprocessed()), (1, 3));
}

#[test]
fn only_explained_rows_that_did_not_end_well_are_errors() {
    let stats = Story::of(9)
        .failed_row(Outcome::Duplicate, 0, "duplicate", "same user as on line 2")
        .failed_row(Outcome::Failed, 503, "http_503", "service unavailable")
        .failed_row(Outcome::Failed, 503, "http_503", "service unavailable")
        .failed_row(Outcome::Invalid, 0, "invalid_user_id", "a user id starts with \"user_\"")
        .unasked_rows(2, Outcome::AdminLocked)
        .stats;
    let groups = stats.rows.errors.most_frequent_first();
    let codes: Vec<_> = groups.iter().map(|group| (group.code.as_str(), group.n)).collect();
    assert_eq!(codes, [("http_503", 2), ("invalid_user_id", 1)]);
}

#[test]
fn the_timeline_counts_429s_and_failures_separately() {
    let stats = Story::of(9)
        .at(1500)
        .retries(2, 429, "http_429")
        .retries(1, 500, "http_500")
        .failed_row(Outcome::Failed, 500, "http_500", "oh")
        .at(2000)
        .rows(3, Outcome::Unlocked)
        .stats;
    let expected = [
        Bucket::default(),
        Bucket { n_requests: 4, n_throttled: 2, n_failed: 2, n_finished: 1 },
        Bucket { n_requests: 3, n_finished: 3, ..Bucket::default() },
    ];
    assert_eq!(stats.timeline.buckets, expected);
}

#[track_caller]
fn assert_rate(story: &Story, ceiling: Option<Ceiling>, expected: f64) {
    let rate = story.stats.pace(ceiling).per_second.expect("a rate");
    assert!((rate - expected).abs() < expected / 50.0, "{rate} where {expected} is expected");
}

#[test]
fn the_rate_is_that_of_the_last_five_seconds() {
    let story = Story::of(1000);
    assert_eq!(story.stats.pace(EVEN).per_second, None, "before the first reply");
    let story = story.at(1000).rows(100, Outcome::Unlocked);
    assert_rate(&story, None, 100.0);
    let story = story.at(10_499).rows(500, Outcome::Unlocked);
    assert_rate(&story, EVEN, 100.0);
}

#[test]
fn the_rate_of_a_burst_is_that_of_a_window() {
    let story = Story::of(9000).at(1000).rows(800, Outcome::Unlocked).at(9_900);
    assert_rate(&story, SHARE, 80.0);
    assert_rate(&story.at(11_400).rows(800, Outcome::Unlocked).at(19_900), SHARE, 80.0);
}

#[test]
fn the_rate_is_not_zero_during_the_wait_for_a_window() {
    let story = Story::of(9000).at(1000).rows(600, Outcome::Unlocked);
    assert_rate(&story.at(30_000), EVEN, 20.0);
    let long = Some(Ceiling { n_requests: 9_000, per: secs(600), is_spaced: false });
    let story = Story::of(90_000).at(1000).rows(9_000, Outcome::Unlocked);
    assert_rate(&story.at(500_000), long, 18.0);
}

#[test]
fn the_pace_is_the_limit_if_permits_take_longer_than_replies() {
    let limit = |story: Story| story.stats.pace(SHARE).limit;
    assert_eq!(limit(Story::of(9)), None);
    assert_eq!(
        limit(Story::of(9).attempts_take(90, 80).rows(3, Outcome::Unlocked)),
        Some(Limit::Pace)
    );
    assert_eq!(
        limit(Story::of(9).attempts_take(2, 80).rows(3, Outcome::Unlocked)),
        Some(Limit::Latency)
    );
}

#[test]
fn a_used_up_window_is_the_limit_while_no_request_ends() {
    let story = Story::of(3000).attempts_take(0, 80).at(1000).rows(800, Outcome::Unlocked).at(8000);
    assert_eq!(story.stats.pace(SHARE).limit, Some(Limit::Pace));
}

#[test]
fn a_pause_is_the_limit_regardless_of_attempts() {
    let story =
        Story::of(9).rows(3, Outcome::Unlocked).paused(PauseReason::Throttled, 12_000).at(2000);
    let Some(Limit::Pause { reason, left, .. }) = story.stats.pace(SHARE).limit else {
        panic!("a pause lasts");
    };
    assert_eq!((reason, left), (PauseReason::Throttled, secs(10)));
    assert_eq!(story.stats.paused(), secs(2));
    let story = story.at(13_000).resumed();
    assert_eq!(story.stats.paused(), secs(12));
}

#[test]
fn the_time_left_after_a_first_burst_counts_further_windows() {
    let story = Story::of(3000).at(1000).rows(800, Outcome::Unlocked);
    assert_eq!(story.stats.pace(None).left, Some(Duration::from_millis(2750)));
    // Further windows begin at 11, 21 and 31 s.
    assert_eq!(story.stats.pace(SHARE).left, Some(secs(30)));
}

/// Asserts the time left in seconds, after these numbers of jobs were done at these times in
/// milliseconds.
#[track_caller]
fn left(n_jobs: u64, done: &[(u64, usize)], at: u64, pause: u64, expected: u64) {
    let mut story = Story::of(n_jobs);
    for &(at, n) in done {
        story = story.at(at).rows(n, Outcome::Unlocked);
    }
    story = story.at(at);
    if pause > 0 {
        story = story.paused(PauseReason::Throttled, pause * 1000);
    }
    let left = story.stats.pace(SHARE).left.map(|it| (it + Duration::from_millis(500)).as_secs());
    assert_eq!(left, Some(expected), "{n_jobs} {done:?} {at} {pause}");
}

#[test]
fn the_time_left_counts_the_wait_for_the_window() {
    // The window is full until 10 s after it was used up.
    left(820, &[(500, 800)], 1_000, 0, 10);
    left(820, &[(500, 800)], 9_000, 0, 2);
    // The oldest requests leave the window first.
    left(820, &[(500, 400), (5_000, 400)], 6_000, 0, 5);
    left(1_300, &[(500, 400), (5_000, 400)], 6_000, 0, 9);
    // Free places first, then those of earlier requests, then another window.
    left(800, &[(500, 400)], 1_000, 0, 1);
    left(900, &[(500, 400)], 1_000, 0, 10);
    left(1_700, &[(500, 400)], 1_000, 0, 20);
    // A window that is over does not delay requests.
    left(820, &[(500, 800)], 11_000, 0, 0);
}

#[test]
fn the_time_left_counts_the_rest_of_a_pause() {
    left(820, &[(500, 800)], 1_000, 30, 30);
    left(820, &[(500, 800)], 1_000, 3, 10);
    left(1_700, &[(500, 800)], 1_000, 30, 40);
    left(800, &[(500, 400)], 1_000, 3, 4);
}

#[test]
fn the_time_left_of_a_window_beyond_the_recorded_span_is_estimated_by_rate() {
    let ceiling = |per| Some(Ceiling { n_requests: 800, per: secs(per), is_spaced: false });
    let story = Story::of(820).at(500).rows(800, Outcome::Unlocked).at(1_000);
    assert_eq!(story.stats.pace(ceiling(60)).left, Some(Duration::from_millis(59_500)));
    assert!(story.stats.pace(ceiling(600)).left.unwrap() < secs(1));
    let story = Story::of(8_200).at(500).rows(800, Outcome::Unlocked).at(1_000);
    assert_eq!(story.stats.pace(ceiling(600)).left, Some(secs(9 * 600)));
}

#[test]
fn a_look_up_of_a_hundred_is_one_request_of_the_time_left() {
    let story = Story::of(100_000).at(1000).lookups(10).unasked_rows(1000, Outcome::WouldUnlock);
    assert_eq!(story.stats.pace(SHARE).left, Some(secs(99)));
}

#[test]
fn pauses_do_not_slow_the_pace_and_the_rest_of_one_is_added() {
    let story = Story::of(200)
        .paused(PauseReason::Throttled, 10_000)
        .at(20_000)
        .rows(100, Outcome::Unlocked)
        .paused(PauseReason::Throttled, 5_000);
    assert_eq!(story.stats.pace(None).left, Some(secs(15)));
}

#[test]
fn the_time_left_is_not_shorter_than_the_ceiling_allows() {
    let story = Story::of(1_100).at(1000).rows(100, Outcome::Unlocked);
    assert_eq!(story.stats.pace(EVEN).left, Some(secs(10)));
    let story = Story::of(1_100).at(500).rows(100, Outcome::Unlocked);
    assert_eq!(story.stats.pace(EVEN).left.map(|it| it.as_secs()), Some(9), "not faster");
    let story = story.paused(PauseReason::Throttled, 20_000);
    assert_eq!(story.stats.pace(EVEN).left.map(|it| it.as_secs()), Some(29));
}

#[test]
fn the_time_left_is_estimated_from_the_last_half_minute() {
    let slow = |mut story: Story, from: u64, to: u64| {
        for second in from..to {
            story = story.at(second * 1000).rows(10, Outcome::Unlocked);
        }
        story
    };
    let story = Story::of(5_600).at(1000).rows(5_000, Outcome::Unlocked);
    let left = slow(story, 2, 52).stats.pace(EVEN).left.unwrap();
    assert!((9..=11).contains(&left.as_secs()), "{left:?} for a hundred at ten per second");
}

#[test]
fn the_time_of_an_open_question_is_not_counted() {
    let mut story = Story::of(10_000).at(100).lookups(100).at(200);
    let (at, wall) = story.moment(60_000);
    story.stats.begin_stage(10_000, at, wall);
    let story = story.at(61_000).rows(100, Outcome::Unlocked);
    assert_eq!(story.stats.pace(None).left, Some(secs(99)));
    assert_eq!(story.stats.pace(EVEN).left, Some(secs(99)));
}

#[test]
fn the_time_left_of_look_ups_counts_users() {
    let mut story = Story::of(1_000);
    let (at, wall) = story.moment(0);
    story.stats.begin_stage(1_000, at, wall);
    let story = story.at(1000).lookups(5);
    assert_eq!(story.stats.pace(None).left, Some(secs(1)), "without rows");
}

#[test]
fn the_end_of_an_outage_is_not_known() {
    let story = Story::of(9).at(1000).rows(3, Outcome::Unlocked).paused(PauseReason::Outage, 1000);
    assert_eq!(story.stats.pace(None).left, None);
}

#[test]
fn the_strongest_reason_to_stop_is_kept() {
    let story = Story::of(9).stopping(StopReason::Unauthorized).stopping(StopReason::MaxFail);
    assert_eq!(story.stats.stopping, Some(StopReason::Unauthorized));
}
