//! Durations in Go's notation: `15s`, `1h30m`, `5ms`, `1.5h`.

use std::time::Duration;

/// Why a duration was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DurationError {
    /// Nothing was given, or a number is missing before a unit.
    #[error("{0:?} is not a duration such as 15s, 1h30m or 5ms")]
    Form(String),
    /// Units are ns, us, ms, s, m, h.
    #[error("unknown or missing unit in duration {0:?}: units are ns, us, ms, s, m, h")]
    Unit(String),
    /// Durations of ours are never negative.
    #[error("duration {0:?} is negative")]
    Negative(String),
    /// More than 292 years.
    #[error("duration {0:?} is too long")]
    TooLong(String),
}

/// Nanoseconds of Go's longest duration.
const LONGEST: u128 = i64::MAX as u128;

/// Reads a duration in Go's notation; `0` needs no unit.
///
/// # Errors
/// Anything else than numbers with units, negative values, and more than 292 years.
pub fn duration(text: &str) -> Result<Duration, DurationError> {
    let form = || DurationError::Form(text.to_owned());
    if text.starts_with('-') && text != "-0" {
        return Err(DurationError::Negative(text.to_owned()));
    }
    let mut rest = text.trim_start_matches(['+', '-']);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() || text.len() - rest.len() > 1 {
        return Err(form());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (number, tail) = split_at_first(rest, |c: char| !(c.is_ascii_digit() || c == '.'));
        let (unit, tail) = split_at_first(tail, |c: char| c.is_ascii_digit() || c == '.');
        let scale = scale_of(unit).ok_or_else(|| DurationError::Unit(text.to_owned()))?;
        total = nanoseconds(number, scale)
            .ok_or_else(form)?
            .checked_add(total)
            .filter(|sum| *sum <= LONGEST)
            .ok_or_else(|| DurationError::TooLong(text.to_owned()))?;
        rest = tail;
    }
    u64::try_from(total).map(Duration::from_nanos).map_err(|_| DurationError::TooLong(text.to_owned()))
}

fn split_at_first(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stop).unwrap_or(text.len()))
}

fn scale_of(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        _ => return None,
    })
}

/// A decimal number times a scale, rounded down. `None` where there is no digit, or two points.
fn nanoseconds(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok().filter(|whole| *whole <= LONGEST)? };
    // Below 16 digits a fraction is beyond the nanosecond of an hour.
    let fraction = fraction.get(..16).unwrap_or(fraction);
    let part = match fraction {
        "" => 0,
        digits => digits.parse::<u128>().ok()? * scale / 10_u128.checked_pow(u32::try_from(digits.len()).ok()?)?,
    };
    Some(whole * scale + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_go() {
        for (text, want) in [
            ("0", Duration::ZERO),
            ("0s", Duration::ZERO),
            ("15s", Duration::from_secs(15)),
            ("+5s", Duration::from_secs(5)),
            ("1h30m", Duration::from_secs(5_400)),
            ("5ms", Duration::from_millis(5)),
            ("1000s", Duration::from_secs(1_000)),
            ("1.5h", Duration::from_secs(5_400)),
            (".5s", Duration::from_millis(500)),
            ("1.s", Duration::from_secs(1)),
            ("1h2m3s4ms5us6ns", Duration::new(3_723, 4_005_006)),
            ("3µs", Duration::from_micros(3)),
            ("0.1000000000000000000000h", Duration::from_secs(360)),
        ] {
            assert_eq!(duration(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "+", "s", "1.2.3s", "..s", "++5s", "-"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(duration("15"), Err(DurationError::Unit("15".to_owned())));
        assert_eq!(duration("3d"), Err(DurationError::Unit("3d".to_owned())));
        assert_eq!(duration("-5s"), Err(DurationError::Negative("-5s".to_owned())));
        assert_eq!(duration("9999999999h"), Err(DurationError::TooLong("9999999999h".to_owned())));
    }
}
