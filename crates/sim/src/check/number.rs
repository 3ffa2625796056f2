//! Integers and percents as the spec of CloneSet reads them (CS-30..32).

use serde_json::Value;

/// Which way a percent that is not a whole number of Pods goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    Up,
    Down,
}

/// A percentage of a total.
pub(super) const fn percent_of(percent: i64, total: i64, rounding: Rounding) -> i64 {
    let product = percent.saturating_mul(total);
    match rounding {
        Rounding::Down => product / 100,
        Rounding::Up => product.saturating_add(99) / 100,
    }
}

/// maxUnavailable, maxSurge: an integer is itself, a text is a whole percent with or without its sign, and any other
/// text is 0 (CS-32).
pub(super) fn scaled(value: &Value, total: i64, rounding: Rounding) -> i64 {
    match value {
        Value::Number(number) => number.as_i64().unwrap_or(0),
        Value::String(text) => {
            let digits = text.strip_suffix('%').unwrap_or(text);
            digits.parse().map_or(0, |percent| percent_of(percent, total, rounding))
        }
        _ => 0,
    }
}

/// How many Pods stay in old revisions (CS-30).
pub(super) fn partition(value: &Value, replicas: i64) -> i64 {
    let kept = match value {
        Value::Number(number) => number.as_i64().unwrap_or(0),
        Value::String(text) => {
            let Some(kept) = decimal_percent(text, replicas) else { return 0 };
            // A percentage below 100 always lets one Pod go (CS-120).
            if replicas > 1 && kept == replicas && text != "100%" { replicas - 1 } else { kept }
        }
        _ => 0,
    };
    kept.clamp(0, replicas.max(0))
}

/// `12.5%` of a total, rounded up.
fn decimal_percent(text: &str, total: i64) -> Option<i64> {
    let number = text.strip_suffix('%')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 || whole.starts_with('-') {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let divisor = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?.checked_mul(100)?;
    let product = digits.checked_mul(i128::from(total))?;
    i64::try_from(product.checked_add(divisor - 1)? / divisor).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test] // CS-31, CS-32
    fn texts_are_whole_percents() {
        for (value, total, rounding, want) in [
            (json!(3), 10, Rounding::Up, 3),
            (json!("20%"), 4, Rounding::Up, 1),
            (json!("20%"), 4, Rounding::Down, 0),
            (json!("5"), 100, Rounding::Down, 5),
            (json!("0.5%"), 1000, Rounding::Up, 0),
            (Value::Null, 10, Rounding::Up, 0),
        ] {
            assert_eq!(scaled(&value, total, rounding), want, "{value} of {total}");
        }
    }

    #[test] // CS-30, CS-120
    fn partition_rounds_up_and_lets_one_pod_go() {
        for (value, replicas, want) in [
            (json!(3), 10, 3),
            (json!(30), 10, 10),
            (json!("99%"), 10, 9),
            (json!("100%"), 10, 10),
            (json!("12.5%"), 10, 2),
            (json!("1%"), 1, 1),
            (json!("5"), 10, 0),
            (Value::Null, 10, 0),
        ] {
            assert_eq!(partition(&value, replicas), want, "{value} of {replicas}");
        }
    }
}
