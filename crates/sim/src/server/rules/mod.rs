//! What the API server demands of objects: names and metadata, the native kinds' own rules, schemas of CRDs.
