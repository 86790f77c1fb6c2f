//! Which share of the answers goes wrong, and how.

use std::fmt;
use std::str::FromStr;

use super::FaultKind;

/// Which share of the answers goes wrong, and how.
///
/// Written `5%` (that share, an even mix of [`FaultKind::MIX`]), `reset=2%,500=5%` or `none`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults(Vec<(FaultKind, f64)>);

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self(Vec::new());

    /// An even mix of [`FaultKind::MIX`]; `share` is of 0..=1, more counts as 1.
    pub fn mix(share: f64) -> Self {
        let each = share.clamp(0.0, 1.0) / f64::from(N_MIXED);
        Self(FaultKind::MIX.map(|kind| (kind, each)).to_vec())
    }

    /// One fault alone; `share` is of 0..=1, more counts as 1.
    pub fn only(kind: FaultKind, share: f64) -> Self {
        Self(vec![(kind, share.clamp(0.0, 1.0))])
    }

    /// The fault that `chance`, in 0..1 and rolled by the caller, falls on.
    pub(super) fn pick(&self, chance: f64) -> Option<FaultKind> {
        let mut below = 0.0;
        let is_hit = |&&(_, share): &&(FaultKind, f64)| {
            below += share;
            chance < below
        };
        self.0.iter().find(is_hit).map(|&(kind, _)| kind)
    }
}

const N_MIXED: u32 = 11;
const _: () = assert!(FaultKind::MIX.len() == N_MIXED as usize);

impl FromStr for Faults {
    type Err = InvalidFaults;

    fn from_str(text: &str) -> Result<Self, InvalidFaults> {
        let text = text.trim();
        if text == "none" || text == "0" {
            return Ok(Self::NONE);
        }
        if !text.contains('=') {
            return Ok(Self::mix(parse_share(text)?));
        }
        let faults = text.split(',').map(parse_fault).collect::<Result<Vec<_>, _>>()?;
        // A little more than 1 may come of adding: thirds, say.
        if faults.iter().map(|(_, share)| share).sum::<f64>() > 1.000_001 {
            return Err(InvalidFaults::TooMuch);
        }
        Ok(Self(faults))
    }
}

fn parse_fault(text: &str) -> Result<(FaultKind, f64), InvalidFaults> {
    let no_share = || InvalidFaults::NoShare(text.trim().to_owned());
    let (name, share) = text.split_once('=').ok_or_else(no_share)?;
    let name = name.trim();
    let kind = FaultKind::named(name).ok_or_else(|| InvalidFaults::Unknown(name.to_owned()))?;
    Ok((kind, parse_share(share)?))
}

fn parse_share(text: &str) -> Result<f64, InvalidFaults> {
    let percent = text.trim().strip_suffix('%').and_then(|number| number.trim().parse().ok());
    percent
        .filter(|percent| (0.0..=100.0).contains(percent))
        .map(|percent: f64| percent / 100.0)
        .ok_or_else(|| InvalidFaults::Share(text.trim().to_owned()))
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (n, (kind, share)) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            // Rounded, so that a share of 7 % is not written 7.000000000000001 %.
            write!(f, "{comma}{kind}={}%", (share * 1e8).round() / 1e6)?;
        }
        Ok(())
    }
}

/// A text that names no faults.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFaults {
    /// A share that is no percentage.
    #[error("{0:?} is no share: write a percentage of 0% to 100%, such as 5%")]
    Share(String),
    /// A fault without a share.
    #[error("{0:?} has no share: write it as NAME=5%")]
    NoShare(String),
    /// A name that no fault has.
    #[error("there is no fault {0:?}; there are {names}", names = FaultKind::ALL.map(FaultKind::name).join(", "))]
    Unknown(String),
    /// More than every answer goes wrong.
    #[error("the shares of the faults add up to more than 100%")]
    TooMuch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let written = match text.parse::<Faults>() {
            Ok(faults) => faults.to_string(),
            Err(why) => why.to_string(),
        };
        assert_eq!(written, expected, "{text:?}");
    }

    #[test]
    fn faults_are_named_with_their_shares() {
        check("reset=2%,500=5%", "reset=2%,500=5%");
        check(" hang = 0.5 % ", "hang=0.5%");
        check("429=7%", "429=7%");
        check("none", "none");
        check("0", "none");
    }

    #[test]
    fn a_bare_share_is_an_even_mix() {
        assert_eq!("22%".parse(), Ok(Faults::mix(0.22)));
        assert_eq!("22%".parse::<Faults>().unwrap().0[3], (FaultKind::GatewayTimeout, 0.02));
    }

    #[test]
    fn what_names_no_faults_is_refused_with_its_reason() {
        check("", r#""" is no share: write a percentage of 0% to 100%, such as 5%"#);
        check("5", r#""5" is no share: write a percentage of 0% to 100%, such as 5%"#);
        check("500=120%", r#""120%" is no share: write a percentage of 0% to 100%, such as 5%"#);
        check("500=NaN%", r#""NaN%" is no share: write a percentage of 0% to 100%, such as 5%"#);
        check("500=5%,reset", r#""reset" has no share: write it as NAME=5%"#);
        check("500=60%,reset=60%", "the shares of the faults add up to more than 100%");
    }

    #[test]
    fn an_unknown_fault_is_answered_with_those_there_are() {
        insta::assert_snapshot!(
            "boom=5%".parse::<Faults>().unwrap_err(),
            @r#"there is no fault "boom"; there are 500, 502, 503, 504, 429, reset, reset-after, hang, truncated, garbage, empty, slow, other-user, still-locked, huge, gzip, redirect, deep, escapes"#
        );
    }

    #[test]
    fn chance_falls_on_each_fault_by_its_share() {
        let faults: Faults = "reset=20%,500=30%".parse().unwrap();
        assert_eq!(faults.pick(0.0), Some(FaultKind::Reset));
        assert_eq!(faults.pick(0.199), Some(FaultKind::Reset));
        assert_eq!(faults.pick(0.2), Some(FaultKind::InternalError));
        assert_eq!(faults.pick(0.501), None);
        assert_eq!(Faults::NONE.pick(0.0), None);
    }
}
