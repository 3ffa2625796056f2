//! Resource quantities in the API's canonical form (RV-1): `1000m` is `1`, `1024Mi` is `1Gi`, `0.5` is `500m`.
//!
//! Exact to a billionth, rounded up below that, as the API server does. Text that is no quantity is left to the caller.

use std::fmt;

use serde_json::{Map, Value};

/// A quantity: billionths of one, and the notation it was written in.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    notation: Notation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notation {
    Binary,
    Decimal,
    Exponent,
}

const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// Decimal suffixes with their power of ten, smallest first.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const NANO: i128 = 1_000_000_000;

impl Quantity {
    /// Reads a quantity; `None` where the text is none, or is beyond what any resource can hold.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits_end = text
            .char_indices()
            .find(|(at, c)| !(c.is_ascii_digit() || *c == '.' || (*at == 0 && (*c == '-' || *c == '+'))))
            .map_or(text.len(), |(at, _)| at);
        let (number, suffix) = text.split_at(digits_end);
        let negative = number.starts_with('-');
        let number = number.trim_start_matches(['-', '+']);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() + fraction.len() > 30 {
            return None;
        }
        let mantissa: i128 = format!("0{whole}{fraction}").parse().ok()?;
        let scale = -i32::try_from(fraction.len()).ok()?;
        let (notation, binary, power) = if let Some(at) = BINARY.iter().position(|known| *known == suffix) {
            (Notation::Binary, 1024_i128.checked_pow(u32::try_from(at + 1).ok()?)?, 0)
        } else if let Some((_, power)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
            (Notation::Decimal, 1, *power)
        } else {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            (Notation::Exponent, 1, exponent.parse::<i8>().ok()?.into())
        };
        let scaled = mantissa.checked_mul(binary)?;
        let shift = power + scale + 9;
        let nanos = if shift >= 0 {
            scaled.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?)?
        } else {
            let unit = 10_i128.checked_pow(u32::try_from(-shift).ok()?)?;
            scaled / unit + i128::from(scaled % unit != 0)
        };
        Some(Self { nanos: if negative { -nanos } else { nanos }, notation })
    }

    /// The same amount, rounded up to thousandths: what Kubernetes makes of limits and requests.
    #[must_use]
    pub fn rounded_up_to_milli(self) -> Self {
        const MILLI: i128 = NANO / 1000;
        let over = self.nanos.rem_euclid(MILLI);
        Self { nanos: if over == 0 { self.nanos } else { self.nanos - over + MILLI }, ..self }
    }

    /// The amount in billionths; equal quantities have equal amounts whatever their notation.
    #[must_use]
    pub fn nanos(&self) -> i128 {
        self.nanos
    }
}

/// Rewrites the amounts of `limits` and `requests` as Kubernetes stores them.
pub(crate) fn normalise_requirements(requirements: &mut Map<String, Value>) {
    for list in ["limits", "requests"] {
        if let Some(resources) = requirements.get_mut(list) {
            normalise_resources(resources);
        }
    }
}

/// Rewrites the amounts of a resource list as Kubernetes stores them: canonical, thousandths at the finest.
pub(crate) fn normalise_resources(resources: &mut Value) {
    for amount in resources.as_object_mut().into_iter().flat_map(Map::values_mut) {
        rewrite(amount, Quantity::rounded_up_to_milli);
    }
}

/// Rewrites a single amount in canonical form.
pub(crate) fn normalise(amount: &mut Value) {
    rewrite(amount, |quantity| quantity);
}

/// The quantity that a JSON value holds: a text, or a bare number.
pub(crate) fn read(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text.trim()),
        Value::Number(number) => Quantity::parse(&number.to_string()),
        _ => None,
    }
}

fn rewrite(amount: &mut Value, change: impl Fn(Quantity) -> Quantity) {
    if let Some(quantity) = read(amount) {
        *amount = Value::String(change(quantity).to_string());
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let sign = if self.nanos < 0 { "-" } else { "" };
        let amount = self.nanos.unsigned_abs();
        if self.notation == Notation::Binary && amount >= 1024 * NANO.unsigned_abs() {
            let mut units = amount.div_ceil(NANO.unsigned_abs());
            let mut suffix = "";
            for next in BINARY {
                if !units.is_multiple_of(1024) {
                    break;
                }
                units /= 1024;
                suffix = next;
            }
            return write!(f, "{sign}{units}{suffix}");
        }
        let mut units = amount;
        let mut chosen = ("n", -9);
        for next in &DECIMAL[1..] {
            if !units.is_multiple_of(1000) {
                break;
            }
            units /= 1000;
            chosen = *next;
        }
        match (self.notation, chosen) {
            (Notation::Exponent, (_, power)) if power != 0 => write!(f, "{sign}{units}e{power}"),
            (_, (suffix, _)) => write!(f, "{sign}{units}{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    #[test] // RV-1
    fn canonical_form_is_the_shortest_exact_one() {
        for (text, want) in [
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1500M", "1500M"),
            ("1000M", "1G"),
            ("0.5Gi", "512Mi"),
            ("0.1Ki", "102400m"),
            ("0", "0"),
            ("0Gi", "0"),
            ("1e3", "1e3"),
            ("100m", "100m"),
            ("-2000m", "-2"),
            ("1536", "1536"),
            ("0.0000000001", "1n"),
        ] {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), want, "{text}");
        }
    }

    #[test]
    fn limits_are_rounded_up_to_thousandths() {
        for (text, want) in [("0.5m", "1m"), ("1500u", "2m"), ("100m", "100m"), ("1Gi", "1Gi"), ("0.0001", "1m")] {
            assert_eq!(Quantity::parse(text).unwrap().rounded_up_to_milli().to_string(), want, "{text}");
        }
    }

    #[test]
    fn text_that_is_no_quantity_is_none() {
        for text in ["", "Gi", "1.2.3", "1X", "1 Gi", "e3", "99999999999999999999999999999999999Ei"] {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
    }
}
