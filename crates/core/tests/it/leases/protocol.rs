//! One issuance, the nodes that work on it, the CA and the DNS, in as few words as the protocol needs.

/// What is taken away from the protocol, to see that its absence is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// The record is created before it is journalled.
    JournalAfterAdd,
    /// A lease lasts until it is handed back.
    LeaseWithoutEnd,
    /// A write does not ask for the fence.
    NoFenceCheck,
    /// Whoever has lost its lease does not journal anew what it has put up.
    NoLateJournal,
    /// A record that was removed is forgotten, whoever may put it up yet.
    NoOtherLook,
    /// A lease does not raise the fence.
    SameFence,
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Whether each write is looked at, and not only what comes of it.
    pub(super) at_writes: bool,
    /// Whether the other look at a removed record comes after every node that was stopped has come back, or is gone: it
    /// comes later than any stop that is shorter than the pause before it.
    pub(super) stops_are_short: bool,
}

/// The saved steps; `Propagated` and `Validated` are saved like `Presented` and add nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Step {
    Queued,
    Ordered,
    Presented,
    Finalizing,
    Issued,
    Done,
    Failed,
}

/// How far a node is within a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Stage {
    /// About to do the step.
    Start,
    /// The record is in the journal, and about to be created.
    Journalled,
    /// Done outside, not saved yet.
    Acted,
    /// The step failed, and the lease was kept for the removal.
    Failing,
    /// The record is gone, but still in the journal.
    Removed,
    /// The lease is lost, and what was put up under it not journalled anew yet.
    Refused,
    /// About to end the issuance.
    Ending,
}

/// The row of the issuance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Row {
    step: Step,
    order: Option<u8>,
    fence: u8,
    /// Whether a lease runs; else it is due, or over.
    leased: bool,
    /// Under which fence the challenge record was journalled, if it is in the journal; 0 is nobody's.
    journalled: Option<u8>,
    /// Whether a record is in the journal that was removed and is removed once more after a while.
    removed: bool,
}

/// What a node has in mind: the row as it was leased and saved by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Work {
    fence: u8,
    step: Step,
    order: Option<u8>,
    stage: Stage,
    fails: bool,
    /// Whether it has put the record up, or tried to, and not removed it since.
    put_up: bool,
}

impl Work {
    /// Whether its next acts may put the record up.
    fn may_put_up(&self) -> bool {
        self.step == Step::Ordered && !self.fails && self.stage == Stage::Journalled
    }
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    row: Row,
    /// In no order: nodes are alike.
    nodes: Vec<Option<Work>>,
    /// How many more interruptions there may be.
    interruptions_left: u8,
    /// At the CA: orders placed, and those for which a certificate was issued.
    orders: u8,
    certificates: Vec<u8>,
    /// Whether the record stands in the DNS.
    record: bool,
    /// Leases that were lost, or handed back, before what was done under them was saved.
    lost: u8,
}

/// One thing that may happen next.
pub(super) struct Transition {
    pub(super) act: String,
    pub(super) to: State,
    /// Whether it disturbs the work, instead of being a part of it.
    pub(super) interrupts: bool,
    /// Which property of acts it breaks.
    pub(super) breaks: Option<&'static str>,
}

impl State {
    pub(super) fn new(nodes: usize, interruptions: u8) -> State {
        let row = Row { step: Step::Queued, order: None, fence: 0, leased: false, journalled: None, removed: false };
        State {
            row,
            nodes: vec![None; nodes],
            interruptions_left: interruptions,
            orders: 0,
            certificates: Vec::new(),
            record: false,
            lost: 0,
        }
    }

    fn ended(&self) -> bool {
        matches!(self.row.step, Step::Done | Step::Failed)
    }

    /// Nothing is left to be done.
    pub(super) fn is_over(&self) -> bool {
        self.ended() && self.row.journalled.is_none() && !self.row.removed && self.nodes.iter().all(Option::is_none)
    }

    /// Which property of states does not hold here.
    pub(super) fn broken(&self, look: Look) -> Option<&'static str> {
        let fences: Vec<u8> = self.nodes.iter().flatten().map(|work| work.fence).collect();
        let twice = fences.iter().enumerate().any(|(number, fence)| fences[number + 1..].contains(fence));
        if twice && look.at_writes {
            return Some("no two nodes hold the same fence");
        }
        if self.orders > 1 + self.lost {
            return Some("an order is placed again only after a lease was lost");
        }
        if self.certificates.len() > 1 {
            return Some("one certificate is issued at most");
        }
        if self.row.step == Step::Done && self.certificates.len() != 1 {
            return Some("what is done has a certificate");
        }
        if self.is_over() && self.record {
            return Some("no record is left when everything is over");
        }
        None
    }

    pub(super) fn transitions(&self, mutation: Option<Mutation>, look: Look) -> Vec<Transition> {
        let mut all = Vec::new();
        let mut push = |act: String, mut to: State, interrupts: bool, breaks: Option<&'static str>| {
            to.nodes.sort_unstable();
            all.push(Transition { act, to, interrupts, breaks });
        };
        for (number, node) in self.nodes.iter().enumerate() {
            match node {
                None if !self.ended() && !self.row.leased => {
                    let mut to = self.clone();
                    if mutation != Some(Mutation::SameFence) {
                        to.row.fence += 1;
                    }
                    to.row.leased = true;
                    let Row { fence, step, order, .. } = to.row;
                    to.nodes[number] = Some(Work { fence, step, order, stage: Stage::Start, fails: false, put_up: false });
                    push(format!("a node leases with fence {fence}"), to, false, None);
                }
                None => {}
                Some(work) => {
                    for (act, to, breaks) in self.acts(number, *work, mutation) {
                        push(act, to, false, breaks);
                    }
                    if self.interruptions_left > 0 {
                        let mut killed = self.interrupted(work);
                        killed.nodes[number] = None;
                        push(format!("the node with fence {} is killed", work.fence), killed, true, None);
                        if self.holds(work) {
                            let mut back = self.interrupted(work);
                            (back.nodes[number], back.row.leased) = (None, false);
                            push(format!("the node with fence {} hands its lease back", work.fence), back, true, None);
                            let mut stopped = self.interrupted(work);
                            stopped.row.leased = false;
                            push(
                                format!("the node with fence {} is stopped for longer than its lease", work.fence),
                                stopped,
                                true,
                                None,
                            );
                        }
                    }
                }
            }
        }
        let somebody_holds = self.nodes.iter().flatten().any(|work| self.holds(work));
        if self.row.leased && !somebody_holds && mutation != Some(Mutation::LeaseWithoutEnd) {
            let mut to = self.clone();
            to.row.leased = false;
            push("the lease of a node that is gone ends".to_owned(), to, false, None);
        }
        if self.ended() && self.row.journalled.is_some() {
            let mut to = self.clone();
            to.record = false;
            to.forget(None, mutation);
            push("the loop removes a record that was left over".to_owned(), to, false, None);
        }
        let stopped = self.nodes.iter().flatten().any(|work| self.has_lost(work) && work.may_put_up());
        if self.ended() && self.row.removed && !(look.stops_are_short && stopped) {
            let mut to = self.clone();
            (to.record, to.row.removed) = (false, false);
            push("the loop removes a record once more".to_owned(), to, false, None);
        }
        all
    }

    /// The record was removed, under a fence or by the loop: it is forgotten where nobody else may put it up, else looked at
    /// once more. Of an issuance that runs under another fence nothing is changed.
    fn forget(&mut self, fence: Option<u8>, mutation: Option<Mutation>) {
        if !self.ended() && fence != Some(self.row.fence) {
            return;
        }
        let other = self.row.journalled.take() != Some(self.row.fence);
        self.row.removed |= other && mutation != Some(Mutation::NoOtherLook);
    }

    fn holds(&self, work: &Work) -> bool {
        self.row.leased && self.row.fence == work.fence
    }

    /// Whether another node may have taken the work up.
    fn has_lost(&self, work: &Work) -> bool {
        self.row.fence != work.fence || self.ended()
    }

    fn interrupted(&self, work: &Work) -> State {
        let mut to = self.clone();
        to.interruptions_left -= 1;
        to.lost += u8::from(self.holds(work) && work.step == Step::Queued);
        to
    }

    /// What a node may do next: the step goes on, or fails.
    fn acts(&self, number: usize, work: Work, mutation: Option<Mutation>) -> Vec<(String, State, Option<&'static str>)> {
        let who = |what: &str| format!("the node with fence {} {what}", work.fence);
        let with = |change: &dyn Fn(&mut State, &mut Work)| {
            let (mut to, mut work) = (self.clone(), work);
            change(&mut to, &mut work);
            to.nodes[number] = Some(work);
            to
        };
        let journal_first = mutation != Some(Mutation::JournalAfterAdd);
        if work.stage == Stage::Refused {
            let mut to = self.clone();
            to.nodes[number] = None;
            to.row.journalled = self.row.journalled.or(Some(0));
            return vec![(who("journals anew what it has put up"), to, None)];
        }
        if work.fails {
            return vec![match work.stage {
                Stage::Start => self.write(number, work, mutation, "keeps its lease to clean up", &|_, work| {
                    work.stage = Stage::Failing;
                }),
                Stage::Ending => self.write(number, work, mutation, "ends the issuance as failed", &|to, _| {
                    to.row.step = Step::Failed;
                }),
                _ => self.take_down(number, work, mutation),
            }];
        }
        let mut all = vec![match (work.step, work.stage) {
            (Step::Queued, Stage::Start) => {
                let to = with(&|to, work| {
                    work.order = Some(to.orders);
                    to.orders += 1;
                    work.stage = Stage::Acted;
                });
                (who("places an order"), to, None)
            }
            (Step::Ordered, Stage::Start) if journal_first => {
                self.write(number, work, mutation, "journals the record", &|to, work| {
                    to.row.journalled = to.row.journalled.or(Some(work.fence));
                    work.stage = Stage::Journalled;
                })
            }
            (Step::Ordered, Stage::Start | Stage::Journalled) => {
                let to = with(&|to, work| {
                    to.record = true;
                    (work.stage, work.put_up) = (Stage::Acted, true);
                });
                (who("creates the record"), to, None)
            }
            (Step::Finalizing, Stage::Start) => {
                let to = with(&|to, work| {
                    let order = work.order.unwrap_or(u8::MAX);
                    if !to.certificates.contains(&order) {
                        to.certificates.push(order);
                        to.certificates.sort_unstable();
                    }
                    work.stage = Stage::Acted;
                });
                (who("finalizes its order"), to, None)
            }
            (Step::Issued, Stage::Ending) => self.write(number, work, mutation, "ends the issuance as done", &|to, _| {
                to.row.step = Step::Done;
            }),
            (Step::Issued, _) => self.take_down(number, work, mutation),
            (step, _) => {
                let next = match step {
                    Step::Queued => Step::Ordered,
                    Step::Ordered => Step::Presented,
                    Step::Presented => Step::Finalizing,
                    _ => Step::Issued,
                };
                self.write(number, work, mutation, &format!("saves {next:?}"), &|to, work| {
                    if !journal_first && next == Step::Presented {
                        to.row.journalled = Some(work.fence);
                    }
                    (to.row.step, to.row.order) = (next, work.order);
                    (work.step, work.stage) = (next, Stage::Start);
                })
            }
        }];
        if matches!(work.stage, Stage::Start | Stage::Journalled) && work.step != Step::Issued {
            let to = with(&|_, work| (work.fails, work.stage) = (true, Stage::Start));
            all.push((who("meets a failure"), to, None));
        }
        all
    }

    /// A write under the fence: the row, the end of an issuance, the journal. Whoever is refused gives up.
    fn write(
        &self,
        number: usize,
        work: Work,
        mutation: Option<Mutation>,
        what: &str,
        change: &dyn Fn(&mut State, &mut Work),
    ) -> (String, State, Option<&'static str>) {
        let (mut to, mut next) = (self.clone(), work);
        // As the statement has it: `WHERE fence = $2 AND due_at IS NOT NULL`. That the lease has ended is no hindrance
        // as long as nobody else has leased.
        let allowed = !self.has_lost(&work);
        if !allowed && mutation != Some(Mutation::NoFenceCheck) {
            let late = work.put_up && mutation != Some(Mutation::NoLateJournal);
            to.nodes[number] = late.then_some(Work { stage: Stage::Refused, ..work });
            return (format!("the node with fence {} may not write any more and gives up", work.fence), to, None);
        }
        change(&mut to, &mut next);
        // Every write prolongs the lease but the one into the journal.
        to.row.leased = !to.ended() && (to.row.leased || next.stage != Stage::Journalled);
        to.nodes[number] = (!to.ended()).then_some(next);
        let breaks = (!allowed).then_some("no write is made under an old fence");
        (format!("the node with fence {} {what}", work.fence), to, breaks)
    }

    /// The record is removed, then taken out of the journal; neither asks for the fence.
    fn take_down(&self, number: usize, mut work: Work, mutation: Option<Mutation>) -> (String, State, Option<&'static str>) {
        let mut to = self.clone();
        let what = if self.row.journalled.is_none() {
            work.stage = Stage::Ending;
            "finds no record to remove"
        } else if work.stage == Stage::Removed {
            to.forget(Some(work.fence), mutation);
            (work.stage, work.put_up) = (Stage::Ending, false);
            "takes the record out of the journal"
        } else {
            to.record = false;
            work.stage = Stage::Removed;
            "removes the record"
        };
        to.nodes[number] = Some(work);
        (format!("the node with fence {} {what}", work.fence), to, None)
    }
}
