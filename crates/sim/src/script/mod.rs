//! Histories as scripts.
