//! What the README shows works.

#![allow(clippy::unwrap_used, reason = "a helper of tests stops at the first surprise")]

use sim::sink::SinkConfig;
use sim::smsc::SmscConfig;

/// The blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let blocks = include_str!("../README.md").split(fence.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_example_configurations_are_valid() {
    let blocks = blocks("toml");
    assert_eq!(blocks.len(), 2);
    let config: SmscConfig = toml::from_str(blocks[0]).unwrap();
    config.check().unwrap();
    assert_eq!((config.seed, config.behaviour.rules.len()), (7, 4));
    assert_eq!(config.behaviour.mo_generator.to.len(), 2);
    let config: SinkConfig = toml::from_str(blocks[1]).unwrap();
    config.check().unwrap();
    assert_eq!(config.behaviour.faults_per_event_max, Some(1));
}
