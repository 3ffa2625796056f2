//! The patch formats of the API server, as functions from object and patch to object.
