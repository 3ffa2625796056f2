//! What Kubernetes takes as names, label keys and values, port names and variable names.
//!
//! Each check answers with the words that kube-apiserver uses for the refusal, so that users find them where they
//! look. Whether a name refers to anything is not decided here.

/// A refusal in the API's words.
pub type Check = Result<(), String>;

const LABEL_FORM: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
     end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_FORM: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
     start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED_FORM: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
     alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_FORM: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
     and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
     '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Longest DNS label, label name and label value.
const LABEL_LIMIT: usize = 63;
/// Longest DNS subdomain.
const SUBDOMAIN_LIMIT: usize = 253;

/// A name of one part: containers, volumes, namespaces.
///
/// # Errors
/// Says what such a name looks like.
pub fn dns_label(name: &str) -> Check {
    at_most(name, LABEL_LIMIT)?;
    if is_dns_label(name) { Ok(()) } else { Err(LABEL_FORM.to_owned()) }
}

/// A name of parts joined with dots: most objects.
///
/// # Errors
/// Says what such a name looks like.
pub fn dns_subdomain(name: &str) -> Check {
    at_most(name, SUBDOMAIN_LIMIT)?;
    if name.split('.').all(is_dns_label) { Ok(()) } else { Err(SUBDOMAIN_FORM.to_owned()) }
}

/// A name with an optional DNS prefix, `example.com/name`: label and annotation keys, condition types.
///
/// # Errors
/// Says which part is wrong.
pub fn qualified_name(name: &str) -> Check {
    let parts: Vec<&str> = name.split('/').collect();
    let last = match parts.as_slice() {
        [last] => *last,
        [prefix, last] => {
            if prefix.is_empty() {
                return Err("prefix part must be non-empty".to_owned());
            }
            dns_subdomain(prefix).map_err(|error| format!("prefix part {error}"))?;
            *last
        }
        _ => {
            return Err(format!(
                "a qualified {QUALIFIED_FORM} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
        }
    };
    if last.is_empty() {
        return Err("name part must be non-empty".to_owned());
    }
    at_most(last, LABEL_LIMIT).map_err(|error| format!("name part {error}"))?;
    if is_label_text(last) { Ok(()) } else { Err(QUALIFIED_FORM.to_owned()) }
}

/// The value of a label; may be empty.
///
/// # Errors
/// Says what a value looks like.
pub fn label_value(value: &str) -> Check {
    at_most(value, LABEL_LIMIT)?;
    if value.is_empty() || is_label_text(value) { Ok(()) } else { Err(VALUE_FORM.to_owned()) }
}

/// The name of a port (IANA service name).
///
/// # Errors
/// Says which of the rules for such names is broken.
pub fn port_name(name: &str) -> Check {
    at_most_characters(name, 15)?;
    let refusal = if !name.bytes().all(|byte| is_lower_or_digit(byte) || byte == b'-') {
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    } else if !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        "must contain at least one letter (a-z)"
    } else if name.contains("--") {
        "must not contain consecutive hyphens"
    } else if name.starts_with('-') || name.ends_with('-') {
        "must not begin or end with a hyphen"
    } else {
        return Ok(());
    };
    Err(refusal.to_owned())
}

/// The name of an environment variable: what Kubernetes takes since 1.34, printable ASCII without `=`.
///
/// # Errors
/// Says what such a name looks like.
pub fn variable_name(name: &str) -> Check {
    if name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=') {
        Ok(())
    } else {
        Err("a valid environment variable name must consist only of printable ASCII characters other than '='"
            .to_owned())
    }
}

/// The number of a port.
///
/// # Errors
/// Names the range.
pub fn port_number(port: i64) -> Check {
    if (1..=65535).contains(&port) { Ok(()) } else { Err("must be between 1 and 65535, inclusive".to_owned()) }
}

fn is_lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_dns_label(name: &str) -> bool {
    let ends = name.bytes().next().zip(name.bytes().last());
    ends.is_some_and(|(first, last)| is_lower_or_digit(first) && is_lower_or_digit(last))
        && name.bytes().all(|byte| is_lower_or_digit(byte) || byte == b'-')
}

fn is_label_text(text: &str) -> bool {
    let ends = text.bytes().next().zip(text.bytes().last());
    ends.is_some_and(|(first, last)| first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn at_most(text: &str, limit: usize) -> Check {
    if text.len() <= limit { Ok(()) } else { Err(format!("must be no more than {limit} bytes")) }
}

fn at_most_characters(text: &str, limit: usize) -> Check {
    if text.len() <= limit { Ok(()) } else { Err(format!("must be no more than {limit} characters")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: fn(&str) -> Check, good: &[&str], bad: &[&str]) {
        for name in good {
            assert_eq!(rule(name), Ok(()), "{name}");
        }
        for name in bad {
            assert!(rule(name).is_err(), "{name} should be refused");
        }
    }

    #[test]
    fn dns_names() {
        let (longest, too_long) = ("a".repeat(63), "a".repeat(64));
        check(dns_label, &["a", "0", "my-name", &longest], &["", "-a", "a-", "A", "a.b", "a_b", "ä", &too_long]);
        check(dns_subdomain, &["a", "a.b-c.d", &too_long], &["", ".", "a.", ".a", "a..b", "A.b", &"a".repeat(254)]);
    }

    #[test]
    fn label_keys_and_values() {
        check(
            qualified_name,
            &["app", "App_1.x", "example.com/App", "a/b"],
            &["", "/", "a/", "/a", "A.com/x", "a/b/c", "-a", "a-", &format!("a/{}", "b".repeat(64))],
        );
        check(label_value, &["", "a", "A_b.c-1", &"v".repeat(63)], &["-a", "a-", "a b", "é", &"v".repeat(64)]);
    }

    #[test]
    fn port_names_and_numbers() {
        check(
            port_name,
            &["http", "a", "p1-x", "123456789012a"],
            &["", "1", "a--b", "-a", "a-", "HTTP", "a234567890123456"],
        );
        assert!(port_number(0).is_err() && port_number(65536).is_err());
        assert!(port_number(1).is_ok() && port_number(65535).is_ok());
    }

    #[test]
    fn variable_names() {
        check(variable_name, &["A", "_a.b-c", "1A", "my var"], &["A=B", "é", "a\tb"]);
    }
}
