//! An opened input: what it is was found out, its rows are ready to be read.

use std::io::{self, BufReader, Chain, Cursor, Read};
use std::time::SystemTime;

use super::rows::{NO_DELIMITER, Row, RowReader};
use super::source::{Hashed, Opened};
use super::user_column::Wanted;
use super::{Error, ReadInput, Source, UserColumn, delimiter, foreign};
use crate::model::{InputRecord, Records};

/// How much is looked at before reading begins.
const HEAD_LEN: u64 = 256 << 10;

type Bytes<'a> = BufReader<Chain<Cursor<Vec<u8>>, Hashed<'a>>>;

/// An opened input.
pub(super) struct Table<'a> {
    modified: Option<SystemTime>,
    delimiter: u8,
    rows: RowReader<Bytes<'a>>,
}

impl<'a> Table<'a> {
    /// Opens it and finds out what separates its cells.
    pub(super) fn open(source: Source<'a>, wanted: &Wanted<'_>) -> Result<Self, Error> {
        let Opened { name, modified, mut bytes } = source.open()?;
        let mut head = Vec::new();
        bytes
            .by_ref()
            .take(HEAD_LEN)
            .read_to_end(&mut head)
            .map_err(|reason| Error::Read { name: name.clone(), reason })?;
        foreign::check(&name, &head)?;
        let delimiter = delimiter::find(&head, wanted);
        let bytes = BufReader::new(Cursor::new(head).chain(bytes));
        Ok(Self { modified, delimiter, rows: RowReader::new(name, bytes, delimiter) })
    }

    pub(super) fn name(&self) -> &str {
        self.rows.name()
    }

    /// The cells of the first record; none in an empty input.
    pub(super) fn first(&mut self) -> Result<Vec<String>, Error> {
        Ok(self.rows.read()?.map_or_else(Vec::new, |row| row.cells()))
    }

    /// The first record is no header: it is read again with the others.
    pub(super) fn hold_first(&mut self) {
        self.rows.hold();
    }

    /// The next row; `None` after the last.
    pub(super) fn read(&mut self) -> Result<Option<Row<'_>>, Error> {
        self.rows.read()
    }

    /// The records that `pick` makes of the rows: up to `limit`, after `skip` of them.
    pub(super) fn records(
        &mut self,
        skip: u64,
        limit: Option<u64>,
        pick: impl Fn(&str, Row<'_>) -> Result<Option<InputRecord>, Error>,
    ) -> Result<Vec<InputRecord>, Error> {
        let name = self.name().to_owned();
        let (mut records, mut n_before) = (Vec::new(), 0);
        let limit = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        while records.len() < limit {
            let Some(row) = self.read()? else { break };
            let Some(record) = pick(&name, row)? else { continue };
            if n_before < skip {
                n_before += 1;
            } else {
                records.push(record);
            }
        }
        records.shrink_to_fit();
        Ok(records)
    }

    /// Reads what is left, for the hash of the whole.
    pub(super) fn finish(self, column: UserColumn, records: Records) -> Result<ReadInput, Error> {
        let (name, n_lines) = (self.name().to_owned(), self.rows.n_lines());
        let (_, mut bytes) = self.rows.into_inner().into_inner().into_inner();
        io::copy(&mut bytes, &mut io::sink()).map_err(|reason| Error::Read { name, reason })?;
        Ok(ReadInput {
            records,
            column,
            n_left_alone: 0,
            delimiter: (self.delimiter != NO_DELIMITER).then(|| char::from(self.delimiter)),
            n_lines,
            sha256: bytes.finish(),
            modified: self.modified,
        })
    }
}
