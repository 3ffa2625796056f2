//! What the conversions of all kinds have in common.

/// Why an object was not converted. Never given for an object that is stored (IN-44).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// The object, or what was asked for, has a version that the kind has not.
    #[error("{kind} has no version {version:?}")]
    UnknownVersion {
        /// Which kind.
        kind: &'static str,
        /// Which version, with its group where that was given.
        version: String,
    },
    /// What was sent is no JSON object.
    #[error("not an object")]
    NotAnObject,
    /// A tree was asked for, and the object is too deep for one. Text has no such limit.
    #[error("nested too deeply")]
    TooDeep,
}
