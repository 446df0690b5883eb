//! What is seen of all that the ambassador does (S2, S3).

pub(crate) mod histogram;
