//! JSON with slots, rendered by copying text: an object of 8 KiB costs about as much as copying 8 KiB.
//!
//! A slot is a name in angle brackets within a string, `"<uid>"`; a name that is no slot stays as it is written.

use serde_json::Value;

/// Text with slots of type `S` in between.
#[derive(Debug)]
pub(super) struct Template<S> {
    pieces: Vec<Piece<S>>,
}

#[derive(Debug)]
enum Piece<S> {
    Text(Box<[u8]>),
    Slot(S),
}

impl<S: Copy> Template<S> {
    /// Cuts a shape at its slots.
    pub(super) fn new(shape: &Value, slots: &[(&str, S)]) -> Self {
        let text = shape.to_string();
        let (mut rest, mut literal, mut pieces) = (text.as_str(), String::new(), Vec::new());
        while let Some((before, from)) = rest.split_once('<') {
            literal.push_str(before);
            let slot = slots.iter().find_map(|(name, slot)| {
                Some((from.strip_prefix(name).and_then(|from| from.strip_prefix('>'))?, *slot))
            });
            if let Some((after, slot)) = slot {
                pieces.push(Piece::Text(std::mem::take(&mut literal).into_bytes().into()));
                pieces.push(Piece::Slot(slot));
                rest = after;
            } else {
                literal.push('<');
                rest = from;
            }
        }
        literal.push_str(rest);
        pieces.push(Piece::Text(literal.into_bytes().into()));
        Self { pieces }
    }

    /// Appends the text; `fill` writes what stands in a slot.
    pub(super) fn render(&self, out: &mut Vec<u8>, mut fill: impl FnMut(S, &mut Vec<u8>)) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Slot(slot) => fill(*slot, out),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Template;

    #[test]
    fn slots_are_filled_and_other_brackets_stay() {
        let template = Template::new(&json!({"a": "<name>-<name>", "b": "<other> < 3"}), &[("name", 'n')]);
        let mut out = Vec::new();
        template.render(&mut out, |slot, out| out.push(u8::try_from(slot).unwrap()));
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":"n-n","b":"<other> < 3"}"#);
    }
}
