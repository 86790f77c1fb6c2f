//! A part of an input (`--shard`), for several processes that share one list.
//!
//! A record belongs to the shard that the SHA-256 of its identifier chooses, so each process finds
//! its own part without communication. The rule is stable: all versions of this program, on all
//! machines, put a user into the same shard.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::model::{Identifier, IdentifierKind, Records};

/// One of N parts of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// 0-based.
    index: u32,
    count: NonZeroU32,
}

/// Not a part of N.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a shard is written as K/N, with K from 1 to N, such as 2/4")]
pub struct InvalidShard;

impl Shard {
    /// The shard with this 0-based index.
    ///
    /// # Errors
    ///
    /// When there is no such shard among `count`.
    pub fn new(index: u32, count: u32) -> Result<Self, InvalidShard> {
        let count = NonZeroU32::new(count).filter(|count| index < count.get());
        count.map(|count| Self { index, count }).ok_or(InvalidShard)
    }

    /// The number of shards.
    pub fn count(self) -> NonZeroU32 {
        self.count
    }

    /// Its form in file names: `shard-2-of-4`.
    pub fn file_part(self) -> String {
        format!("shard-{}-of-{}", u64::from(self.index) + 1, self.count)
    }

    /// Whether a record with this identifier belongs to the shard: the first eight bytes of its
    /// SHA-256, read as a big-endian number, modulo the number of shards.
    pub fn has(self, identifier: &str) -> bool {
        let digest = Sha256::digest(identifier.as_bytes());
        let first = digest.iter().take(8).fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        first % u64::from(self.count.get()) == u64::from(self.index)
    }

    /// Removes the records of other shards. `kind` is the kind of identifier in their cells.
    ///
    /// The cell decides, in the form in which identifiers are compared, and not the user whom an
    /// earlier job found by it: a plan or a results file of this shard stays in this shard. A cell
    /// that cannot be an identifier is taken as it is.
    pub fn retain(self, records: &mut Records, kind: IdentifierKind) {
        let all = std::mem::take(&mut records.records);
        let headers = std::mem::take(&mut records.repeated_headers);
        for (place, record) in all.into_iter().enumerate() {
            let cell = record.cell();
            let is_kept = match Identifier::parse(kind, &cell.as_ref().into()) {
                Ok(identifier) => self.has(identifier.as_str()),
                Err(_) => self.has(&cell),
            };
            if !is_kept {
                continue;
            }
            if headers.contains(&place) {
                records.repeated_headers.insert(records.records.len());
            }
            records.records.push(record);
        }
        records.records.shrink_to_fit();
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", u64::from(self.index) + 1, self.count)
    }
}

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Self, InvalidShard> {
        let (number, count) = text.split_once('/').ok_or(InvalidShard)?;
        let number: u32 = number.parse().map_err(|_| InvalidShard)?;
        let count = count.parse().map_err(|_| InvalidShard)?;
        Self::new(number.checked_sub(1).ok_or(InvalidShard)?, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InputRecord;

    fn records(cells: &[&str]) -> Records {
        let record = |(line, cell): (u64, &&str)| InputRecord::new(line, cell);
        Records { records: (1..).zip(cells).map(record).collect(), ..Records::default() }
    }

    fn cells(records: &Records) -> Vec<String> {
        records.records.iter().map(|record| record.cell().into_owned()).collect()
    }

    /// Computed with another implementation: `printf user_0 | sha256sum`.
    #[test]
    fn the_shard_of_an_identifier_is_stable() {
        let shard = |id: &str| (0..4).find(|&k| Shard::new(k, 4).unwrap().has(id)).unwrap();
        let ids = ["user_0", "user_1", "user_2", "user_3", "a@x.org", "+15551234567", ""];
        assert_eq!(ids.map(shard), [2, 2, 1, 2, 2, 0, 0]);
    }

    #[test]
    fn each_record_is_in_exactly_one_shard() {
        let ids: Vec<String> = (0..300).map(|n| format!("user_{n}")).collect();
        for count in [1, 2, 3, 7] {
            let shards = (0..count).map(|index| Shard::new(index, count).unwrap());
            let shards: Vec<Shard> = shards.collect();
            let n_of = |id: &String| shards.iter().filter(|shard| shard.has(id)).count();
            assert!(ids.iter().all(|id| n_of(id) == 1), "{count}");
            let fair = ids.len() / shards.len();
            for shard in shards {
                let n = ids.iter().filter(|id| shard.has(id)).count();
                assert!(n >= fair / 3 && n <= fair * 3, "{shard}: {n} of about {fair}");
            }
        }
    }

    #[test]
    fn spellings_of_one_user_are_in_one_shard() {
        for index in 0..4 {
            let shard = Shard::new(index, 4).unwrap();
            let mut records = records(&["Ann@X.org", "<ann@x.org>", "mailto:ann@x.org"]);
            shard.retain(&mut records, IdentifierKind::Email);
            assert!([0, 3].contains(&records.records.len()), "{shard}");
        }
    }

    #[test]
    fn lines_and_repeated_headers_stay_with_their_records() {
        let all = ["user_0", "user_1", "user_id", "user_3", "not a user", "user_5"];
        let mut n_found = 0;
        for index in 0..3 {
            let mut part = records(&all);
            part.repeated_headers.insert(2);
            Shard::new(index, 3).unwrap().retain(&mut part, IdentifierKind::UserId);
            n_found += part.records.len();
            for record in &part.records {
                assert_eq!(all[usize::try_from(record.line()).unwrap() - 1], record.cell());
            }
            let header = cells(&part).iter().position(|cell| cell == "user_id");
            assert_eq!(part.repeated_headers.iter().next().copied(), header);
        }
        assert_eq!(n_found, all.len());
    }

    #[test]
    fn a_shard_is_written_as_k_of_n() {
        for text in ["1/1", "2/4", "4/4", "4294967295/4294967295"] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }
        for text in ["0/4", "5/4", "1/0", "2", "a/4", "2/b", "-1/4", " 2/4", "", "/", "1/2/3"] {
            assert_eq!(text.parse::<Shard>(), Err(InvalidShard), "{text}");
        }
        assert_eq!(Shard::new(1, 4).unwrap().file_part(), "shard-2-of-4");
    }
}
