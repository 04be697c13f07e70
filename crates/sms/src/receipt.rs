//! Delivery receipts: what a carrier says became of a segment.
