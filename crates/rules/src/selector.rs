//! Label selectors: which labels they match, and the text that scale clients list Pods with (section 3.1 of the
//! CloneSet page).
//!
//! The text is kube's. Left to others: whether keys and values are well-formed labels, and whether a selector may be
//! empty, are questions of admission; an empty one matches everything here, as in Kubernetes.

use std::{collections::BTreeSet, fmt};

use api::k8s::Pairs;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::core::Expression;

/// Why a selector cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// The operator is none of `In`, `NotIn`, `Exists`, `DoesNotExist`.
    #[error("{operator:?} is not a valid label selector operator (key {key:?})")]
    UnknownOperator {
        /// Key of the requirement.
        key: String,
        /// What stands in place of the operator.
        operator: String,
    },
    /// `In` and `NotIn` need values to compare with.
    #[error("values of label selector key {key:?} must not be empty for operator {operator}")]
    MissingValues {
        /// Key of the requirement.
        key: String,
        /// `In` or `NotIn`.
        operator: String,
    },
    /// `Exists` and `DoesNotExist` ask for the key alone.
    #[error("values of label selector key {key:?} must be empty for operator {operator}")]
    UnwantedValues {
        /// Key of the requirement.
        key: String,
        /// `Exists` or `DoesNotExist`.
        operator: String,
    },
}

/// A selector that is ready to match: all its requirements hold, sorted by key.
///
/// Its text is the form of `status.labelSelector`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Expression>);

impl Selector {
    /// Checks and sorts the requirements. An empty selector matches everything.
    ///
    /// # Errors
    /// Fails on an operator that does not exist, and on values that do not fit their operator.
    pub fn compile(selector: &LabelSelector) -> Result<Self, SelectorError> {
        let equal = |(key, value): (&String, &String)| (key.clone(), Expression::Equal(key.clone(), value.clone()));
        let mut requirements: Vec<_> = selector.match_labels.iter().flatten().map(equal).collect();
        for requirement in selector.match_expressions.iter().flatten() {
            requirements.push((requirement.key.clone(), expression(requirement)?));
        }
        requirements.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Self(requirements.into_iter().map(|(_, expression)| expression).collect()))
    }

    /// Whether the labels meet every requirement.
    #[must_use]
    pub fn matches(&self, labels: &Pairs) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Expression::Equal(key, value) => labels.get(key).is_some_and(|held| held == value),
            Expression::NotEqual(key, value) => labels.get(key).is_none_or(|held| held != value),
            Expression::In(key, values) => labels.get(key).is_some_and(|held| values.contains(held.as_str())),
            Expression::NotIn(key, values) => labels.get(key).is_none_or(|held| !values.contains(held.as_str())),
            Expression::Exists(key) => labels.contains_key(key),
            Expression::DoesNotExist(key) => !labels.contains_key(key),
        })
    }

    /// The keys that must have one of some values, with these: where a matching object can be looked up.
    pub fn values_asked_for(&self) -> impl Iterator<Item = (&str, BTreeSet<&str>)> {
        self.0.iter().filter_map(|requirement| match requirement {
            Expression::Equal(key, value) => Some((key.as_str(), BTreeSet::from([value.as_str()]))),
            Expression::In(key, values) => Some((key.as_str(), values.iter().map(String::as_str).collect())),
            Expression::NotEqual(..) | Expression::NotIn(..) | Expression::Exists(_) | Expression::DoesNotExist(_) => {
                None
            }
        })
    }

    /// Whether there is no requirement, so that everything matches.
    #[must_use]
    pub fn selects_all(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().cloned().collect::<kube::core::Selector>().fmt(f)
    }
}

fn expression(requirement: &LabelSelectorRequirement) -> Result<Expression, SelectorError> {
    let (key, operator) = (requirement.key.clone(), requirement.operator.clone());
    let values = requirement.values.as_deref().unwrap_or_default();
    match (operator.as_str(), values) {
        ("In" | "NotIn", []) => Err(SelectorError::MissingValues { key, operator }),
        ("In", values) => Ok(Expression::In(key, values.iter().cloned().collect())),
        ("NotIn", values) => Ok(Expression::NotIn(key, values.iter().cloned().collect())),
        ("Exists", []) => Ok(Expression::Exists(key)),
        ("DoesNotExist", []) => Ok(Expression::DoesNotExist(key)),
        ("Exists" | "DoesNotExist", _) => Err(SelectorError::UnwantedValues { key, operator }),
        _ => Err(SelectorError::UnknownOperator { key, operator }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn compile(selector: Value) -> Result<Selector, SelectorError> {
        Selector::compile(&serde_json::from_value(selector).unwrap())
    }

    fn expressions(of: &[(&str, &str, &[&str])]) -> Value {
        let one = |(key, operator, values): &(&str, &str, &[&str])| {
            let mut requirement = json!({"key": key, "operator": operator});
            if !values.is_empty() {
                requirement["values"] = json!(values);
            }
            requirement
        };
        json!({"matchExpressions": of.iter().map(one).collect::<Vec<_>>()})
    }

    #[test]
    fn each_operator_treats_an_absent_key_as_kubernetes_does() {
        let labels = |pairs: &[(&str, &str)]| -> Pairs {
            pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
        };
        // operator, values, matches app=a, matches app=c, matches no app
        for (operator, values, a, c, absent) in [
            ("In", ["a", "b"].as_slice(), true, false, false),
            ("NotIn", &["a", "b"], false, true, true),
            ("Exists", &[], true, true, false),
            ("DoesNotExist", &[], false, false, true),
        ] {
            let selector = compile(expressions(&[("app", operator, values)])).unwrap();
            assert_eq!(selector.matches(&labels(&[("app", "a")])), a, "{operator} {values:?} of a");
            assert_eq!(selector.matches(&labels(&[("app", "c"), ("x", "a")])), c, "{operator} {values:?} of c");
            assert_eq!(selector.matches(&labels(&[("x", "a")])), absent, "{operator} {values:?} of no app");
            assert_eq!(selector.matches(&Pairs::default()), absent, "{operator} {values:?} of no labels");
        }
    }

    #[test]
    fn all_requirements_must_hold() {
        let mut selector = expressions(&[("tier", "Exists", &[])]);
        selector["matchLabels"] = json!({"app": "web"});
        let selector = compile(selector).unwrap();
        let labels = |value: Value| -> Pairs { serde_json::from_value(value).unwrap() };
        assert!(selector.matches(&labels(json!({"app": "web", "tier": ""}))));
        assert!(!selector.matches(&labels(json!({"app": "web"}))));
        assert!(!selector.matches(&labels(json!({"app": "db", "tier": "x"}))));
    }

    #[test] // section 3.1
    fn the_text_is_sorted_by_key_and_values() {
        let mut selector = expressions(&[
            ("zone", "In", &["b", "a"]),
            ("arch", "NotIn", &["x", "c"]),
            ("tier", "Exists", &[]),
            ("legacy", "DoesNotExist", &[]),
            ("one", "In", &["v"]),
        ]);
        selector["matchLabels"] = json!({"app": "web"});
        let text = compile(selector).unwrap().to_string();
        assert_eq!(text, "app=web,arch notin (c,x),!legacy,one in (v),tier,zone in (a,b)");
        assert_eq!(compile(json!({})).unwrap().to_string(), "");
    }

    #[test]
    fn an_empty_selector_matches_everything_and_says_so() {
        let selector = compile(json!({})).unwrap();
        assert!(selector.selects_all() && selector.matches(&Pairs::default()));
        assert!(!compile(json!({"matchLabels": {"app": "web"}})).unwrap().selects_all());
    }

    #[test] // CS-10
    fn what_cannot_be_parsed_is_named() {
        for (operator, values, error) in [
            ("Near", ["a"].as_slice(), r#""Near" is not a valid label selector operator (key "app")"#),
            ("In", &[], r#"values of label selector key "app" must not be empty for operator In"#),
            ("NotIn", &[], r#"values of label selector key "app" must not be empty for operator NotIn"#),
            ("Exists", &["a"], r#"values of label selector key "app" must be empty for operator Exists"#),
            ("DoesNotExist", &["a"], r#"values of label selector key "app" must be empty for operator DoesNotExist"#),
        ] {
            assert_eq!(compile(expressions(&[("app", operator, values)])).unwrap_err().to_string(), error);
        }
    }
}
