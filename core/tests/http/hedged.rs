//! Requests that are hedged (H1): the loser is given up, and what was asked for twice was done once.

use super::*;
use ambassador_core::Endpoint;
use ambassador_core::balance::Balance;
use ambassador_core::policy::hedge::{After, Hedge};
use ambassador_core::policy::http::IdempotencyKey;
use std::collections::HashMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

#[test]
fn the_loser_of_a_hedged_request_is_given_up_and_the_ledger_shows_one_charge() {
    let charges = Arc::new(Mutex::new(HashMap::new()));
    let (tell, given_up) = channel();
    let first = Mutex::new(Some(tell));
    let came = Arc::new(Mutex::new(0));
    let endpoints: Vec<Server> = (0..2)
        .map(|_| {
            let (charges, came, tell) = (Arc::clone(&charges), Arc::clone(&came), first.lock().unwrap().clone());
            let tell = Mutex::new(tell.unwrap());
            Server::scripted(move |peer| {
                let Some(seen) = peer.request() else { return };
                *charges.lock().unwrap().entry(seen.header("idempotency-key").unwrap().to_owned()).or_insert(0) += 42;
                // Whoever is asked first says nothing.
                let is_first = std::mem::replace(&mut *came.lock().unwrap(), 1) == 0;
                if is_first {
                    peer.wait_for_end();
                    tell.lock().unwrap().send(peer.number).unwrap();
                } else {
                    peer.answer(201, &[], b"charged");
                }
            })
        })
        .collect();
    let proxy = builder("http://payment-api.example.com")
        .endpoints(endpoints.iter().map(|server| Endpoint::new(&server.url()).unwrap()))
        .balance(Balance::RoundRobin)
        .idempotent(true)
        .idempotency_key(IdempotencyKey::Auto)
        .hedge(Hedge { after: After::Fixed(1_000_000), max: 1 })
        .build()
        .unwrap();
    let response = block_on(proxy.send(post("/charges", "42 EUR"))).unwrap();
    assert_eq!((response.status().as_u16(), &*text(response)), (201, "charged"));
    // Its connection is closed when the other has won.
    given_up.recv().unwrap();
    assert_eq!(endpoints.iter().map(|server| server.seen().len()).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(charges.lock().unwrap().len(), 1, "both brought one key");
    assert_eq!((common::attempts(&proxy), common::ends(&proxy)[0]), ([1, 0, 0, 1], 1));
}
