//! Faults: their names, their shares, and which request gets one.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::InvalidSetting;

/// A way for a response to go wrong.
///
/// A `GET` request gets the same faults, except that `other-user` leaves counts and unfiltered
/// lists alone and `still-locked` leaves all of them alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FaultKind {
    /// `500`: Clerk's error body; nothing is changed.
    InternalError,
    /// `502`: an HTML page, as from a proxy; nothing is changed.
    BadGateway,
    /// `503`: Clerk's error body with `Retry-After: 1`; nothing is changed.
    Unavailable,
    /// `504`: Clerk's error body, but the user is unlocked.
    GatewayTimeout,
    /// `429`: too many requests with `Retry-After: 1`, although the quota has room.
    Throttled,
    /// `reset`: the connection is closed without a response; nothing is changed.
    Reset,
    /// `reset-after`: the connection is closed without a response, but the user is unlocked.
    ResetAfter,
    /// `hang`: no response, and the connection is closed after two minutes; nothing is changed.
    Hang,
    /// `truncated`: the connection is closed after half of the announced body; the user is unlocked.
    Truncated,
    /// `garbage`: 200 with a body that is not JSON; nothing is changed.
    Garbage,
    /// `empty`: 200 without a body, but the user is unlocked.
    Empty,
    /// `slow`: the right response in 20 pieces, 100 ms apart.
    Slow,
    /// `other-user`: 200 with another user's object; nothing is changed.
    OtherUser,
    /// `still-locked`: 200 with `locked: true`; nothing is changed.
    StillLocked,
    /// `huge`: 200 with a body of 64 MiB; nothing is changed.
    Huge,
    /// `gzip`: 200 with a compressed body that was not asked for; nothing is changed.
    Gzip,
    /// `redirect`: 307 to `http://127.0.0.1:9/`, the discard port; nothing is changed.
    Redirect,
    /// `deep`: 200 with JSON nested 100,000 levels deep; nothing is changed.
    Deep,
    /// `escapes`: 422 with escape sequences and control characters in the message.
    Escapes,
}

/// Each fault with its name and whether a bare percentage includes it: those that pass when the
/// request is repeated and do not keep a client waiting.
const TABLE: [(FaultKind, &str, bool); 19] = [
    (FaultKind::InternalError, "500", true),
    (FaultKind::BadGateway, "502", true),
    (FaultKind::Unavailable, "503", true),
    (FaultKind::GatewayTimeout, "504", true),
    (FaultKind::Throttled, "429", false),
    (FaultKind::Reset, "reset", true),
    (FaultKind::ResetAfter, "reset-after", true),
    (FaultKind::Hang, "hang", false),
    (FaultKind::Truncated, "truncated", true),
    (FaultKind::Garbage, "garbage", true),
    (FaultKind::Empty, "empty", true),
    (FaultKind::Slow, "slow", false),
    (FaultKind::OtherUser, "other-user", true),
    (FaultKind::StillLocked, "still-locked", true),
    (FaultKind::Huge, "huge", false),
    (FaultKind::Gzip, "gzip", false),
    (FaultKind::Redirect, "redirect", false),
    (FaultKind::Deep, "deep", false),
    (FaultKind::Escapes, "escapes", false),
];

impl FaultKind {
    /// All faults.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.into_iter().map(|(kind, ..)| kind)
    }

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Faults and the share of the responses that each affects.
///
/// Written `reset=2%,500=5%`, `5%` (an even mix) or `none`. The mix consists of the faults that pass
/// when the request is repeated and do not keep a client waiting: `500`, `502`, `503`, `504`,
/// `reset`, `reset-after`, `truncated`, `garbage`, `empty`, `other-user`, `still-locked`.
///
/// The same request gets at most three faults in a row, so that eight retries unlock every user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults(Vec<(FaultKind, f64)>);

impl Faults {
    /// An even mix; `share` is clamped to 0..=1.
    pub fn mix(share: f64) -> Self {
        let mixed: Vec<_> = TABLE.into_iter().filter(|(.., is_mixed)| *is_mixed).collect();
        let each = share.clamp(0.0, 1.0) / f64::from(u8::try_from(mixed.len()).unwrap_or(u8::MAX));
        Self(mixed.into_iter().map(|(kind, ..)| (kind, each)).collect())
    }

    /// A single fault; `share` is clamped to 0..=1.
    pub fn only(kind: FaultKind, share: f64) -> Self {
        Self(vec![(kind, share.clamp(0.0, 1.0))])
    }

    /// The fault at `chance`, which is in 0..1.
    fn pick(&self, chance: f64) -> Option<FaultKind> {
        let mut below = 0.0;
        let mut faults = self.0.iter().map(|&(kind, share)| {
            below += share;
            (kind, below)
        });
        faults.find(|&(_, below)| chance < below).map(|(kind, _)| kind)
    }
}

impl FromStr for Faults {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        let text = text.trim();
        if text == "none" || text == "0" {
            return Ok(Self::default());
        }
        if !text.contains('=') {
            return Ok(Self::mix(parse_share(text)?));
        }
        let faults = text.split(',').map(parse_fault).collect::<Result<Vec<_>, _>>()?;
        // Allows for rounding: three times 33.3333334 %, for example.
        if faults.iter().map(|(_, share)| share).sum::<f64>() > 1.000_001 {
            return Err(InvalidSetting("the shares of the faults exceed 100%".to_owned()));
        }
        Ok(Self(faults))
    }
}

fn parse_fault(text: &str) -> Result<(FaultKind, f64), InvalidSetting> {
    let (name, share) = text.split_once('=').unwrap_or((text, ""));
    let name = name.trim();
    let kind = FaultKind::all().find(|kind| kind.name() == name).ok_or_else(|| {
        let names: Vec<_> = FaultKind::all().map(FaultKind::name).collect();
        InvalidSetting(format!("unknown fault {name:?}; expected one of {}", names.join(", ")))
    })?;
    Ok((kind, parse_share(share)?))
}

fn parse_share(text: &str) -> Result<f64, InvalidSetting> {
    let percent = text.trim().strip_suffix('%').and_then(|number| number.trim().parse().ok());
    match percent {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err(InvalidSetting(format!(
            "invalid share {text:?}: expected a percentage from 0% to 100%, such as 5% or 500=5%"
        ))),
    }
}

/// Decides which request gets a fault, from a seed and in the order of arrival.
pub(super) struct FaultInjector {
    faults: Faults,
    rng: fastrand::Rng,
    n_in_a_row: HashMap<String, u8>,
}

impl FaultInjector {
    const MAX_IN_A_ROW: u8 = 3;

    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, rng: fastrand::Rng::with_seed(seed), n_in_a_row: HashMap::new() }
    }

    /// The fault of the next request to this path and query.
    pub(super) fn next(&mut self, path_and_query: &str) -> Option<FaultKind> {
        let n = self.n_in_a_row.get(path_and_query).copied().unwrap_or(0);
        let fault = self.faults.pick(self.rng.f64()).filter(|_| n < Self::MAX_IN_A_ROW);
        match fault {
            Some(_) => self.n_in_a_row.insert(path_and_query.to_owned(), n + 1),
            None => self.n_in_a_row.remove(path_and_query),
        };
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(FaultKind, f64)]) {
        assert_eq!(text.parse(), Ok(Faults(expected.to_vec())), "{text:?}");
    }

    #[test]
    fn faults_are_named_with_their_shares() {
        use FaultKind::{Hang, InternalError, Reset};
        check("reset=2%,500=5%", &[(Reset, 0.02), (InternalError, 0.05)]);
        check(" hang = 0.5 % ", &[(Hang, 0.005)]);
        check("none", &[]);
        check("0", &[]);
    }

    #[test]
    fn a_bare_share_is_an_even_mix() {
        assert_eq!("22%".parse(), Ok(Faults::mix(0.22)));
        assert_eq!("22%".parse::<Faults>().unwrap().0[3], (FaultKind::GatewayTimeout, 0.02));
    }

    #[test]
    fn each_fault_is_found_by_its_name_and_documented_with_it() {
        let source = include_str!("faults.rs");
        for kind in FaultKind::all() {
            check(&format!("{kind}=7%"), &[(kind, 0.07)]);
            assert!(source.contains(&format!("    /// `{kind}`: ")), "{kind}");
        }
    }

    #[test]
    fn the_error_names_what_is_expected() {
        let errors = ["", "5", "500=120%", "500=NaN%", "500=5%,reset", "500=60%,reset=60%", "x=5%"]
            .map(|text| text.parse::<Faults>().unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"), @r#"
        invalid share "": expected a percentage from 0% to 100%, such as 5% or 500=5%
        invalid share "5": expected a percentage from 0% to 100%, such as 5% or 500=5%
        invalid share "120%": expected a percentage from 0% to 100%, such as 5% or 500=5%
        invalid share "NaN%": expected a percentage from 0% to 100%, such as 5% or 500=5%
        invalid share "": expected a percentage from 0% to 100%, such as 5% or 500=5%
        the shares of the faults exceed 100%
        unknown fault "x"; expected one of 500, 502, 503, 504, 429, reset, reset-after, hang, truncated, garbage, empty, slow, other-user, still-locked, huge, gzip, redirect, deep, escapes
        "#);
    }

    #[test]
    fn each_fault_is_picked_by_its_share() {
        let faults: Faults = "reset=20%,500=30%".parse().unwrap();
        assert_eq!(faults.pick(0.0), Some(FaultKind::Reset));
        assert_eq!(faults.pick(0.199), Some(FaultKind::Reset));
        assert_eq!(faults.pick(0.2), Some(FaultKind::InternalError));
        assert_eq!(faults.pick(0.501), None);
        assert_eq!(Faults::default().pick(0.0), None);
    }

    #[test]
    fn the_fourth_attempt_of_a_request_gets_no_fault() {
        let mut injector = FaultInjector::new(Faults::only(FaultKind::Reset, 1.0), 1);
        let faulty: Vec<bool> =
            (0..8).map(|_| injector.next("/v1/users/user_a").is_some()).collect();
        assert_eq!(faulty, [true, true, true, false, true, true, true, false]);
    }

    #[test]
    fn the_share_of_the_requests_gets_a_fault() {
        let mut injector = FaultInjector::new(Faults::mix(0.2), 1);
        let n = (0..10_000).filter(|n| injector.next(&n.to_string()).is_some()).count();
        assert!((1_800..2_200).contains(&n), "{n}");
    }

    #[test]
    fn the_same_seed_injects_the_same_faults() {
        let faults = |seed| {
            let mut injector = FaultInjector::new(Faults::mix(0.5), seed);
            (0..100).map(|n| injector.next(&n.to_string())).collect::<Vec<_>>()
        };
        assert_eq!(faults(1), faults(1));
        assert_ne!(faults(1), faults(2));
    }
}
