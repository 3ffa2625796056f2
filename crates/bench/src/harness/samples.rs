//! Values out of a page of metrics in the text format of Prometheus.

/// The sum of a metric's samples, of those with these labels; `None` where there is none.
pub(crate) fn sample(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let wanted: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        let fits = wanted.iter().all(|wanted| labels.split(',').any(|label| label == wanted));
        if fits { value.trim().parse::<f64>().ok() } else { None }
    });
    values.reduce(|sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::sample;

    #[test]
    fn samples_add_up_over_other_labels() {
        let text = "# TYPE a counter\na_total{result=\"x\",kind=\"Pod\"} 3\na_total{kind=\"Node\"} 4\nb 5\n";
        assert_eq!(sample(text, "a_total", &[]), Some(7.0));
        assert_eq!(sample(text, "a_total", &[("kind", "Pod")]), Some(3.0));
        assert_eq!(sample(text, "a_total", &[("kind", "Pod"), ("result", "y")]), None);
        assert_eq!(sample(text, "b", &[]), Some(5.0));
        assert_eq!(sample(text, "a_total", &[("kind", "Event")]), None);
    }
}
