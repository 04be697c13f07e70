//! HTTP in: one module a vendor's dialect
