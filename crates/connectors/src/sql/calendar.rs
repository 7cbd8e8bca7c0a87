//! Days and times of day as text, in the forms of RFC 3339 and ISO 8601.
//!
//! PostgreSQL sends days and microseconds since 2000-01-01, in the proleptic
//! Gregorian calendar and without leap seconds. That, and whether an argument is
//! a day or an instant at all, is what this module knows.

/// Days from 0000-03-01 to 2000-01-01, the start of PostgreSQL's calendar.
const DAYS_TO_2000: i64 = 730_425;
const DAYS_IN_400_YEARS: i64 = 146_097;
const MICROS_IN_A_DAY: i64 = 86_400_000_000;

/// The day `days` after 2000-01-01, such as `2026-01-31`.
pub(crate) fn day(days: i64) -> String {
    let days = days + DAYS_TO_2000;
    let era = days.div_euclid(DAYS_IN_400_YEARS);
    let of_era = days.rem_euclid(DAYS_IN_400_YEARS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years are counted from March, so that the leap day is the last of its year.
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let sign = if year < 0 { "-" } else { "" };
    format!("{sign}{:04}-{month:02}-{day:02}", year.abs())
}

/// The time of day `micros` after midnight, such as `08:30:00` or `08:30:00.25`.
pub(crate) fn time_of_day(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}{}", fraction(micros % 1_000_000))
}

/// The instant `micros` after 2000-01-01, without a zone, such as `2026-01-31T08:30:00`.
pub(crate) fn instant(micros: i64) -> String {
    let (days, of_day) = (micros.div_euclid(MICROS_IN_A_DAY), micros.rem_euclid(MICROS_IN_A_DAY));
    format!("{}T{}", day(days), time_of_day(of_day))
}

/// An offset from UTC of `seconds` to the east, such as `+02:00`.
pub(crate) fn offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// A length of time in the form of ISO 8601, such as `P1Y2M3DT4H5M6.5S`.
pub(crate) fn interval(months: i32, days: i32, micros: i64) -> String {
    let part = |number: i64, letter: char| {
        if number == 0 { String::new() } else { format!("{number}{letter}") }
    };
    let rest = micros % 60_000_000;
    let date = part((months / 12).into(), 'Y') + &part((months % 12).into(), 'M') + &part(days.into(), 'D');
    let time = part(micros / 3_600_000_000, 'H') + &part(micros / 60_000_000 % 60, 'M') + &seconds(rest);
    match (date.is_empty(), time.is_empty()) {
        (true, true) => "PT0S".into(),
        (false, true) => format!("P{date}"),
        (_, false) => format!("P{date}T{time}"),
    }
}

fn seconds(micros: i64) -> String {
    if micros == 0 {
        return String::new();
    }
    let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.abs());
    format!("{sign}{}{}S", micros / 1_000_000, fraction(micros % 1_000_000))
}

/// `.25` for 250,000 microseconds; nothing for none.
fn fraction(micros: i64) -> String {
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_owned()
}

/// Whether `text` is a day such as `2026-01-31` (RFC 3339, `full-date`).
pub(crate) fn is_day(text: &str) -> bool {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return false };
    let (Some(year), Some(month), Some(day)) =
        (number(&[y1, y2, y3, y4]), number(&[m1, m2]), number(&[d1, d2]))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    year > 0 && (1..=last).contains(&day)
}

/// Whether `text` is an instant such as `2026-01-31T08:30:00Z` (RFC 3339, `date-time`).
pub(crate) fn is_instant(text: &str) -> bool {
    let Some((day, rest)) = text.split_once(['T', 't']) else { return false };
    let Some((time, zone)) = rest.split_at_checked(8) else { return false };
    let zone = match zone.strip_prefix('.') {
        Some(fraction) => {
            let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if rest.len() == fraction.len() || fraction.len() - rest.len() > 9 {
                return false;
            }
            rest
        }
        None => zone,
    };
    let zone_fits = match zone.as_bytes() {
        [b'Z' | b'z'] => true,
        &[b'+' | b'-', h1, h2, b':', m1, m2] => within(&[h1, h2], 23) && within(&[m1, m2], 59),
        _ => false,
    };
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = time.as_bytes() else { return false };
    zone_fits && is_day(day) && within(&[h1, h2], 23) && within(&[m1, m2], 59) && within(&[s1, s2], 60)
}

fn within(digits: &[u8], most: u32) -> bool {
    number(digits).is_some_and(|n| n <= most)
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + u32::from(d - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_gregorian_calendar() {
        for (days, text) in [
            (0, "2000-01-01"),
            (-1, "1999-12-31"),
            (59, "2000-02-29"),
            (60, "2000-03-01"),
            (9_527, "2026-01-31"),
            (-10_957, "1970-01-01"),
            (-730_486, "-0001-12-31"),
        ] {
            assert_eq!(day(days), text);
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before_it() {
        let texts: Vec<String> = (0..DAYS_IN_400_YEARS).map(day).collect();
        assert!(texts.is_sorted() && texts.iter().all(|t| is_day(t)));
        assert_eq!(texts.last().map(String::as_str), Some("2399-12-31"));
    }

    #[test]
    fn times_show_no_more_digits_than_they_have() {
        assert_eq!(instant(0), "2000-01-01T00:00:00");
        assert_eq!(instant(-250_000), "1999-12-31T23:59:59.75");
        assert_eq!(time_of_day(30_600_000_001), "08:30:00.000001");
        assert_eq!((offset(-12_600), offset(7_200)), ("-03:30".into(), "+02:00".into()));
    }

    #[test]
    fn intervals_keep_their_signs() {
        for (months, days, micros, text) in [
            (14, 3, 14_706_500_000, "P1Y2M3DT4H5M6.5S"),
            (0, 0, 0, "PT0S"),
            (-1, 2, -500_000, "P-1M2DT-0.5S"),
            (0, 0, 3_600_000_000, "PT1H"),
        ] {
            assert_eq!(interval(months, days, micros), text);
        }
    }

    #[test]
    fn days_and_instants_that_do_not_exist_are_told_apart_from_those_that_do() {
        for good in ["2026-01-31", "2024-02-29", "0001-01-01"] {
            assert!(is_day(good), "{good}");
        }
        for bad in ["2026-02-29", "2026-13-01", "2026-1-1", "now", "infinity", "2026-01-31 ", "٢٠٢٦-01-01"]
        {
            assert!(!is_day(bad), "{bad}");
        }
        for good in ["2026-01-31T08:30:00Z", "2026-01-31t08:30:60.123456+02:00"] {
            assert!(is_instant(good), "{good}");
        }
        for bad in [
            "2026-01-31",
            "2026-01-31T08:30:00",
            "2026-01-31T24:00:00Z",
            "2026-01-31T08:30:00.Z",
            "nowT",
            "T",
        ] {
            assert!(!is_instant(bad), "{bad}");
        }
    }
}
