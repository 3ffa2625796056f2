//! What was promised, checked on every write.
