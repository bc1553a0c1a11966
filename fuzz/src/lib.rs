//! What the fuzz targets share: plain models to compare with.

#![forbid(unsafe_code)]

pub mod model;
