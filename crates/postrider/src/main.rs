//! The binary: configuration, commands, wiring, telemetry

fn main() {}
