//! The real program, as people run it: started as a process, asked over HTTP with `curl`, ended with signals.

mod apply;
mod dev;
mod house;
mod serve;
mod tools;
