//! "A number or a percentage": the two parsers that Kubernetes and OpenKruise use for such fields.
//!
//! [`scaled`] is the lenient one of maxUnavailable, maxSurge and the scale-up limit (CS-31, CS-32): whole percents,
//! and a text without `%` is read as if it had one. [`DecimalPercent`] is the strict one of `partition` and of
//! admission (CS-30): decimal fractions, and `%` is required. What a text that neither takes means (0, 20 %, a
//! refusal) is decided by the caller.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Which way a fraction of a Pod goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the whole Pod above.
    Up,
    /// To the whole Pod below.
    Down,
}

/// Why a text is no percentage. The words are those that admission answers with (CS-111).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PercentError {
    /// The text has no `%`, which the strict form needs.
    #[error("invalid type: string is not a percentage")]
    NotAPercentage,
    /// What stands before the `%` is no number of the form asked for.
    #[error("invalid value {0:?}: not a number followed by %")]
    NotANumber(String),
}

/// The value of a lenient number-or-percentage for `total` Pods: a number is itself, `"25%"` and `"25"` are a quarter
/// of `total` (CS-32).
///
/// # Errors
/// Fails for a text that is no whole number once every `%` is taken out. In 1.9 such a text counts as 0.
pub fn scaled(value: &IntOrString, total: i32, rounding: Rounding) -> Result<i32, PercentError> {
    match value {
        IntOrString::Int(number) => Ok(*number),
        IntOrString::String(text) => {
            let percent: i64 = text.replace('%', "").parse().map_err(|_| PercentError::NotANumber(text.clone()))?;
            Ok(share(i128::from(percent) * i128::from(total), 100, rounding))
        }
    }
}

/// The value of a strict number-or-percentage for `total` Pods: a number is itself, `"12.5%"` is an eighth.
///
/// # Errors
/// As [`DecimalPercent::parse`].
pub fn scaled_strict(value: &IntOrString, total: i32, rounding: Rounding) -> Result<i32, PercentError> {
    match value {
        IntOrString::Int(number) => Ok(*number),
        IntOrString::String(text) => Ok(DecimalPercent::parse(text)?.of(total, rounding)),
    }
}

/// A percentage with an optional decimal fraction, exact: `0.1%` of 1000 is 1, not a little more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecimalPercent {
    /// The percentage times `scale`.
    units: i128,
    /// A power of ten.
    scale: i128,
}

impl DecimalPercent {
    /// More digits than this are refused: they would not change the share of 2147483647 Pods.
    const MAX_DIGITS: usize = 24;

    /// Reads `"12.5%"`.
    ///
    /// # Errors
    /// Fails where the text has no `%` at its end, or where the rest is no decimal number.
    pub fn parse(text: &str) -> Result<Self, PercentError> {
        let number = text.strip_suffix('%').ok_or(PercentError::NotAPercentage)?;
        Self::parse_number(number).ok_or_else(|| PercentError::NotANumber(text.to_owned()))
    }

    fn parse_number(number: &str) -> Option<Self> {
        let (negative, digits) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let significant = format!("{}{fraction}", whole.trim_start_matches('0'));
        if significant.len() > Self::MAX_DIGITS {
            return None;
        }
        let units: i128 = if significant.is_empty() { 0 } else { significant.parse().ok()? };
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        Some(Self { units: if negative { -units } else { units }, scale })
    }

    /// This share of `total` Pods.
    #[must_use]
    pub fn of(self, total: i32, rounding: Rounding) -> i32 {
        share(self.units * i128::from(total), self.scale * 100, rounding)
    }
}

/// `amount / parts`, rounded; what does not fit ends at the limits of the type.
fn share(amount: i128, parts: i128, rounding: Rounding) -> i32 {
    let down = amount.div_euclid(parts);
    let whole = match rounding {
        Rounding::Up if amount.rem_euclid(parts) != 0 => down + 1,
        Rounding::Up | Rounding::Down => down,
    };
    i32::try_from(whole).unwrap_or(if whole < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> IntOrString {
        IntOrString::String(text.to_owned())
    }

    #[test] // CS-31, CS-32
    fn whole_percents_are_read_with_or_without_their_sign() {
        for (value, total, up, down) in [
            ("20%", 4, 1, 0),
            ("50%", 5, 3, 2),
            ("100%", 7, 7, 7),
            ("0%", 7, 0, 0),
            ("5", 100, 5, 5),
            ("+5%", 100, 5, 5),
            ("-10%", 10, -1, -1),
            ("150%", 2, 3, 3),
        ] {
            assert_eq!(scaled(&text(value), total, Rounding::Up), Ok(up), "{value} of {total}, up");
            assert_eq!(scaled(&text(value), total, Rounding::Down), Ok(down), "{value} of {total}, down");
        }
        assert_eq!(scaled(&IntOrString::Int(3), 100, Rounding::Up), Ok(3));
    }

    #[test] // CS-32
    fn the_lenient_form_takes_whole_numbers_only() {
        for value in ["0.5%", "abc", "", "%", "1 %"] {
            assert_eq!(scaled(&text(value), 10, Rounding::Up), Err(PercentError::NotANumber(value.to_owned())));
        }
    }

    #[test] // CS-30
    fn decimal_percents_are_exact() {
        for (value, total, up, down) in [
            ("12.5%", 8, 1, 1),
            ("12.5%", 10, 2, 1),
            ("0.07%", 10_000, 7, 7),
            ("99.99%", 10, 10, 9),
            (".5%", 200, 1, 1),
            ("5.%", 20, 1, 1),
            ("33.000000000000000000000000000000%", 100, 33, 33),
            ("-0.5%", 100, 0, -1),
            ("1000000%", i32::MAX, i32::MAX, i32::MAX),
        ] {
            let percent = DecimalPercent::parse(value).unwrap();
            assert_eq!(percent.of(total, Rounding::Up), up, "{value} of {total}, up");
            assert_eq!(percent.of(total, Rounding::Down), down, "{value} of {total}, down");
        }
    }

    #[test] // CS-30, CS-32, CS-111
    fn the_strict_form_needs_the_sign_and_a_number() {
        for value in ["5", "", "half"] {
            let error = DecimalPercent::parse(value).unwrap_err();
            assert_eq!(error.to_string(), "invalid type: string is not a percentage", "{value}");
        }
        for value in ["%", ".%", "a%", "1e1%", "1..2%", "5%%", " 5%", "NaN%", "1234567890123456789012345%"] {
            assert_eq!(DecimalPercent::parse(value), Err(PercentError::NotANumber(value.to_owned())), "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(value in "\\PC*", total in any::<i32>()) {
            let _ = scaled(&text(&value), total, Rounding::Up);
            let _ = scaled_strict(&text(&value), total, Rounding::Down);
        }

        #[test]
        fn both_forms_agree_on_whole_percents(percent in -1000_i32..1000, total in any::<i32>()) {
            for rounding in [Rounding::Up, Rounding::Down] {
                let value = text(&format!("{percent}%"));
                prop_assert_eq!(scaled(&value, total, rounding), scaled_strict(&value, total, rounding));
            }
        }
    }
}
