//! What a text message is: numbers, alphabets, segments, templates, states and receipt text; no I/O, no clock
