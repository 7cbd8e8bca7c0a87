//! PostgreSQL's binary values as JSON.
//!
//! Layouts are those of the `*send` functions of the server's source
//! (`src/backend/utils/adt`). A type that is not known here is not guessed at:
//! the value is left empty and marked.

use std::error::Error;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;
use tokio_postgres::types::{FromSql, Kind, Type};

use crate::sql::calendar;
use crate::sql::cell::{Cell, Mark};

const MAX_DIMENSIONS: usize = 6;

/// The bytes of a value, as they came.
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The value that `raw` holds, with texts cut at `most` bytes.
pub(super) fn cell(kind: &Type, raw: &[u8], most: usize) -> Cell {
    decode(kind, raw, most).unwrap_or_else(Cell::unreadable)
}

/// The name of a type in the words of SQL.
pub(super) fn words(kind: &Type) -> String {
    match kind.kind() {
        Kind::Array(element) => return format!("{}[]", words(element)),
        Kind::Domain(base) => return words(base),
        _ => {}
    }
    let words = match kind.name() {
        "bool" => "boolean",
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        "float4" => "real",
        "float8" => "double precision",
        "bpchar" => "character",
        "timestamptz" => "timestamp with time zone",
        "timetz" => "time with time zone",
        other => other,
    };
    words.to_owned()
}

/// Whether values of a type can be shown.
pub(super) fn is_readable(kind: &Type) -> bool {
    match kind.kind() {
        Kind::Array(element) => is_readable(element),
        Kind::Domain(base) => is_readable(base),
        Kind::Enum(_) => true,
        _ => {
            matches!(
                *kind,
                Type::BOOL
                    | Type::INT2
                    | Type::INT4
                    | Type::INT8
                    | Type::OID
                    | Type::FLOAT4
                    | Type::FLOAT8
                    | Type::NUMERIC
                    | Type::TEXT
                    | Type::VARCHAR
                    | Type::BPCHAR
                    | Type::NAME
                    | Type::CHAR
                    | Type::UNKNOWN
                    | Type::XML
                    | Type::JSON
                    | Type::JSONB
                    | Type::UUID
                    | Type::DATE
                    | Type::TIME
                    | Type::TIMETZ
                    | Type::TIMESTAMP
                    | Type::TIMESTAMPTZ
                    | Type::INTERVAL
                    | Type::BYTEA
                    | Type::INET
                    | Type::CIDR
                    | Type::VOID
            ) || kind.name() == "citext"
        }
    }
}

fn decode(kind: &Type, raw: &[u8], most: usize) -> Option<Cell> {
    match kind.kind() {
        Kind::Array(element) => return array(element, raw, most),
        Kind::Domain(base) => return decode(base, raw, most),
        Kind::Enum(_) => return Some(Cell::text(raw, most)),
        _ if !is_readable(kind) => return None,
        _ => {}
    }
    Some(match *kind {
        Type::BOOL => Cell::exact(*raw.first()? != 0),
        Type::INT2 => Cell::integer(i16::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT4 => Cell::integer(int4(raw)?.into()),
        Type::INT8 => Cell::integer(int8(raw)?),
        Type::OID => Cell::integer(u32::from_be_bytes(raw.try_into().ok()?).into()),
        // By way of its shortest text, so that 0.1 stays 0.1.
        Type::FLOAT4 => {
            Cell::double(f32::from_be_bytes(raw.try_into().ok()?).to_string().parse().unwrap_or(f64::NAN))
        }
        Type::FLOAT8 => Cell::double(f64::from_be_bytes(raw.try_into().ok()?)),
        Type::NUMERIC => Cell::decimal(&numeric(raw)?),
        Type::JSON => json(raw, most),
        Type::JSONB => json(raw.strip_prefix(&[1])?, most),
        Type::UUID => Cell::exact(uuid(raw)?),
        Type::DATE => {
            let day = |days| Some(calendar::day(days));
            Cell::exact(endless(i64::from(int4(raw)?), i32::MIN.into(), i32::MAX.into(), day)?)
        }
        Type::TIME => Cell::exact(calendar::time_of_day(int8(raw)?)?),
        Type::TIMETZ => {
            let (micros, west) = raw.split_at_checked(8)?;
            let offset = calendar::offset(int4(west)?.checked_neg()?)?;
            Cell::exact(calendar::time_of_day(int8(micros)?)? + &offset)
        }
        Type::TIMESTAMP => Cell::exact(endless(int8(raw)?, i64::MIN, i64::MAX, calendar::instant)?),
        Type::TIMESTAMPTZ => {
            Cell::exact(endless(int8(raw)?, i64::MIN, i64::MAX, |at| Some(calendar::instant(at)? + "Z"))?)
        }
        Type::INTERVAL => {
            let (micros, rest) = raw.split_at_checked(8)?;
            let (days, months) = rest.split_at_checked(4)?;
            Cell::exact(calendar::interval(int4(months)?, int4(days)?, int8(micros)?))
        }
        Type::BYTEA => Cell::binary(raw, most),
        Type::INET | Type::CIDR => Cell::exact(inet(raw)?),
        Type::VOID => Cell::exact(()),
        _ => Cell::text(raw, most),
    })
}

fn int4(raw: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(raw.try_into().ok()?))
}

fn int8(raw: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(raw.try_into().ok()?))
}

fn endless(at: i64, least: i64, most: i64, text: impl Fn(i64) -> Option<String>) -> Option<String> {
    match at {
        _ if at == least => Some("-infinity".into()),
        _ if at == most => Some("infinity".into()),
        _ => text(at),
    }
}

/// JSON that is too long, or nested too deep to be read, goes out as its text.
fn json(raw: &[u8], most: usize) -> Cell {
    if raw.len() > most {
        return Cell::text(raw, most);
    }
    serde_json::from_slice::<Value>(raw).map_or_else(|_| Cell::text(raw, most), Cell::exact)
}

fn uuid(raw: &[u8]) -> Option<String> {
    let number = u128::from_be_bytes(raw.try_into().ok()?);
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to);
    Some([part(0, 8)?, part(8, 12)?, part(12, 16)?, part(16, 20)?, part(20, 32)?].join("-"))
}

/// Digits to the base of 10,000, the first of which stands for 10,000^weight.
fn numeric(raw: &[u8]) -> Option<String> {
    let mut numbers = raw.chunks_exact(2).map(|c| c.try_into().map_or(0, u16::from_be_bytes));
    let (count, weight) = (numbers.next()?, numbers.next()?.cast_signed());
    let (sign, scale) = (numbers.next()?, numbers.next()?);
    let digits: Vec<u16> = numbers.collect();
    match sign {
        _ if digits.len() != usize::from(count) => return None,
        0x0000 | 0x4000 => {}
        0xd000 => return Some("Infinity".into()),
        0xf000 => return Some("-Infinity".into()),
        _ => return Some("NaN".into()),
    }
    let digit = |power: i32| {
        let at = usize::try_from(i32::from(weight) - power).ok()?;
        digits.get(at).copied()
    };
    let mut text = String::from(if sign == 0x4000 { "-" } else { "" });
    let _ = write!(text, "{}", digit(i32::from(weight).max(0)).unwrap_or(0));
    for power in (0..i32::from(weight)).rev() {
        let _ = write!(text, "{:04}", digit(power).unwrap_or(0));
    }
    if scale > 0 {
        let mut fraction = String::new();
        for power in 1..=i32::from(scale.div_ceil(4)) {
            let _ = write!(fraction, "{:04}", digit(-power).unwrap_or(0));
        }
        let _ = write!(text, ".{}", fraction.get(..usize::from(scale))?);
    }
    Some(text)
}

fn inet(raw: &[u8]) -> Option<String> {
    let &[family, bits, is_cidr, _, ref address @ ..] = raw else { return None };
    let (address, full) = match family {
        2 => (Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?).to_string(), 32),
        3 => (Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).to_string(), 128),
        _ => return None,
    };
    Some(if bits == full && is_cidr == 0 { address } else { format!("{address}/{bits}") })
}

/// An array of any number of dimensions, as arrays in arrays.
fn array(element: &Type, raw: &[u8], most: usize) -> Option<Cell> {
    let mut rest = raw;
    let dimensions = usize::try_from(next_int4(&mut rest)?).ok()?;
    let (_has_nulls, _element_oid) = (next_int4(&mut rest)?, next_int4(&mut rest)?);
    if dimensions == 0 {
        return Some(Cell::exact(Vec::<Value>::new()));
    }
    if dimensions > MAX_DIMENSIONS {
        return None;
    }
    let mut lengths = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        lengths.push(usize::try_from(next_int4(&mut rest)?).ok()?);
        let _lower_bound = next_int4(&mut rest)?;
    }
    // A length of nothing would let the others claim any number of elements without bytes for them.
    if lengths.contains(&0) {
        return None;
    }
    let mut mark = None;
    let value = nested(element, &lengths, &mut rest, most, &mut mark)?;
    Some(Cell { value, mark })
}

fn nested(
    element: &Type,
    lengths: &[usize],
    rest: &mut &[u8],
    most: usize,
    mark: &mut Option<Mark>,
) -> Option<Value> {
    let (&length, inner) = lengths.split_first()?;
    let mut values = Vec::new();
    for _ in 0..length {
        if !inner.is_empty() {
            values.push(nested(element, inner, rest, most, mark)?);
            continue;
        }
        let size = next_int4(rest)?;
        let Ok(size) = usize::try_from(size) else {
            values.push(Value::Null);
            continue;
        };
        let (raw, after) = rest.split_at_checked(size)?;
        *rest = after;
        let cell = cell(element, raw, most);
        *mark = mark.or(cell.mark);
        values.push(cell.value);
    }
    Some(Value::Array(values))
}

fn next_int4(rest: &mut &[u8]) -> Option<i32> {
    let (head, after) = rest.split_at_checked(4)?;
    *rest = after;
    int4(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(raw in prop::collection::vec(any::<u8>(), 0..64)) {
            for kind in [
                Type::BOOL, Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8, Type::NUMERIC,
                Type::TEXT, Type::JSON, Type::JSONB, Type::UUID, Type::DATE, Type::TIME, Type::TIMETZ,
                Type::TIMESTAMP, Type::TIMESTAMPTZ, Type::INTERVAL, Type::BYTEA, Type::INET, Type::POINT,
                Type::INT4_ARRAY, Type::TEXT_ARRAY,
            ] {
                let _ = cell(&kind, &raw, 16);
            }
        }
    }

    #[test]
    fn an_array_holds_no_more_than_it_has_bytes_for() {
        let header = [2, 0, 23, i32::MAX, 1, 0, 1].map(i32::to_be_bytes).concat();
        assert_eq!(cell(&Type::INT4_ARRAY, &header, 16), Cell::unreadable());
    }
}
