//! What Asterisk's actions and events are: names, privilege classes, parameters (16 to 22 and later).
