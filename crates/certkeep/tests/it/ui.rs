//! The web page through the real front: who gets what, and what may never happen.
mod browser;
mod guards;
mod inert;
mod pages;
