//! The state as its users see it: replies, reads, indexes, and who is woken.

mod catalog;
mod catalog_laws;
mod duties;
mod follow;
mod kv;
mod kv_laws;
mod leases;
mod members;
mod naive_kv;
mod ownership;
mod random_ops;
mod requests;
mod sessions;
mod time;
mod trust;
mod world;
