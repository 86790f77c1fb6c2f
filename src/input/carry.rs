//! Columns that are repeated in the results (`--carry`).

use super::columns::find_named;
use super::rows::Row;
use super::{Columns, Error, UserColumn};
use crate::results::format::CARRIED_PREFIX;

/// Which columns besides the users' one are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Carry {
    /// None of them; of a results file those that it carried itself.
    #[default]
    None,
    /// All of them; of a results file those that it carried itself.
    All,
    /// Those with these headers, in this order.
    Named(Vec<String>),
}

/// The columns to keep: their places, and the headers under which they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Carried {
    indices: Vec<usize>,
    headers: Vec<String>,
}

impl Carried {
    /// The columns of an ordinary input, by its first record.
    pub(super) fn of_input(
        carry: &Carry,
        name: &str,
        first: &[String],
        users: &UserColumn,
    ) -> Result<Self, Error> {
        let is_named = users.header().is_some();
        let header_of = |index: usize| {
            if is_named { first[index].clone() } else { format!("column_{}", index + 1) }
        };
        match carry {
            // An empty input has no columns.
            Carry::Named(_) if first.is_empty() => Ok(Self::default()),
            Carry::None => Ok(Self::default()),
            Carry::All => Ok((0..first.len())
                .filter(|&index| index != users.index())
                .map(|index| (index, header_of(index)))
                .collect()),
            Carry::Named(names) if is_named => Self::named(names, name, first, |index| index),
            Carry::Named(names) => match names.first().cloned() {
                None => Ok(Self::default()),
                Some(wanted) => Err(Error::CarryWithoutHeader { name: name.to_owned(), wanted }),
            },
        }
    }

    /// The columns that a results file carried, under the headers they had in its input.
    pub(super) fn of_results(carry: &Carry, name: &str, headers: &[String]) -> Result<Self, Error> {
        let carried: Vec<(usize, String)> = headers
            .iter()
            .enumerate()
            .filter_map(|(index, it)| Some((index, it.strip_prefix(CARRIED_PREFIX)?.to_owned())))
            .collect();
        let Carry::Named(names) = carry else { return Ok(carried.into_iter().collect()) };
        let stripped: Vec<String> = carried.iter().map(|(_, header)| header.clone()).collect();
        Self::named(names, name, &stripped, |place| carried[place].0)
    }

    fn named(
        names: &[String],
        name: &str,
        headers: &[String],
        index_of: impl Fn(usize) -> usize,
    ) -> Result<Self, Error> {
        let mut carried = Self::default();
        for wanted in names {
            let place = find_named(name, headers, wanted)?.ok_or_else(|| Error::UnknownCarry {
                name: name.to_owned(),
                wanted: wanted.clone(),
                columns: Columns::of(headers),
            })?;
            if !carried.indices.contains(&index_of(place)) {
                carried.extend([(index_of(place), headers[place].clone())]);
            }
        }
        Ok(carried)
    }

    /// The kept cells of one row.
    pub(super) fn cells(&self, row: &Row<'_>) -> Box<[Box<str>]> {
        self.indices.iter().map(|&index| row.cell(index).into()).collect()
    }

    pub(super) fn into_headers(self) -> Vec<String> {
        self.headers
    }
}

impl Extend<(usize, String)> for Carried {
    fn extend<I: IntoIterator<Item = (usize, String)>>(&mut self, columns: I) {
        for (index, header) in columns {
            self.indices.push(index);
            self.headers.push(header);
        }
    }
}

impl FromIterator<(usize, String)> for Carried {
    fn from_iter<I: IntoIterator<Item = (usize, String)>>(columns: I) -> Self {
        let mut carried = Self::default();
        carried.extend(columns);
        carried
    }
}
