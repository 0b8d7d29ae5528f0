//! Issuances from the command to the certificate: the engine on its real adapters, against the sandbox's CA and DNS.
mod failing;
mod halting;
mod house;
mod issued;
mod killed;
mod kills;
mod peers;
mod renewals;
