//! Inputs from choices: reviews that look right, reviews that are odd in a few places, and bytes.
//!
//! `schema` knows the form of kinds, `words` what stands in their members, `objects` makes healthy objects and adds
//! members, `twist` breaks them, `reviews` asks about them, `bytes` breaks the text.

mod bytes;
mod objects;
mod reviews;
pub mod schema;
mod twist;
mod words;

use self::schema::Schemas;
use crate::input::Input;
use crate::source::Source;

/// What inputs are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// Reviews of Pods and CloneSets.
    Admission,
    /// Reviews of objects in another version.
    Conversion,
    /// Reviews with bytes changed, and bytes that are no review.
    Bytes,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Admission, Self::Conversion, Self::Bytes];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::Conversion => "conversion",
            Self::Bytes => "bytes",
        }
    }
}

/// Makes inputs.
#[derive(Debug)]
pub struct Generator {
    schemas: Schemas,
}

impl Generator {
    /// Takes the forms of kinds from their definitions.
    ///
    /// # Errors
    /// Fails where a definition has another shape than those of Kubernetes.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { schemas: Schemas::new()? })
    }

    /// An input; equal choices make equal inputs.
    pub fn input(&self, target: Target, source: &mut Source) -> Input {
        match target {
            Target::Admission => self.admission(source),
            Target::Conversion => self.conversion(source),
            Target::Bytes => self.bytes(source),
        }
    }
}
