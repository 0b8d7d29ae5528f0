//! What vendors have in common beyond the scenario.
