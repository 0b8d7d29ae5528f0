//! Visits every state that can be reached, the nearest first, and looks at each.
use std::collections::HashMap;

use super::protocol::{Look, Mutation, State, Transition};

/// What was found.
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) transitions: usize,
    /// Which property does not hold, and the acts that lead there from the beginning.
    pub(super) violation: Option<(&'static str, Vec<String>)>,
}

/// A state with how it was first reached, and where it leads without further interruptions.
struct Visited {
    state: State,
    from: Option<(usize, String)>,
    undisturbed: Vec<usize>,
}

pub(super) fn explore(first: &State, mutation: Option<Mutation>, look: Look) -> Explored {
    let mut visited = vec![Visited { state: first.clone(), from: None, undisturbed: Vec::new() }];
    let mut numbers = HashMap::from([(first.clone(), 0)]);
    let (mut next, mut transitions) = (0, 0);
    while next < visited.len() {
        let state = visited[next].state.clone();
        for Transition { act, to, interrupts, breaks } in state.transitions(mutation, look) {
            transitions += 1;
            let property = breaks.filter(|_| look.at_writes).or_else(|| to.broken(look));
            let number = *numbers.entry(to.clone()).or_insert_with(|| {
                visited.push(Visited { state: to, from: Some((next, act.clone())), undisturbed: Vec::new() });
                visited.len() - 1
            });
            if let Some(property) = property {
                let mut trace = trace(&visited, next);
                trace.push(act);
                return Explored { states: visited.len(), transitions, violation: Some((property, trace)) };
            }
            if !interrupts {
                visited[next].undisturbed.push(number);
            }
        }
        next += 1;
    }
    let violation = endless(&visited).map(|number| ("every issuance ends", trace(&visited, number)));
    Explored { states: visited.len(), transitions, violation }
}

/// A state from which an undisturbed run does not come to an end: it stops before that, or goes round in circles. If
/// there is none, every run ends that is interrupted a finite number of times, whatever is done first.
fn endless(visited: &[Visited]) -> Option<usize> {
    let mut open: Vec<usize> = visited.iter().map(|visited| visited.undisturbed.len()).collect();
    let mut into = vec![Vec::new(); visited.len()];
    for (number, one) in visited.iter().enumerate() {
        one.undisturbed.iter().for_each(|to| into[*to].push(number));
    }
    // From the ends backwards: what leads only to states that end, ends.
    let mut ends: Vec<usize> =
        (0..visited.len()).filter(|number| open[*number] == 0 && visited[*number].state.is_over()).collect();
    let mut ended = ends.len();
    while let Some(end) = ends.pop() {
        for from in &into[end] {
            open[*from] -= 1;
            if open[*from] == 0 {
                ended += 1;
                ends.push(*from);
            }
        }
    }
    let stuck = (0..visited.len())
        .find(|number| open[*number] == 0 && !visited[*number].state.is_over() && visited[*number].undisturbed.is_empty());
    stuck.or_else(|| (ended < visited.len()).then(|| open.iter().position(|open| *open > 0)).flatten())
}

fn trace(visited: &[Visited], mut number: usize) -> Vec<String> {
    let mut acts = Vec::new();
    while let Some((before, act)) = &visited[number].from {
        acts.push(act.clone());
        number = *before;
    }
    acts.reverse();
    acts
}
